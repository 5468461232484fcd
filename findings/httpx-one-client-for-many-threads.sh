#!/usr/bin/env bash
# One httpx.Client for 256 threads costs many times the CPU of a client for each thread.
#
# Guess:    a Client is safe between threads and pools connections, so one for all threads, with room for a connection each,
#           is the cheapest way to keep 256 requests in flight.
# Seen:     256 threads, three requests each, a server that takes one second (so 3 s at best): 10 to 15 ms of CPU a request and
#           15 to 30 s with the shared client, 0.6 ms and 3.6 s with a client for each thread and one SSL context for all.
#           httpcore's pool goes through all its connections whenever a request comes or goes, under one lock.
# Versions: httpx 0.28.1, httpcore 1.0.9; seen 2026-11-30 with CPython 3.11 on two cores of x86-64 Linux.
# Matters:  a worker that waits for a model in 256 threads spends its cores on the pool, and the model server's batch runs empty.
# Chinwag:  one transport for each thread and one SSL context for all (wire/transport.py).
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

install httpx==0.28.1 httpcore==1.0.9

code=0
"$folder/venv/bin/python" -I - <<'EOF' || code=$?
import ssl, subprocess, sys, threading, time
import httpx

THREADS, EACH = 256, 3
SERVER = r"""
import asyncio

async def answer(reader, writer):
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(1)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()

async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
"""
tls = ssl.create_default_context()
room = httpx.Limits(max_connections=THREADS, max_keepalive_connections=THREADS, keepalive_expiry=None)


def measure(port, make):
    """CPU milliseconds a request, and seconds for all."""
    errors = []

    def ask():
        client = make()
        for _ in range(EACH):
            try:
                client.get(f"http://127.0.0.1:{port}/").raise_for_status()
            except httpx.HTTPError as error:
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    cpu, began = time.process_time(), time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, f"{len(errors)} requests failed, the first with {errors[0]!r}"
    return 1000 * (time.process_time() - cpu) / (THREADS * EACH), time.monotonic() - began


server = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
try:
    port = int(server.stdout.readline())
    shared = httpx.Client(limits=room, timeout=60, trust_env=False, verify=tls)
    shared_ms, shared_s = measure(port, lambda: shared)
    own_ms, own_s = measure(port, lambda: httpx.Client(timeout=60, trust_env=False, verify=tls))
finally:
    server.kill()

print(f"httpx {httpx.__version__}, {THREADS} threads, {EACH} requests each of one second")
print(f"one client for all:         {shared_ms:5.1f} ms of CPU a request, {shared_s:4.1f} s")
print(f"one client for each thread: {own_ms:5.1f} ms of CPU a request, {own_s:4.1f} s")
if shared_ms < 4 * own_ms:
    print("CHANGED: the shared client costs less than four times as much")
    sys.exit(3)
print(f"as described: the shared client costs {shared_ms / own_ms:.0f} times as much")
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: see above" >&2; exit 2 ;; esac
