#!/usr/bin/env bash
# A protocol that is both asyncio.Protocol and asyncio.BufferedProtocol reads into its own buffer under asyncio, and never under uvloop.
#
# Guess:    uvloop is a drop-in replacement: whoever is a BufferedProtocol is asked for a buffer by get_buffer, which bounds each read.
# Seen:     asyncio looks whether the protocol is a BufferedProtocol; uvloop looks whether it has get_buffer and is no asyncio.Protocol.
#           For one that is both, asyncio calls buffer_updated with at most the 4,096 bytes of its buffer, and uvloop data_received with
#           up to 256,000 bytes at once. Neither says a word. A protocol that is a BufferedProtocol alone is treated alike by both.
# Versions: uvloop 0.23.0, Python 3.11 to 3.14; seen 2026-12-01 on x86-64 Linux.
# Matters:  the protocols of web servers are asyncio.Protocol (uvicorn's are). Who derives one from them and adds a buffer, to bound what
#           strangers can make the process hold, has that bound in tests under asyncio, and none in service under uvloop.
# Chinwag:  what reads is a class of its own, a BufferedProtocol alone, that hands the bytes on (bots/web/serving/transport.py).
set -euo pipefail
umask 022
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT

{ "${PYTHON:-python3}" -m venv "$folder/venv" && "$folder/venv/bin/pip" install --quiet uvloop==0.23.0; } >"$folder/log" 2>&1 || {
  echo "could not run: $(tail -n 1 "$folder/log")" >&2
  exit 2
}

code=0
"$folder/venv/bin/python" -I - <<'EOF' || code=$?
import asyncio, platform, socket, sys
import uvloop

SENT, BUFFER = 400_000, 4096


class Buffered(asyncio.BufferedProtocol):
    def __init__(self, done):
        self.buffer, self.done, self.calls, self.longest = bytearray(BUFFER), done, set(), 0

    def get_buffer(self, sizehint):
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes):
        self.note("buffer_updated", nbytes)

    def note(self, call, size):
        self.calls.add(call)
        self.longest = max(self.longest, size)

    def connection_lost(self, error):
        self.done.set_result(None)


class Both(Buffered, asyncio.Protocol):
    def data_received(self, data):
        self.note("data_received", len(data))


async def read(kind):
    """Which of its methods a protocol's bytes came by, and the most at once."""
    loop = asyncio.get_running_loop()
    protocol = kind(loop.create_future())
    ours, theirs = socket.socketpair()
    with theirs:
        ours.setblocking(False), theirs.setblocking(False)
        await loop.create_connection(lambda: protocol, sock=ours)
        await loop.sock_sendall(theirs, bytes(SENT))
    await protocol.done
    return "+".join(sorted(protocol.calls)), protocol.longest


print(f"uvloop {uvloop.__version__}, Python {platform.python_version()}: {SENT:,} bytes, a buffer of {BUFFER:,}")
seen = {}
for loop, factory in (("asyncio", asyncio.new_event_loop), ("uvloop", uvloop.new_event_loop)):
    for kind in (Buffered, Both):
        with asyncio.Runner(loop_factory=factory) as runner:
            seen[loop, kind.__name__] = call, longest = runner.run(read(kind))
        print(f"{loop:8} {kind.__name__:9} {call:15} at most {longest:7,} bytes at once")
kept = [seen["asyncio", "Buffered"], seen["asyncio", "Both"], seen["uvloop", "Buffered"]]
if any(call != "buffer_updated" or longest > BUFFER for call, longest in kept) or seen["uvloop", "Both"][0] != "data_received":
    print("CHANGED: uvloop and asyncio no longer differ here")
    sys.exit(3)
print("as described: under uvloop the buffer of a protocol that is both is never used")
EOF
case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: see above" >&2; exit 2 ;; esac
