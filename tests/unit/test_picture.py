"""A stranger's picture: known by its bytes, measured before it is decoded, small and silent afterwards."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
from PIL import Image

from bots.channels.picture import measure, shrink
from bots.errors import MediaTooLarge, NotAPicture
from tests.support.drawing import a_picture, a_png_that_claims, a_webp_that_claims, opened


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_the_head_alone_tells_kind_and_size(kind: str) -> None:
    data = a_picture(61, 43, kind=kind)

    assert measure(data) == (kind, 61, 43)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0"}])
def test_the_three_forms_of_webp_are_measured_alike(options: dict[str, Any]) -> None:
    assert measure(a_picture(61, 43, kind="WEBP", **options)) == ("WEBP", 61, 43)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_every_kind_becomes_a_jpeg_of_the_same_size(kind: str) -> None:
    found = shrink(a_picture(100, 80, kind=kind))

    assert (found.media_type, found.width, found.height) == ("image/jpeg", 100, 80)
    assert opened(found.data).size == (100, 80)


def test_a_large_picture_fits_sixteen_tiles_and_a_megabyte() -> None:
    noise = Image.effect_noise((4000, 3000), 90).convert("RGB")
    out = io.BytesIO()
    noise.save(out, "JPEG", quality=90)

    found = shrink(out.getvalue())

    assert (found.width, found.height) == (1344, 1008)
    assert len(found.data) <= 1_000_000


def test_the_picture_stands_upright_and_tells_nothing_beside() -> None:
    told = Image.Exif()
    told[0x0112], told[0x010E] = 6, "at home, 41.15 N"
    found = shrink(a_picture(200, 100, exif=told, comment=b"at home"))

    assert (found.width, found.height) == (100, 200)
    assert b"home" not in found.data
    assert not opened(found.data).getexif()


def test_what_is_clear_becomes_white() -> None:
    out = io.BytesIO()
    Image.new("RGBA", (40, 40), (0, 0, 0, 0)).save(out, "WEBP", lossless=True)

    assert opened(shrink(out.getvalue()).data).getpixel((20, 20)) == (255, 255, 255)


def test_sixteen_bits_of_grey_keep_their_shades() -> None:
    out = io.BytesIO()
    Image.new("I;16", (40, 40), 128 * 256).save(out, "PNG")

    assert opened(shrink(out.getvalue()).data).getpixel((20, 20)) == (128, 128, 128)


def test_of_an_animation_the_first_frame_is_taken() -> None:
    out = io.BytesIO()
    Image.new("RGB", (40, 40), "white").save(out, "GIF", save_all=True, append_images=[Image.new("RGB", (40, 40), "black")])

    assert opened(shrink(out.getvalue()).data).getpixel((20, 20)) == (255, 255, 255)


def test_a_strip_gets_paper_so_that_no_model_refuses_it() -> None:
    found = shrink(a_picture(5000, 1, kind="PNG"))

    assert (found.width, found.height) == (1344, 68)


@pytest.mark.parametrize(
    "data",
    [a_png_that_claims(60_000, 60_000), a_webp_that_claims(16_000, 16_000), b"GIF89a\xff\xff\xff\xff\0\0\0;"],
    ids=["png", "webp", "gif"],
)
def test_a_bomb_is_refused_by_its_head(data: bytes) -> None:
    with pytest.raises(MediaTooLarge):
        shrink(data)


def test_a_jpeg_of_countless_scans_is_refused_before_it_is_decoded() -> None:
    data = a_picture(40, 40, progressive=True)
    at = data.index(b"\xff\xda")

    with pytest.raises(MediaTooLarge):
        shrink(data[:at] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * 200 + data[at:])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"%PDF-1.7",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"BM" + bytes(60),
        b"II*\0" + bytes(60),
        b"\0\0\0\x1cftypheic" + bytes(60),
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\0\x10",
        b"RIFF\0\0\0\0WEBPVP8X",
        b"GIF89a",
        a_picture()[:300],
        a_picture(kind="PNG")[:60],
        a_png_that_claims(0, 9),
        a_png_that_claims(500, 500),
        a_webp_that_claims(20, 20),
    ],
)
def test_what_is_no_whole_picture_of_a_known_kind_is_refused(data: bytes) -> None:
    with pytest.raises(NotAPicture):
        shrink(data)


def test_a_picture_of_another_kind_than_its_head_is_not_tried_as_that() -> None:
    # Pillow would open an EPS or a TIFF by what follows: only the kind of the head is asked.
    with pytest.raises(NotAPicture):
        shrink(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(4) + b"\0\0\0\x09" + bytes(8) + a_picture(kind="TIFF"))


def test_spoilt_bytes_cost_no_more_than_their_picture(seed: random.Random) -> None:
    for kind in ("JPEG", "PNG", "WEBP", "GIF"):
        whole = a_picture(80, 60, kind=kind)
        for _ in range(150):
            spoilt = bytearray(whole)
            for _ in range(seed.randint(1, 8)):
                spoilt[seed.randrange(len(spoilt))] = seed.randrange(256)
            try:
                found = shrink(bytes(spoilt))
            except (NotAPicture, MediaTooLarge):
                continue

            assert max(found.width, found.height) <= 1344


@pytest.mark.parametrize("filling", [b"\xff" * 2_000_000, b"\xff\x01" * 1_000_000], ids=["fill bytes", "marks without a body"])
def test_a_head_that_never_comes_to_a_frame_is_not_walked_along_to_its_end(filling: bytes) -> None:
    whole = a_picture(61, 43)

    with pytest.raises(NotAPicture):
        measure(whole[:2] + filling + whole[2:])
    assert measure(whole[:2] + b"\xff" * 8 + whole[2:]) == ("JPEG", 61, 43), "some fill bytes are nothing unusual"
