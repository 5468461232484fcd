"""The order of a profile: tiers, tried one after the other, of endpoints that are replicas of one another. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

#: Names of endpoints; the first tier answers while one of its members can.
Tiers = tuple[tuple[str, ...], ...]


def of_places(places: Iterable[tuple[int, str]]) -> Tiers:
    """Return the tiers of stored (position, name) pairs."""
    found: dict[int, list[str]] = {}
    for position, name in places:
        found.setdefault(position, []).append(name)
    return tuple(tuple(found[position]) for position in sorted(found))


def added(tiers: Tiers, name: str) -> Tiers:
    """Put an endpoint at the end; one that is there stays where it is."""
    return tiers if _place(tiers, name) is not None else (*tiers, (name,))


def dropped(tiers: Tiers, name: str) -> Tiers:
    """Take an endpoint out."""
    return _clean([member for member in tier if member != name] for tier in tiers)


def raised(tiers: Tiers, name: str) -> Tiers:
    """Let an endpoint be tried earlier: out of its tier to before it, or, alone, before the tier above."""
    return _moved(tiers, name, earlier=True)


def lowered(tiers: Tiers, name: str) -> Tiers:
    """Let an endpoint be tried later: out of its tier to behind it, or, alone, behind the tier below."""
    return _moved(tiers, name, earlier=False)


def joined(tiers: Tiers, name: str) -> Tiers:
    """Make an endpoint a replica of those in the tier above; in the first tier it stays."""
    place = _place(tiers, name)
    if not place:
        return tiers
    left = [[member for member in tier if member != name] for tier in tiers]
    left[place - 1].append(name)
    return _clean(left)


def read(words: Sequence[str]) -> Tiers:
    """Read an order as it is typed: `local hosted` one after the other, `a,b` replicas, `a=1 b=1 c=2` by position.

    Raises ValueError with what is wrong.
    """
    placed: dict[int, list[str]] = {}
    seen: set[str] = set()
    position = 0
    for word in words:
        names, is_placed, typed = word.partition("=")
        if is_placed and not (typed.isascii() and typed.isdecimal() and len(typed) < 6):
            raise ValueError(f"{word}: a position is a number, as in {names or 'local'}=1.")
        position = int(typed) if is_placed else position + 1
        for name in names.split(","):
            if not name:
                raise ValueError(f"{word}: give the names of endpoints, with commas between replicas.")
            if name in seen:
                raise ValueError(f"{name} is given twice.")
            seen.add(name)
            placed.setdefault(position, []).append(name)
    return tuple(tuple(placed[position]) for position in sorted(placed))


def written(tiers: Tiers) -> str:
    """Write an order as `read` reads it."""
    return " ".join(",".join(tier) for tier in tiers)


#: What can be done with one endpoint's place in the order.
MOVES: Mapping[str, Callable[[Tiers, str], Tiers]] = {"add": added, "drop": dropped, "up": raised, "down": lowered, "join": joined}


def _moved(tiers: Tiers, name: str, *, earlier: bool) -> Tiers:
    place = _place(tiers, name)
    if place is None:
        return tiers
    left = [[member for member in tier if member != name] for tier in tiers]
    # Alone it takes its tier along; among replicas it leaves them.
    alone = not left[place]
    at = place - 1 if earlier and alone else place if earlier else place + 2 if alone else place + 1
    left.insert(max(0, at), [name])
    return _clean(left)


def _place(tiers: Tiers, name: str) -> int | None:
    return next((n for n, tier in enumerate(tiers) if name in tier), None)


def _clean(tiers: Iterable[Sequence[str]]) -> Tiers:
    return tuple(tuple(tier) for tier in tiers if tier)
