#!/usr/bin/env bash
# torch says that AMX is supported in a process that Linux does not allow to use it.
#
# Guess:    where torch.cpu._is_amx_tile_supported() is True, code with AMX instructions may run in this process.
# Seen:     it is True as soon as processor and kernel know AMX. Linux gives its registers only to a process that has asked for them
#           (arch_prctl, ARCH_REQ_XCOMP_PERM). Importing torch does not ask; its first product of matrices does, and so does
#           torch.cpu._init_amx(). So it depends on what ran before, and a new process has to ask again.
# Versions: torch 2.13.0+cpu; seen 2026-12-01 on Linux 6.18, x86-64 with amx_tile and amx_bf16. Linux has asked for this since 5.16.
# Matters:  a library that takes its kernels for AMX by that answer, as vLLM 0.32's attention on CPUs does in bf16, is ended by the system
#           with an illegal instruction where nothing else in the process has asked before.
# Chinwag:  its plugin for vLLM asks in each process, and says no in torch's name where that is refused (inference/engines/cpu_amx.py).
set -euo pipefail
umask 022
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT

if ! grep -qw amx_tile /proc/cpuinfo; then
  echo "could not run: this processor has no AMX (Intel Xeon of the fourth generation and later have it)" >&2
  exit 2
fi
# Where pip does not find this torch, PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS must name a place.
"${PYTHON:-python3}" -m venv "$folder/venv" || exit 2
"$folder/venv/bin/pip" install --quiet --no-compile torch==2.13.0+cpu >"$folder/log" 2>&1 || {
  echo "could not run: $(tail -n 1 "$folder/log")" >&2
  exit 2
}

for way in product init; do
  code=0
  "$folder/venv/bin/python" -I -W ignore - "$way" <<'EOF' || code=$?
import ctypes, platform, sys
import torch

ARCH_PRCTL, GET_LEAVE, TILES = 158, 0x1022, 1 << 18
libc = ctypes.CDLL(None)


def is_allowed():
    """What Linux says of this process."""
    found = ctypes.c_ulong()
    if libc.syscall(ARCH_PRCTL, GET_LEAVE, ctypes.byref(found)) != 0:
        print("could not run: Linux does not answer arch_prctl(ARCH_GET_XCOMP_PERM)", file=sys.stderr)
        sys.exit(2)
    return bool(found.value & TILES)


print(f"torch {torch.__version__}, Linux {platform.release()}")
seen = {}
seen["after the import"] = torch.cpu._is_amx_tile_supported(), is_allowed()
if sys.argv[1] == "product":
    torch.ones(64, 64) @ torch.ones(64, 64)
    last = "after a product"
else:
    torch.cpu._init_amx()
    last = "after _init_amx()"
seen[last] = torch.cpu._is_amx_tile_supported(), is_allowed()
for when, (supported, allowed) in seen.items():
    print(f"{when:17} supported: {supported!s:5}  allowed: {allowed}")
if not seen["after the import"][0]:
    print("could not run: AMX is switched off on this machine", file=sys.stderr)
    sys.exit(2)
if list(seen.values()) != [(True, False), (True, True)]:
    print("CHANGED: what torch says and what Linux allows go together otherwise than they did")
    sys.exit(3)
EOF
  case $code in 0) ;; 3) exit 1 ;; *) echo "could not run: see above" >&2; exit 2 ;; esac
done
echo "as described: supported from the beginning, allowed only after something has asked"
