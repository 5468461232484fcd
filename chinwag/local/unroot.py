"""The last step before a part's own program: which user it runs as, and the signal it gets when its parent dies.

Run as a script (`python -I -S unroot.py MODE SIGNAL PARENT -- COMMAND...`): a fresh process has one thread, as a user namespace requires.
Postgres refuses to run as root. A namespace maps root to another uid, and its files stay root's; where that is not permitted, another uid
keeps just the capability to read below folders that only root may enter.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import sys

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG, _PR_SET_SECUREBITS, _PR_CAP_AMBIENT = 1, 28, 47
#: NO_SETUID_FIXUP (else access(2) ignores the capability) and KEEP_CAPS.
_SECUREBITS = 1 << 2 | 1 << 4
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def named_ids() -> tuple[int, int]:
    """A uid and gid that the user database names: initdb looks its own name up. 65534 would also mean "unmapped"."""
    ids = sorted((entry.pw_uid, entry.pw_gid) for entry in pwd.getpwall() if entry.pw_uid not in {0, 65534})
    return ids[0] if ids else (65534, 65534)


def is_named() -> bool:
    """Whether the current user has an entry in the user database."""
    return os.geteuid() in {entry.pw_uid for entry in pwd.getpwall()}


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _become(mode: str, libc: ctypes.CDLL) -> None:
    uid, gid = named_ids()
    if mode == "namespace":
        outer_uid, outer_gid = os.geteuid(), os.getegid()
        _check(libc.unshare(_CLONE_NEWUSER))
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {outer_uid} 1"), ("gid_map", f"{gid} {outer_gid} 1")):
            descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
            os.write(descriptor, text.encode())
            os.close(descriptor)
    elif mode == "setuid":
        _check(libc.prctl(_PR_SET_SECUREBITS, _SECUREBITS, 0, 0, 0))
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
        only = 1 << _CAP_DAC_OVERRIDE
        header, data = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0), (ctypes.c_uint32 * 6)(only, only, only, 0, 0, 0)
        _check(libc.capset(header, data))
        _check(libc.prctl(_PR_CAP_AMBIENT, 2, _CAP_DAC_OVERRIDE, 0, 0))


def main(arguments: list[str]) -> None:
    """Change to the mode's user, ask for the signal, and replace this process by the command."""
    mode, number, parent, _, *command = arguments
    libc = ctypes.CDLL(None, use_errno=True)
    os.umask(0o077)
    try:
        _become(mode, libc)
        # Last: a change of identity clears it.
        _check(libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0))
    except OSError as error:
        sys.exit(f"cannot become {mode}: {error.strerror}")
    if os.getppid() != int(parent):
        sys.exit("the parent is gone")
    os.execv(command[0], command)  # noqa: S606 - turning into the given program, without a shell, is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
