"""The box: what goes in, what comes out, and how it ends where it must."""

import gc
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import anyio
import msgspec
import psutil
import pytest
import pyvips
from anyio import to_process

from libs.errors import ApiError, Unavailable
from libs.pictures import FULL, Format
from services.ingest.inspect import InvalidImage, inspect
from services.ingest.renditions import Made
from services.ingest.sandbox import MIN_IDLE_SECONDS, SMALL_BYTES, STARVED, Limits, Sandbox, open_sandbox
from tests import pictures

# A worker that was killed is dropped by anyio with its pipes open, to be found by the garbage collector.
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

CORES = os.cpu_count() or 1
NewSandbox = Callable[..., Awaitable[Sandbox]]
LIMITS = Limits(deadline_seconds=20, cpu_seconds=20, memory_bytes=1_500_000_000)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def new_sandbox() -> AsyncGenerator[NewSandbox]:
    async with AsyncExitStack() as stack:

        async def new(workers: int = 1, queue: int = 4, limits: Limits = LIMITS) -> Sandbox:
            return await stack.enter_async_context(open_sandbox(workers, queue, limits))

        yield new


def teardown_module() -> None:
    """anyio ends its workers with the event loop, too late for their pipes to be closed politely."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    sys.unraisablehook = hook


async def render(data: bytes, folder: Path, sandbox: Sandbox | None = None, account: str = "a") -> list[Made]:
    if sandbox is None:
        async with open_sandbox(1, 4, LIMITS) as sandbox:
            return await render(data, folder, sandbox, account)
    made = Path(tempfile.mkdtemp(dir=folder))
    source = made / "source"
    source.write_bytes(data)
    return await sandbox.render(account, source, inspect(source), made)


@contextmanager
def busy_cores() -> Iterator[None]:
    """Every core has more to do than it can."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * CORES)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def opened(made: list[Made]) -> pyvips.Image:
    return pyvips.Image.new_from_file(str(made[0].path))


async def test_a_large_picture_gets_every_rung(tmp_path: Path) -> None:
    made = await render(pictures.jpeg(3000, 2000), tmp_path)
    assert [(one.name, one.meta.width, one.meta.height, one.meta.format) for one in made] == [
        ("full", 3000, 2000, "jpg"),
        ("1280", 1920, 1280, "jpg"),
        ("512", 768, 512, "raw"),
        ("320", 480, 320, "raw"),
    ]
    assert all((one.meta.full_width, one.meta.full_height) == (3000, 2000) for one in made)
    assert made[-1].path.stat().st_size == 480 * 320 * 3


async def test_a_small_picture_is_its_own_rung(tmp_path: Path) -> None:
    made = await render(pictures.png(60, 40), tmp_path)
    assert [(one.name, one.meta.width, one.meta.height) for one in made] == [(FULL, 60, 40), ("320", 60, 40)]


async def test_alpha_survives_where_something_shows_through(tmp_path: Path) -> None:
    assert opened(await render(pictures.png(60, 40, bands=4), tmp_path)).bands == 4
    opaque = pictures.gradient(60, 40).bandjoin(255).copy(interpretation="srgb").pngsave_buffer()
    assert opened(await render(opaque, tmp_path)).bands == 3


@pytest.mark.parametrize(
    ("image", "saver"),
    [
        (pictures.gradient(60, 40, 1), "pngsave_buffer"),
        (pictures.gradient(60, 40, 2), "pngsave_buffer"),
        (pictures.gradient(60, 40).colourspace("rgb16"), "pngsave_buffer"),
        (pictures.gradient(60, 40, 4).colourspace("rgb16"), "pngsave_buffer"),
        (pictures.gradient(60, 40, 1).colourspace("grey16"), "pngsave_buffer"),
        (pictures.gradient(60, 40).colourspace("cmyk"), "jpegsave_buffer"),
        (pictures.gradient(60, 40, 1), "jpegsave_buffer"),
        (pictures.gradient(60, 40, 1), "webpsave_buffer"),
    ],
)
async def test_every_kind_of_pixel_becomes_8_bit_srgb(
    image: pyvips.Image, saver: str, tmp_path: Path
) -> None:
    data = getattr(image, saver)()
    result = opened(await render(data, tmp_path))
    assert (result.interpretation, result.format) == ("srgb", "uchar")
    expected = pyvips.Image.new_from_buffer(data, "").colourspace("srgb").cast("uchar")
    assert abs(result.avg() - expected.avg()) < 1.5


async def test_a_picture_that_does_not_decode_whole_is_refused(tmp_path: Path) -> None:
    data = bytearray(pictures.png(200, 200, compression=0))
    at = data.index(b"IDAT") + 4
    broken = data[:at] + b"\x78\x01\x55" + data[at + 3 :]
    broken_chunk_end = at + int.from_bytes(data[at - 8 : at - 4])
    body = bytes(broken[at - 4 : broken_chunk_end])
    fixed = (
        bytes(broken[: at - 8]) + pictures.chunk(b"IDAT", body[4:]) + bytes(broken[broken_chunk_end + 4 :])
    )
    with pytest.raises(InvalidImage, match="does not decode whole"):
        await render(fixed, tmp_path)


@pytest.mark.parametrize("kind", Format)
async def test_nothing_but_pixels_comes_out(kind: Format, tmp_path: Path) -> None:
    image = pictures.gradient(60, 40).copy()
    image.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Artist", "somebody")
    image.set_type(pyvips.GValue.blob_type, "xmp-data", b"<x:xmpmeta/>")
    data = image.write_to_buffer(f".{kind.value}")
    result = opened(await render(data, tmp_path))
    assert not {field for field in result.get_fields() if "exif" in field or "xmp" in field or "icc" in field}


async def test_our_own_limits_are_never_called_an_invalid_picture(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    big = pictures.png(4000, 4000)
    for limits in (
        Limits(deadline_seconds=0.05, cpu_seconds=20, memory_bytes=1_500_000_000),
        Limits(deadline_seconds=20, cpu_seconds=20, memory_bytes=60_000_000),
    ):
        sandbox = await new_sandbox(limits=limits)
        with pytest.raises(Unavailable, match="more time or memory than we give"):
            await render(big, tmp_path, sandbox)
    assert await render(pictures.png(), tmp_path)


async def test_a_worker_that_dies_costs_one_upload(tmp_path: Path, new_sandbox: NewSandbox) -> None:
    sandbox = await new_sandbox()
    await sandbox.start()
    pid = await to_process.run_sync(os.getpid)
    async with anyio.create_task_group() as group:

        async def kill() -> None:
            await anyio.sleep(0.05)
            for child in psutil.Process().children():  # other tests' servers are among them
                if "anyio.to_process" in child.cmdline():
                    child.send_signal(signal.SIGKILL)

        group.start_soon(kill)
        with pytest.raises(Unavailable):
            await render(pictures.png(6000, 6000), tmp_path, sandbox)
    assert not psutil.pid_exists(pid)
    assert await render(pictures.png(), tmp_path, sandbox)


async def test_a_full_queue_refuses_at_once_and_finishes_what_it_took(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = await new_sandbox(1, 1)
    ends: list[str] = []

    async def one(number: int) -> None:
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            await render(pictures.png(), folder, sandbox)
            ends.append("made")
        except Unavailable:
            ends.append("refused")

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(one, number)
    assert sorted(ends) == ["made", "made", "refused", "refused", "refused"]


async def test_one_account_leaves_half_of_the_workers_to_others(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = await new_sandbox(2, 20)
    await sandbox.start()
    order: list[str] = []

    async def one(account: str, number: int, size: int) -> None:
        folder = tmp_path / f"{account}{number}"
        folder.mkdir()
        await render(pictures.png(size, size), folder, sandbox, account)
        order.append(account)

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(one, "greedy", number, 1000)
        await anyio.sleep(0.01)
        group.start_soon(one, "small", 0, 40)
    assert order.index("small") < 3


async def test_a_file_that_is_large_or_of_many_parts_is_walked_in_a_worker_with_the_same_result(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(pictures.png())
    large.write_bytes(pictures.png(600, 600, compression=0))
    sandbox = await new_sandbox()
    many_parts = tmp_path / "many parts"
    many_parts.write_bytes(pictures.with_chunks(pictures.png(), [pictures.chunk(b"teXt", b"")] * 300))
    for source in (small, large, many_parts):
        assert await sandbox.inspect("a", source) == inspect(source)
    no_time_for_a_worker = await new_sandbox(
        limits=msgspec.structs.replace(LIMITS, deadline_seconds=0.000_001)
    )
    assert await no_time_for_a_worker.inspect("a", small) == inspect(small)
    for source in (large, many_parts):
        with pytest.raises(Unavailable):
            await no_time_for_a_worker.inspect("a", source)


@pytest.mark.parametrize("code", ["INVALID_IMAGE_FORMAT", "IMAGE_DIMENSIONS_TOO_LARGE"])
async def test_a_large_file_is_refused_as_a_small_one_is(
    tmp_path: Path, new_sandbox: NewSandbox, code: str
) -> None:
    size = 12_001 if code == "IMAGE_DIMENSIONS_TOO_LARGE" else 0
    sandbox = await new_sandbox()
    refused = []
    for length in (0, 2 * SMALL_BYTES):
        source = tmp_path / str(length)
        source.write_bytes(pictures.png_of([pictures.header(size, 1)]) + bytes(length))
        with pytest.raises(ApiError) as caught:
            await sandbox.inspect("a", source)
        refused.append((caught.value.problem.code, caught.value.details))
    assert refused[0] == refused[1]
    assert refused[0][0] == code


async def test_no_account_waits_for_more_than_one_walk_of_another(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    source = tmp_path / "large"
    source.write_bytes(pictures.png(600, 600, compression=0))
    sandbox = await new_sandbox()
    order: list[str] = []

    async def one(account: str) -> None:
        await sandbox.inspect(account, source)
        order.append(account)

    async with anyio.create_task_group() as group:
        for account in "aaab":
            group.start_soon(one, account)
    assert order == ["a", "b", "a", "a"]


async def in_order(tmp_path: Path, sandbox: Sandbox, *sides: int, pause_seconds: float = 0.01) -> list[int]:
    """The sides of square pictures, of an account each, in the order in which they were made."""
    order: list[int] = []

    async def one(side: int) -> None:
        await render(pictures.png(side, side), tmp_path, sandbox, str(side))
        order.append(side)

    async with anyio.create_task_group() as group:
        for side in sides:
            group.start_soon(one, side)
            await anyio.sleep(pause_seconds)
    return order


async def test_a_small_picture_waits_for_no_large_one(tmp_path: Path, new_sandbox: NewSandbox) -> None:
    sandbox = await new_sandbox()
    await sandbox.start()
    assert (await in_order(tmp_path, sandbox, 3000, 2999, 2998, 40))[0] == 40


async def test_a_large_picture_is_made_though_no_core_is_ever_idle_and_small_ones_pass_it(
    tmp_path: Path, new_sandbox: NewSandbox
) -> None:
    sandbox = await new_sandbox(limits=msgspec.structs.replace(LIMITS, idle_seconds=0))
    await sandbox.start()
    children = len(psutil.Process().children())
    starved = STARVED._value.get()
    with busy_cores():
        pause_seconds = MIN_IDLE_SECONDS + 0.5
        assert await in_order(tmp_path, sandbox, 5000, 40, pause_seconds=pause_seconds) == [40, 5000]
        await in_order(tmp_path, sandbox, 5000, 4999)
    assert STARVED._value.get() == starved + 3
    assert len(psutil.Process().children()) <= children + 1  # one more makes what was starved


async def test_bytes_after_the_end_do_not_change_the_picture(tmp_path: Path) -> None:
    plain = opened(await render(pictures.jpeg(), tmp_path)).avg()
    assert opened(await render(pictures.jpeg() + b"<?php system('id'); ?>", tmp_path)).avg() == plain
