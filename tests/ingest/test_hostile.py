"""Every attack ends where it should: at the walk, in the box, or as the right picture."""

import random
from collections import Counter
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

import anyio
import pytest
import pyvips

from libs.errors import IMAGE_DIMENSIONS_TOO_LARGE, INVALID_IMAGE_FORMAT, ApiError, Unavailable
from libs.pictures import FULL, best_rung
from services.ingest import raw_alpha
from services.ingest.inspect import Inspected, inspect
from services.ingest.renditions import Made
from services.ingest.sandbox import MAX_ACCOUNT_PIXELS, Limits, Sandbox, open_sandbox
from services.transform.masters import Master
from services.transform.options import Options, resolve
from services.transform.render import render
from tests import flat, forgeries, hostile, pictures
from tests.corpus import corpus
from tests.e2e import pixels
from tests.hostile import Attack, End
from tests.ingest.test_sandbox import teardown_module as teardown_module

pytestmark = pytest.mark.anyio

LIMITS: Final = Limits(deadline_seconds=60, cpu_seconds=20, memory_bytes=1_750_000_000)
LIGHT: Final = [attack for attack in hostile.attacks() if not attack.heavy]
SIZES: Final = [(None, None), (1, 1), (150, 150), (400, None), (None, 333), (700, 40)]
SAMPLE: Final = 60


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def box() -> AsyncGenerator[Sandbox]:
    async with open_sandbox(1, 4, LIMITS) as sandbox:
        await sandbox.start()
        yield sandbox


class Taken:
    """What became of an upload, by both steps; `code` is that of its refusal."""

    def __init__(self) -> None:
        self.inspected: Inspected | None = None
        self.made: list[Made] = []
        self.code = ""


async def take(data: bytes, box: Sandbox, folder: Path, account: str = "a") -> Taken:
    source = folder / "source"
    source.write_bytes(data)
    taken = Taken()
    try:
        taken.inspected = inspect(source)
        taken.made = await box.render(account, source, taken.inspected, folder)
    except Unavailable:
        raise
    except ApiError as error:
        taken.code = error.problem.code
    return taken


def where(taken: Taken) -> End:
    if taken.made:
        return End.PICTURE
    if taken.code == IMAGE_DIMENSIONS_TOO_LARGE.code:
        assert taken.inspected is None
        return End.TOO_LARGE
    assert taken.code == INVALID_IMAGE_FORMAT.code
    return End.BOX if taken.inspected else End.WALK


def full(made: list[Made]) -> pyvips.Image:
    # Of bytes: libvips remembers files by their names.
    return pyvips.Image.new_from_buffer(made[0].path.read_bytes(), "")


def variants(made: list[Made]) -> list[pyvips.Image]:
    """The picture at several sizes, as transform makes them."""
    meta = made[0].meta
    masters = {one.name: Master(one.path.read_bytes(), one.meta) for one in made}
    rendered = []
    for width, height in SIZES:
        options = Options(width, height)
        try:
            output = resolve(options, meta)
        except ApiError:
            continue  # of too large an output, however the picture came here
        name = best_rung(meta.full_width, meta.full_height, options.longer_side) if output else FULL
        data = render(masters[name], output) if output else masters[name].data
        image = pyvips.Image.new_from_buffer(data, "", fail_on="warning").copy_memory()
        expected = (output.width, output.height) if output else (meta.full_width, meta.full_height)
        assert (image.width, image.height) == expected
        rendered.append(image)
    return rendered


def test_every_attack_has_a_name_of_its_own() -> None:
    names = [attack.name for attack in hostile.attacks()]
    assert len(set(names)) == len(names) > 90


@pytest.mark.parametrize("attack", LIGHT, ids=lambda attack: attack.name)
async def test_an_attack_ends_where_it_should(attack: Attack, box: Sandbox, tmp_path: Path) -> None:
    taken = await take(attack.make(), box, tmp_path)
    assert where(taken) is attack.end
    if attack.show:
        assert hostile.alike(full(taken.made), attack.show())
        variants(taken.made)


@pytest.mark.parametrize("make", [pictures.jpeg, pictures.png, pictures.webp])
async def test_a_picture_that_is_cut_short_anywhere_is_refused(
    make: hostile.Make, box: Sandbox, tmp_path: Path
) -> None:
    for data in hostile.truncations(make):
        assert not (await take(data, box, tmp_path)).made


async def test_nothing_after_the_end_of_a_picture_gets_into_a_rendition(box: Sandbox, tmp_path: Path) -> None:
    tailed = [attack for attack in LIGHT if "after its end" in attack.name]
    assert len(tailed) == 12
    for attack in tailed:
        taken = await take(attack.make(), box, tmp_path)
        for one in taken.made:
            stored = one.path.read_bytes()
            assert not [mark for mark in forgeries.TAIL_MARKS if mark in stored]


async def test_raw_alpha_is_the_same_picture(tmp_path: Path) -> None:
    """As written for pictures that libwebp could not compress within our memory."""
    for width, height in ((61, 43), (60, 40)):
        image = pictures.gradient(width, height, 4)
        raw_alpha.save(image, tmp_path / "raw.webp", 95)
        saved = pyvips.Image.new_from_buffer((tmp_path / "raw.webp").read_bytes(), "", fail_on="warning")
        assert (saved[3] - image[3]).abs().max() == 0
        assert hostile.alike(saved, image)


async def test_what_goes_wrong_once_it_is_decoded_is_not_the_pictures_fault(
    box: Sandbox, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(pictures.webp())
    with pytest.raises(Unavailable):
        await box.render("a", source, inspect(source), tmp_path / "nowhere")


async def test_one_account_gets_no_more_pixels_into_the_queue_than_are_done_in_time(tmp_path: Path) -> None:
    async with open_sandbox(2, 20, LIMITS) as box:
        await box.start()
        data = flat.png(*forgeries.LARGEST, 1, 0)
        ends: list[tuple[str, bool]] = []

        async def one(account: str, number: int, picture: bytes) -> None:
            folder = tmp_path / f"{account} {number}"
            folder.mkdir()
            try:
                ends.append((account, bool((await take(picture, box, folder, account)).made)))
            except Unavailable:
                ends.append((account, False))

        async with anyio.create_task_group() as group:
            for number in range(MAX_ACCOUNT_PIXELS // 50_000_000 + 2):
                group.start_soon(one, "greedy", number, data)
            group.start_soon(one, "small", 0, pictures.png())
        assert Counter(ends) == {("greedy", True): 3, ("greedy", False): 2, ("small", True): 1}


async def test_every_file_of_pngsuite_is_taken_or_refused_by_its_name(box: Sandbox, tmp_path: Path) -> None:
    files = sorted(corpus("pngsuite").glob("*.png"))
    wrong = []
    for path in files:
        taken = await take(path.read_bytes(), box, tmp_path)
        corrupt = path.name.startswith("x")
        right = not taken.made if corrupt else taken.made and hostile.alike(full(taken.made), shown(path))
        if not right:
            wrong.append(f"{path.name}: {taken.code}")
        elif taken.made:
            variants(taken.made)
    assert len(files) == 175
    assert not wrong


def shown(path: Path) -> pyvips.Image:
    """What libvips makes of a PNG by itself."""
    image = pixels.upright(path)
    image = image.cast("uchar") if image.format != "uchar" else image
    if image.hasalpha() and image[image.bands - 1].min() == 255:
        return image.extract_band(0, n=image.bands - 1)
    return image


async def test_what_is_taken_of_the_fuzzed_jpegs_renders_at_every_size(box: Sandbox, tmp_path: Path) -> None:
    files = sorted(corpus("jpeg-fuzz").glob("*.jpg"))
    chosen = random.Random(1).sample(files, SAMPLE)
    taken = 0
    for path in chosen:
        result = await take(path.read_bytes(), box, tmp_path)
        if result.made:
            variants(result.made)
            taken += 1
    assert 0 < taken < SAMPLE


def test_pictures_of_one_colour_are_what_they_claim() -> None:
    for data in (flat.jpeg(70, 50), flat.progressive(70, 50, 100), flat.png(70, 50, 2, 3, interlaced=True)):
        image = pyvips.Image.new_from_buffer(data, "", fail_on="warning")
        assert (image.width, image.height) == (70, 50)
        assert hostile.alike(image, forgeries.of_one_colour(70, 50, *flat.COLOUR), tolerance=1)
