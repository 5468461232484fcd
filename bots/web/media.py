"""A contact's picture as an answer: what we wrote ourselves, never to be run, kept by no cache."""

from __future__ import annotations

from starlette.responses import Response

from bots.storage.media import StoredPicture


def picture_answer(picture: StoredPicture) -> Response:
    """Serve a picture to a page's img; opened by itself it is a download. SafeHeaders adds nosniff and the content policy."""
    name = "picture." + picture.media_type.partition("/")[2].replace("jpeg", "jpg")
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return Response(picture.data, media_type=picture.media_type, headers=headers)
