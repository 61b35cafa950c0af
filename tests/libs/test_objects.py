"""What both stores of objects promise, and how each of them fails."""

import asyncio
import os
import re
import shutil
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
import msgspec
import pytest
from aiobotocore.credentials import AioCredentials
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import ReadOnlyCredentials

from libs.objects import Objects, ObjectSettings, ObjectsUnavailable, Stored, open_objects
from libs.objects.direct import Direct
from tests.libs.buckets import bucket_settings

if TYPE_CHECKING:
    from aiobotocore.httpsession import AIOHTTPSession

pytestmark = pytest.mark.anyio

NAME = "renditions/img_00000000000000ab/full"
ORIGINAL = "originals/img_00000000000000ab"
META = {"width": "800", "full_height": "600", "format": "jpg"}
LARGE = 3 * 1024 * 1024  # past what the folder reads on the event loop
HUNG_SECONDS = 30  # to tell "bounded" from "for ever", not to measure


async def test_what_was_put_is_got_with_its_metadata(objects: Objects) -> None:
    await objects.put(NAME, b"bytes", META)
    assert await objects.get(NAME) == Stored(b"bytes", META)


async def test_an_object_may_be_empty_and_without_metadata(objects: Objects) -> None:
    await objects.put(NAME, b"", {})
    assert await objects.get(NAME) == Stored(b"", {})


@pytest.mark.parametrize("size", [1, 4096, LARGE])
async def test_bytes_of_any_size_come_back_whole(objects: Objects, size: int) -> None:
    data = os.urandom(size)
    await objects.put(ORIGINAL, data, META)
    assert await objects.get(ORIGINAL) == Stored(data, META)


async def test_a_file_is_put_without_its_path(objects: Objects, tmp_path: Path) -> None:
    source = tmp_path / "spool"
    source.write_bytes(os.urandom(LARGE))
    await objects.put(NAME, source, META)
    assert await objects.get(NAME) == Stored(source.read_bytes(), META)


async def test_head_gives_the_metadata(objects: Objects) -> None:
    await objects.put(NAME, b"bytes", META)
    assert await objects.head(NAME) == META


async def test_a_missing_object_is_none(objects: Objects) -> None:
    assert await objects.get(NAME) is None
    assert await objects.head(NAME) is None


async def test_a_second_put_replaces_bytes_and_metadata(objects: Objects) -> None:
    await objects.put(NAME, b"longer than the second", META)
    await objects.put(NAME, b"second", {"width": "1"})
    assert await objects.get(NAME) == Stored(b"second", {"width": "1"})


async def test_metadata_of_the_largest_size_is_kept(objects: Objects) -> None:
    meta = {"a": '"' * 511, "b": "\\" * 511}
    await objects.put(NAME, b"bytes", meta)
    assert await objects.head(NAME) == meta


async def test_delete_says_how_many_were_there(objects: Objects) -> None:
    await objects.put(NAME, b"bytes", META)
    await objects.put(ORIGINAL, b"bytes", META)
    names = [NAME, ORIGINAL, "renditions/img_00000000000000ab/320"]
    assert await objects.delete(names) == 2
    assert await objects.delete(names) == 0
    assert await objects.get(NAME) is None


async def test_delete_leaves_the_other_objects_of_an_id(objects: Objects) -> None:
    other = "renditions/img_00000000000000ab/320"
    await objects.put(NAME, b"full", META)
    await objects.put(other, b"320", META)
    assert await objects.delete([NAME]) == 1
    assert await objects.get(other) == Stored(b"320", META)


async def test_readers_of_an_object_being_replaced_get_the_old_or_the_new(objects: Objects) -> None:
    versions = [Stored(bytes([number]) * 100_000, {"number": str(number)}) for number in (1, 2)]
    await objects.put(NAME, *versions[0])

    async def write() -> None:
        for turn in range(10):
            await objects.put(NAME, *versions[turn % 2])

    writer = asyncio.create_task(write())
    while not writer.done():
        assert await objects.get(NAME) in versions
        await asyncio.sleep(0)
    await writer


async def test_many_calls_at_a_time_all_succeed(objects: Objects) -> None:
    names = [f"renditions/img_00000000000000{number:02x}/full" for number in range(50)]
    await asyncio.gather(*(objects.put(name, name.encode(), META) for name in names))
    stored = await asyncio.gather(*map(objects.get, names))
    assert stored == [Stored(name.encode(), META) for name in names]
    assert await objects.delete(names) == 50


async def test_a_store_that_answers_is_ready(objects: Objects) -> None:
    await objects.ready()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "full",
        "/etc/passwd",
        "../a/b",
        "a/..",
        "a/../b",
        "a/b/..",
        "a/b/",
        "a//b",
        "a/.b",
        "a/b/c/d",
        "a/b\n",
    ],
)
async def test_a_name_that_could_leave_the_store_is_refused(objects: Objects, name: str) -> None:
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: objects.put(name, b"", {}),
        lambda: objects.get(name),
        lambda: objects.head(name),
        lambda: objects.delete([name]),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="not a name"):
            await call()


@pytest.mark.parametrize(
    "meta",
    [{"Width": "1"}, {"a-b": "1"}, {"a": "é"}, {"a": "1\n"}, {"a": ""}, {"a": " 1"}, {"a": "1" * 2000}],
)
async def test_metadata_that_a_header_cannot_carry_is_refused(objects: Objects, meta: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="metadata"):
        await objects.put(NAME, b"bytes", meta)
    assert await objects.get(NAME) is None


# The folder


def stored_file(root: Path) -> Path:
    return root / "renditions" / "ab" / "img_00000000000000ab" / "full"


def files_in(root: Path) -> list[Path]:
    return [file for file in root.rglob("*") if file.is_file()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
async def folder(folder_settings: ObjectSettings) -> AsyncGenerator[Objects]:
    async with open_objects(folder_settings) as opened:
        yield opened


async def test_a_file_begins_with_the_bytes_of_the_object(folder: Objects, root: Path) -> None:
    await folder.put(NAME, b"bytes of a picture", META)
    assert stored_file(root).read_bytes().startswith(b"bytes of a picture")


TEARS: dict[str, Callable[[bytes], bytes]] = {
    "the last byte is missing": lambda file: file[:-1],
    "the second half is missing": lambda file: file[: len(file) // 2],
    "almost all is missing": lambda file: file[:3],
    "all is missing": lambda file: b"",
    "the first byte is missing": lambda file: file[1:],
    "it is of another version": lambda file: file[:-1] + b"2",
}


@pytest.mark.parametrize("size", [5, LARGE])
@pytest.mark.parametrize("tear", TEARS.values(), ids=TEARS)
async def test_a_torn_file_is_never_served(
    folder: Objects, root: Path, size: int, tear: Callable[[bytes], bytes]
) -> None:
    await folder.put(NAME, os.urandom(size), META)
    file = stored_file(root)
    file.write_bytes(tear(file.read_bytes()))
    with pytest.raises(ObjectsUnavailable):
        await folder.get(NAME)
    with pytest.raises(ObjectsUnavailable):
        await folder.head(NAME)


async def test_a_file_that_another_program_put_there_is_never_served(folder: Objects, root: Path) -> None:
    await folder.put(NAME, b"bytes", META)
    stored_file(root).write_bytes(b"\xff\xd8 a file of somebody else" * 100)
    with pytest.raises(ObjectsUnavailable):
        await folder.get(NAME)


async def test_a_put_that_fails_leaves_no_file_behind(folder: Objects, root: Path, tmp_path: Path) -> None:
    with pytest.raises(ObjectsUnavailable):
        await folder.put(NAME, tmp_path / "missing", META)
    assert files_in(root) == []


async def test_the_last_delete_of_an_id_removes_its_folder(folder: Objects, root: Path) -> None:
    await folder.put(NAME, b"bytes", META)
    await folder.put(ORIGINAL, b"bytes", META)
    await folder.delete([NAME, ORIGINAL])
    assert not stored_file(root).parent.exists()
    assert (root / "originals" / "ab").is_dir()


async def test_a_folder_that_is_gone_is_unavailable_and_not_empty(folder: Objects, root: Path) -> None:
    shutil.rmtree(root)
    os.mkdir(root)  # as an empty mount point
    await assert_unavailable(folder)
    assert os.listdir(root) == []


async def test_a_folder_that_cannot_be_made_does_not_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    async with open_objects(ObjectSettings(objects_url=(tmp_path / "file" / "objects").as_uri())) as objects:
        await assert_unavailable(objects)


async def test_a_disk_that_hangs_is_unavailable_in_bounded_time(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "pipe"
    os.mkfifo(source)  # an open of it waits until somebody writes
    settings = ObjectSettings(objects_url=root.as_uri(), objects_timeout_seconds=0.2)
    async with open_objects(settings) as objects:
        with anyio.fail_after(HUNG_SECONDS), pytest.raises(ObjectsUnavailable):
            await objects.put(NAME, source, META)
        os.close(os.open(source, os.O_WRONLY | os.O_NONBLOCK))


async def test_a_start_removes_what_killed_writers_have_left(
    folder_settings: ObjectSettings, root: Path
) -> None:
    stale, fresh = root / "incoming" / "stale", root / "incoming" / "fresh"
    stale.parent.mkdir(parents=True)
    for file in (stale, fresh):
        file.write_bytes(b"half of an obj")
    two_hours_ago = time.time() - 7200
    os.utime(stale, (two_hours_ago, two_hours_ago))
    async with open_objects(folder_settings):
        assert not stale.exists()
        assert fresh.exists()


async def test_a_new_process_finds_what_the_last_one_put(folder_settings: ObjectSettings) -> None:
    for _ in range(2):
        async with open_objects(folder_settings) as objects:
            if await objects.get(NAME) is None:
                await objects.put(NAME, b"bytes", META)
    async with open_objects(folder_settings) as objects:
        assert await objects.get(NAME) == Stored(b"bytes", META)


# The bucket


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nx-amz-meta-width: 1\r\n"


class FaultyServer:
    """An S3 server that answers every connection in one wrong way, but for the first few."""

    def __init__(self, answer: Answer, right: int = 0) -> None:
        self.answer = answer
        self.right = right  # answers that are as they should be, from now on
        self.heads: list[bytes] = []  # of the requests

    @property
    def connections(self) -> int:
        return len(self.heads)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            self.right -= 1
            await (give if self.right >= 0 else self.answer)(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def faulty(answer: Answer, right: int = 0) -> AsyncGenerator[tuple[FaultyServer, ObjectSettings]]:
    faults = FaultyServer(answer, right)
    async with await asyncio.start_server(faults.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        settings = bucket_settings(f"http://127.0.0.1:{port}", "bucket")
        settings = msgspec.structs.replace(
            settings, objects_timeout_seconds=2, s3_read_timeout_seconds=0.3, s3_connect_timeout_seconds=0.3
        )
        yield faults, settings


async def give(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEADERS + b"Content-Length: 5\r\nConnection: close\r\n\r\nbytes")
    await writer.drain()


async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """As `give`, to a HEAD."""
    writer.write(HEADERS + b"Content-Length: 5\r\nConnection: close\r\n\r\n")
    await writer.drain()


async def cut_the_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEADERS + b"Content-Length: 1000\r\n\r\n" + b"x" * 999)
    await writer.drain()


async def say_no_length(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEADERS + b"Connection: close\r\n\r\n" + b"x" * 999)
    await writer.drain()


async def stop_in_the_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEADERS + b"Content-Length: 1000\r\n\r\n" + b"x" * 999)
    await writer.drain()
    await asyncio.sleep(HUNG_SECONDS)


async def drip_for_ever(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(HEADERS + b"Content-Length: 1000\r\n\r\n")
    for _turn in range(1000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


async def hang(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(HUNG_SECONDS)


async def close_at_once(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    return


async def fail_inside(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def ask_to_slow_down(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
    writer.write(b"HTTP/1.1 503 Slow Down\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


async def deny(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = b"<Error><Code>AccessDenied</Code></Error>"
    writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


async def miss_the_bucket(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = b"<Error><Code>NoSuchBucket</Code></Error>"
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


async def miss_the_object(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = b"<Error><Code>NoSuchKey</Code></Error>"
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    await writer.drain()


async def talk_something_else(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await writer.drain()


async def take_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(LARGE)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def assert_unavailable(objects: Objects) -> None:
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: objects.put(NAME, b"bytes", META),
        lambda: objects.get(NAME),
        lambda: objects.head(NAME),
        lambda: objects.delete([NAME, ORIGINAL]),
        objects.ready,
    ]
    for call in calls:
        with anyio.fail_after(HUNG_SECONDS), pytest.raises(ObjectsUnavailable):
            await call()


# Before an answer of botocore's, and after one: from then on its requests are made without it.
RIGHT = [0, 1]
GIVEN = Stored(b"bytes", {"width": "1"})


@pytest.mark.parametrize("right", RIGHT)
@pytest.mark.parametrize("answer", [cut_the_body, say_no_length, stop_in_the_body, drip_for_ever])
async def test_a_short_or_unfinished_body_is_never_served(answer: Answer, right: int) -> None:
    async with faulty(answer, right) as (_, settings), open_objects(settings) as objects:
        for _turn in range(right):
            assert await objects.get(NAME) == GIVEN
        with anyio.fail_after(HUNG_SECONDS), pytest.raises(ObjectsUnavailable):
            await objects.get(NAME)


@pytest.mark.parametrize("right", RIGHT)
@pytest.mark.parametrize(
    "answer", [hang, close_at_once, fail_inside, ask_to_slow_down, deny, miss_the_bucket, talk_something_else]
)
async def test_a_server_that_fails_is_unavailable_in_bounded_time(answer: Answer, right: int) -> None:
    async with faulty(answer, right) as (_, settings), open_objects(settings) as objects:
        for _turn in range(right):
            assert await objects.get(NAME) == GIVEN
        await assert_unavailable(objects)


async def test_a_server_that_hangs_while_a_file_is_sent_is_unavailable(tmp_path: Path) -> None:
    source = tmp_path / "spool"
    source.write_bytes(os.urandom(LARGE))
    async with faulty(hang) as (_, settings), open_objects(settings) as objects:
        with anyio.fail_after(HUNG_SECONDS), pytest.raises(ObjectsUnavailable):
            await objects.put(NAME, source, META)


async def test_a_server_that_never_says_to_continue_gets_the_file(tmp_path: Path) -> None:
    source = tmp_path / "spool"
    source.write_bytes(os.urandom(LARGE))
    async with faulty(take_the_body) as (_, settings), open_objects(settings) as objects:
        await objects.put(NAME, source, META)


@pytest.mark.parametrize("right", RIGHT)
async def test_a_failed_call_is_tried_once_more_and_not_again(right: int) -> None:
    async with faulty(ask_to_slow_down, right) as (faults, settings), open_objects(settings) as objects:
        for _turn in range(right):
            assert await objects.get(NAME) == GIVEN
        with pytest.raises(ObjectsUnavailable):
            await objects.get(NAME)
        assert faults.connections == right + 2


@pytest.mark.parametrize("answer", [ask_to_slow_down, fail_inside, close_at_once, hang, cut_the_body])
async def test_what_failed_once_is_got_by_the_second_try(answer: Answer) -> None:
    async with faulty(answer, 1) as (faults, settings), open_objects(settings) as objects:
        assert await objects.get(NAME) == GIVEN

        async def fail_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            faults.right = 1
            await answer(reader, writer)

        faults.answer = fail_once
        assert await objects.get(NAME) == GIVEN
        assert faults.connections == 3


async def test_a_missing_object_costs_one_request() -> None:
    async with faulty(miss_the_object) as (faults, settings), open_objects(settings) as objects:
        for number in range(1, 4):
            assert await objects.get(NAME) is None
            assert faults.connections == number


async def test_where_a_request_is_refused_botocore_asks_once_more() -> None:
    """It knows what to do about a bucket that has moved, or a clock that is off."""
    async with faulty(deny, 1) as (faults, settings), open_objects(settings) as objects:
        assert await objects.get(NAME) == GIVEN

        async def refuse_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            faults.right = 1
            await deny(reader, writer)

        faults.answer = refuse_once
        assert await objects.get(NAME) == GIVEN
        agents = [b"aiobotocore" in head.lower() for head in faults.heads]
        assert agents == [True, False, True]


@pytest.mark.parametrize(("call", "answer"), [("get", give), ("head", tell)])
async def test_every_request_is_signed_with_the_session_s_token(
    call: str, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    for name, value in zip(names, CREDENTIALS, strict=True):
        monkeypatch.setenv(name, value)
    async with faulty(answer) as (faults, settings):
        settings = msgspec.structs.replace(settings, s3_access_key_id=None, s3_secret_access_key=None)
        async with open_objects(settings) as objects:
            for _ in range(3):
                await getattr(objects, call)(NAME)
    assert len(faults.heads) == 3
    for head in faults.heads:
        assert_signed(head, f"/bucket/{NAME}")


async def test_a_bucket_is_asked_where_botocore_found_it() -> None:
    """A host of its own and another region than ours: as after a redirect."""
    session = RecordingSession()
    direct = Direct(cast("AIOHTTPSession", session), AioCredentials(*CREDENTIALS), attempts=1)
    assert not direct.ready
    url = f"https://bucket.s3.eu-west-1.amazonaws.com/{NAME}"
    scope = "Credential=id/20261123/eu-west-1/s3/aws4_request"
    headers = HTTPHeaders()
    headers["Authorization"] = f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=0"
    direct.watch(AWSPreparedRequest("GET", url, headers, None, stream_output=True))
    direct.learn(ORIGINAL)  # another one's request
    assert not direct.ready
    direct.learn(NAME)
    with pytest.raises(OSError, match="nobody"):
        await direct.ask("HEAD", ORIGINAL)
    (request,) = session.requests
    assert request.url == f"https://bucket.s3.eu-west-1.amazonaws.com/{ORIGINAL}"
    assert "/eu-west-1/s3/aws4_request" in request.headers["Authorization"]
    direct.forget()
    assert not direct.ready


class RecordingSession:
    """Keeps what it is to send."""

    def __init__(self) -> None:
        self.requests: list[AWSPreparedRequest] = []

    async def send(self, request: AWSPreparedRequest) -> object:
        self.requests.append(request)
        raise OSError("nobody is there")


CREDENTIALS = ("an id", "a secret", "a token")


def assert_signed(head: bytes, path: str) -> None:
    """That the signature is the one of the request as it arrived."""
    line, *lines = head.decode().strip().split("\r\n")
    method, target, _ = line.split()
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert target == path
    assert headers["x-amz-security-token"] == CREDENTIALS[2]
    scope, signed, signature = re.findall(r"=([^,]+)", headers["authorization"])
    names = ("host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token")
    assert set(names) <= set(signed.split(";"))
    request = AWSRequest(
        method, f"http://{headers['host']}{target}", {name: headers[name] for name in signed.split(";")}
    )
    request.context["timestamp"] = headers["x-amz-date"]
    auth = S3SigV4Auth(ReadOnlyCredentials(*CREDENTIALS), "s3", scope.split("/")[2])
    string = auth.string_to_sign(request, auth.canonical_request(request))
    assert auth.signature(string, request) == signature
