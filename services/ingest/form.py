"""The upload's multipart form, streamed: the picture to a spool file, everything else bounded in memory."""

from collections.abc import AsyncIterable
from typing import BinaryIO, Final

import msgspec
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from libs.errors import FILE_TOO_LARGE, INVALID_REQUEST, ApiError
from libs.pictures import MAX_UPLOAD_BYTES

FORM_OVERHEAD_BYTES: Final = 64 * 1024  # boundaries, headers, the user_id and parts that we ignore
MAX_PARTS: Final = 100
MAX_USER_ID_BYTES: Final = 255 * 4 + 1024  # UTF-8, and white space that will be trimmed
MAX_BOUNDARY_BYTES: Final = 256

NOT_MULTIPART: Final = (
    "Send the form as multipart/form-data with the parts user_id and image, as HTTP libraries do for a file"
)
NO_BOUNDARY: Final = (
    "The Content-Type header has no boundary: do not set this header by hand, your HTTP library knows it"
)
CUT_SHORT: Final = "The form ends before its last boundary; send the whole body"


class Form(msgspec.Struct):
    """What arrived: `user_id` as raw bytes, `image_bytes` as counted; None where the part is absent.

    More bytes than are allowed are counted, not kept.
    """

    user_id: bytes | None = None
    image_bytes: int | None = None


def boundary_of(content_type: str | None) -> bytes:
    """The multipart boundary; raises INVALID_REQUEST saying what is wrong with the header."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise ApiError(INVALID_REQUEST, NOT_MULTIPART)
    boundary = options.get(b"boundary")
    if not boundary:
        raise ApiError(INVALID_REQUEST, NO_BOUNDARY)
    if len(boundary) > MAX_BOUNDARY_BYTES:
        raise ApiError(INVALID_REQUEST, "The boundary of the form is too long")
    return boundary


class FormReader:
    """Callbacks of one multipart parser; `spool` gets the bytes of the part named image."""

    def __init__(self, spool: BinaryIO) -> None:
        self.form = Form()
        self.ended = False
        self._spool = spool
        self._parts = 0
        self._seen: set[bytes] = set()
        self._header_name = b""
        self._header_value = b""
        self._headers: dict[bytes, bytes] = {}
        self._name = b""

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise ApiError(INVALID_REQUEST, f"Send at most {MAX_PARTS} parts")
        self._headers = {}
        self._name = b""

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._name = options.get(b"name", b"")
        if self._name in (b"user_id", b"image"):
            if self._name in self._seen:
                raise ApiError(INVALID_REQUEST, f"The part {self._name.decode()} was sent twice")
            self._seen.add(self._name)
        if self._name == b"user_id":
            self.form.user_id = b""
        elif self._name == b"image":
            self.form.image_bytes = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == b"image":
            self._take_image(memoryview(data)[start:end])
        elif self._name == b"user_id" and len(self.form.user_id or b"") <= MAX_USER_ID_BYTES:
            self.form.user_id = (self.form.user_id or b"") + data[start:end]

    def on_end(self) -> None:
        self.ended = True

    def _take_image(self, data: memoryview) -> None:
        counted = (self.form.image_bytes or 0) + len(data)
        self.form.image_bytes = counted
        if counted <= MAX_UPLOAD_BYTES:
            # To the page cache, in microseconds: a thread would cost more.
            self._spool.write(data)


async def read_form(content_type: str | None, body: AsyncIterable[bytes], spool: BinaryIO) -> Form:
    """Read `body` to its end. Raises INVALID_REQUEST, or FILE_TOO_LARGE past what any valid form needs."""
    reader = FormReader(spool)
    parser = MultipartParser(
        boundary_of(content_type),
        {
            "on_part_begin": reader.on_part_begin,
            "on_header_field": reader.on_header_field,
            "on_header_value": reader.on_header_value,
            "on_header_end": reader.on_header_end,
            "on_headers_finished": reader.on_headers_finished,
            "on_part_data": reader.on_part_data,
            "on_end": reader.on_end,
        },
    )
    received = 0
    try:
        async for chunk in body:
            received += len(chunk)
            if received > MAX_UPLOAD_BYTES + FORM_OVERHEAD_BYTES:
                raise ApiError(FILE_TOO_LARGE)
            parser.write(chunk)
        parser.finalize()
    except FormParserError as error:
        raise ApiError(INVALID_REQUEST, f"The form is malformed: {error}"[:200]) from error
    if not reader.ended:
        raise ApiError(INVALID_REQUEST, CUT_SHORT)
    return reader.form
