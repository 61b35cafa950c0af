"""What people do not know is in their pictures must not be in what we serve."""

import httpx2
import pytest
import pyvips

from tests import pictures
from tests.e2e import calls, containers
from tests.e2e.pixels import format_of

SECRET = b"where-i-live"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + SECRET + b"</x:xmpmeta>"
GPS_TAG = b"\x88\x25"  # of the directory in an EXIF block, big endian


DENSITY = 7  # pixels a millimetre


def exif() -> bytes:
    """Orientation 6, a description, and a GPS directory with a latitude (TIFF 6.0, Exif 2.3 section 4.6)."""
    entries = [
        pack_entry(0x010E, 2, len(SECRET), 100),  # ImageDescription
        pack_entry(0x0112, 3, 1, 6 << 16),  # Orientation
        pack_entry(0x8825, 4, 1, 60),  # where the GPS directory is
    ]
    directory = len(entries).to_bytes(2, "big") + b"".join(entries) + bytes(4)
    gps = (1).to_bytes(2, "big") + pack_entry(0x0002, 5, 1, 92) + bytes(4)  # GPSLatitude
    block = b"MM\0*" + (8).to_bytes(4, "big") + directory
    block = block.ljust(60, b"\0") + gps
    block = block.ljust(92, b"\0") + (52).to_bytes(4, "big") + (1).to_bytes(4, "big")
    return block + SECRET


def pack_entry(tag: int, kind: int, count: int, value: int) -> bytes:
    return (
        tag.to_bytes(2, "big") + kind.to_bytes(2, "big") + count.to_bytes(4, "big") + value.to_bytes(4, "big")
    )


def wide() -> pyvips.Image:
    """With alpha, which only JPEG cannot keep."""
    return pictures.gradient(60, 40, bands=4)


def profile() -> bytes:
    coloured = pictures.gradient(8, 8).icc_transform("p3", input_profile="srgb")
    return bytes(coloured.get("icc-profile-data"))


def jpeg() -> bytes:
    plain = pictures.jpeg(60, 40, profile="p3")
    segments = [
        pictures.segment(0xE1, b"Exif\0\0" + exif()),
        pictures.segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
        pictures.segment(0xED, b"Photoshop 3.0\0" + SECRET),
        pictures.segment(0xFE, SECRET),
    ]
    return pictures.with_segments(plain, segments) + SECRET


def png() -> bytes:
    plain = bytes(wide().copy(xres=DENSITY, yres=DENSITY).pngsave_buffer(profile="p3"))
    chunks = [
        pictures.chunk(b"eXIf", exif()),
        pictures.chunk(b"tEXt", b"Comment\0" + SECRET),
        pictures.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP),
        pictures.chunk(b"tIME", bytes(7)),
        pictures.chunk(b"prVt", SECRET),
    ]
    return pictures.with_chunks(plain, chunks) + SECRET


def webp() -> bytes:
    plain = bytes(wide().webpsave_buffer(lossless=True))
    position = 12
    while plain[position : position + 4] != b"VP8L":
        position += 8 + int.from_bytes(plain[position + 4 : position + 8], "little")
    picture = plain[
        position + 8 : position + 8 + int.from_bytes(plain[position + 4 : position + 8], "little")
    ]
    flags = 0x20 | 0x10 | 0x08 | 0x04  # profile, alpha, EXIF, XMP
    canvas = bytes((flags, 0, 0, 0)) + (59).to_bytes(3, "little") + (39).to_bytes(3, "little")
    chunks = [(b"VP8X", canvas), (b"ICCP", profile()), (b"VP8L", picture), (b"EXIF", exif()), (b"XMP ", XMP)]
    return pictures.riff(chunks) + SECRET


MADE = {"jpg": jpeg, "png": png, "webp": webp}
CARRIED = {
    "jpg": {"EXIF", "XMP", "ICC", "COM", "APP13", "trailing"},
    "png": {"eXIf", "tEXt", "iTXt", "iCCP", "tIME", "prVt", "trailing"},
    "webp": {"EXIF", "XMP ", "ICCP", "trailing"},
}


@pytest.mark.parametrize("kind", MADE)
def test_the_pictures_sent_here_do_carry_metadata(kind: str) -> None:
    picture = MADE[kind]()
    assert set(containers.parts(picture)) >= CARRIED[kind]
    assert SECRET in picture
    assert GPS_TAG in picture
    image = pyvips.Image.new_from_buffer(picture, "")
    assert image.get("orientation") == 6
    assert kind != "png" or round(image.xres) == DENSITY


@pytest.mark.parametrize("parameters", ["", "w=30", "w=200&h=100", "q=50"])
@pytest.mark.parametrize("served_as", ["", "jpg", "png", "webp"])
@pytest.mark.parametrize("kind", MADE)
def test_nothing_that_is_served_holds_metadata(
    api: httpx2.Client, cdn: httpx2.Client, kind: str, served_as: str, parameters: str
) -> None:
    image_id = calls.upload(api, MADE[kind]())["image_id"]
    served = cdn.get(f"/{image_id}?{parameters}&f={served_as}").content
    assert format_of(served) == (served_as or kind)
    assert set(containers.parts(served)) <= containers.PIXELS_ONLY[served_as or kind]
    assert SECRET not in served
    image = pyvips.Image.new_from_buffer(served, "")
    telling = ("exif", "xmp", "icc", "iptc", "png-comment")
    assert [name for name in image.get_fields() if name.startswith(telling)] == []
    assert round(image.xres) != DENSITY


@pytest.mark.parametrize("kind", MADE)
def test_the_orientation_is_applied_and_gone(api: httpx2.Client, cdn: httpx2.Client, kind: str) -> None:
    uploaded = calls.upload(api, MADE[kind]())
    assert uploaded["dimensions"] == {"width": 40, "height": 60}
    served = pyvips.Image.new_from_buffer(cdn.get(f"/{uploaded['image_id']}").content, "")
    assert (served.width, served.height) == (40, 60)
    assert served.get_typeof("orientation") == 0 or served.get("orientation") == 1
