"""What the Graph API answers about a picture that somebody sent: an address for five minutes, a digest, a size."""

from __future__ import annotations

from bots.channels.base import Location
from bots.channels.fields import Fields, id_of, text_of
from bots.errors import MediaUnavailable

_URL_LIMIT = 4096


def location_of(told: Fields | None, token: str) -> Location:
    """Read the answer about a media id. Raises MediaUnavailable when it has no address."""
    fields = told or {}
    url = text_of(fields, "url", _URL_LIMIT)
    if url is None:
        raise MediaUnavailable("The platform's answer does not contain the picture's address.")
    # Meta's documentation shows it as text in one place and as a number in another.
    size = id_of(fields, "file_size") or ""
    return Location(url=url, token=token, sha256=text_of(fields, "sha256", 128), size=int(size) if size.isdecimal() else None)
