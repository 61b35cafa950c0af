"""What a URL asks for: pure parsing, and the arithmetic of sizes."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final, NoReturn

import msgspec

from libs.errors import INVALID_PARAMETER, ApiError
from libs.pictures import (
    DEFAULT_QUALITY,
    MAX_OUTPUT_PIXELS,
    MAX_OUTPUT_SIDE,
    MAX_REQUESTED_SIDE,
    Format,
    Rendition,
)

RENDERER_VERSION: Final = 2  # raise it when the same options give other bytes
FORMATS: Final = {"jpg": Format.JPEG, "jpeg": Format.JPEG, "png": Format.PNG, "webp": Format.WEBP}


class Options(msgspec.Struct, frozen=True):
    """`w`, `h`, `q`, `f` as asked for; None where the picture itself decides. Sides in pixels."""

    width: int | None = None
    height: int | None = None
    quality: int = DEFAULT_QUALITY
    format: Format | None = None

    @property
    def longer_side(self) -> int | None:
        return max(self.width or 0, self.height or 0) or None

    def etag(self, image_id: str) -> str:
        """A strong validator that needs no render: a picture never changes, so its options say it all."""
        text = f"{RENDERER_VERSION} {image_id} {self.width} {self.height} {self.quality} {self.format}"
        return f'"{blake2b(text.encode(), digest_size=12).hexdigest()}"'


class Output(msgspec.Struct, frozen=True):
    """What to render: all of the picture at `scaled_*`, cropped at its centre to `width` x `height`."""

    width: int
    height: int
    scaled_width: int
    scaled_height: int
    scale: float  # of the full picture
    quality: int
    format: Format


def parse(query: Mapping[str, str]) -> Options:
    """The options in a query; an empty value counts as absent. Raises INVALID_PARAMETER."""
    return Options(
        _number(query, "w", MAX_REQUESTED_SIDE),
        _number(query, "h", MAX_REQUESTED_SIDE),
        _number(query, "q", 100) or DEFAULT_QUALITY,
        _format(query.get("f", "")),
    )


def _number(query: Mapping[str, str], name: str, largest: int) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= largest):
        _refuse(f"{name} must be a whole number from 1 to {largest}")
    return int(text)


def _format(text: str) -> Format | None:
    if not text:
        return None
    if text.lower() not in FORMATS:
        _refuse("f must be one of jpg, png, webp")
    return FORMATS[text.lower()]


def _refuse(details: str) -> NoReturn:
    raise ApiError(INVALID_PARAMETER, details)


def resolve(options: Options, picture: Rendition) -> Output | None:
    """What to render of this picture, or None where the full rendition is already that.

    Raises INVALID_PARAMETER where the output would be too large.
    """
    full_width, full_height = picture.full_width, picture.full_height
    kind = options.format or picture.uploaded
    scaled_width, scaled_height, scale = _scaled(options, full_width, full_height)
    width = options.width if options.width and options.height else scaled_width
    height = options.height if options.width and options.height else scaled_height
    same_quality = options.quality == DEFAULT_QUALITY or kind is Format.PNG
    if (width, height, kind) == (full_width, full_height, picture.uploaded) and same_quality:
        return None
    if max(width, height) > MAX_OUTPUT_SIDE or width * height > MAX_OUTPUT_PIXELS:
        _refuse(
            f"The output would be {width} x {height}; ask with w and h for at most"
            f" {MAX_OUTPUT_PIXELS:,} pixels and {MAX_OUTPUT_SIDE:,} on a side"
        )
    return Output(width, height, scaled_width, scaled_height, scale, options.quality, kind)


def _scaled(options: Options, full_width: int, full_height: int) -> tuple[int, int, float]:
    """The whole picture's size before any crop, and its scale. A side that was asked for is met exactly."""
    if options.width and options.height:
        scale = max(options.width / full_width, options.height / full_height)
        width, height = _half_up(full_width * scale), _half_up(full_height * scale)
        return max(options.width, width), max(options.height, height), scale
    if options.width:
        scale = options.width / full_width
        return options.width, max(1, _half_up(full_height * scale)), scale
    if options.height:
        scale = options.height / full_height
        return max(1, _half_up(full_width * scale)), options.height, scale
    return full_width, full_height, 1.0


def _half_up(value: float) -> int:
    return int(value + 0.5)
