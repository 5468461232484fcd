"""A contact's picture or recording as an answer: never to be run, kept by no cache. Pictures are written by us; of a recording only its kind is known."""

from __future__ import annotations

from starlette.responses import Response

from bots.storage.media import StoredPicture


def picture_answer(picture: StoredPicture) -> Response:
    """Serve one to a page's img or audio; opened by itself it is a download. SafeHeaders adds nosniff and the content policy."""
    name = "file." + picture.media_type.partition("/")[2].replace("jpeg", "jpg")
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}"',
    }
    return Response(picture.data, media_type=picture.media_type, headers=headers)
