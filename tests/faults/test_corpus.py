"""Real and fuzzed pictures through nginx: no 5xx, no crash, no growth, and the right pictures."""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import pyvips

from tests import hostile
from tests.corpus import corpus
from tests.e2e import calls, pixels
from tests.faults import siege
from tests.faults.figures import figure
from tests.stack import Stack

FOLDERS = ("pngsuite", "jpeg-fuzz", "exif-orientation")
GROWTH = 1.05
MEGABYTE = 1_000_000
PROGRAMS = ("auth", "ingest", "transform", "nginx", "redis", "postgres")


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[httpx2.Client]:
    with calls.client(stack, stack.create_account("unlimited")) as client:
        yield client


@pytest.fixture(scope="module")
def cdn(stack: Stack) -> Iterator[httpx2.Client]:
    with calls.client(stack) as client:
        yield client


def files() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted(corpus(folder).iterdir())]


def take(path: Path, api: httpx2.Client, cdn: httpx2.Client) -> str:
    """Uploads the file and looks at it from outside; gives "accepted" or the code of the refusal."""
    answer = siege.send(api, path.read_bytes())
    if answer.status_code != 200:
        status, code = calls.refusal(answer)
        assert status == 400, (path.name, code)
        return code
    body = answer.json()
    first, *_ = siege.views(cdn, body["image_id"])
    assert {"width": first.width, "height": first.height} == body["dimensions"], path.name
    return "accepted"


def test_a_sample_of_the_corpus_is_taken_or_refused_and_never_fails(
    api: httpx2.Client, cdn: httpx2.Client
) -> None:
    chosen = random.Random(2).sample(files(), 40)
    found = {take(path, api, cdn) for path in chosen}
    assert {"accepted", "INVALID_IMAGE_FORMAT"} <= found


@pytest.mark.faults
def test_the_whole_corpus_twice_leaves_the_stack_as_it_was(
    stack: Stack, api: httpx2.Client, cdn: httpx2.Client
) -> None:
    pids = {program: stack.pids(program) for program in PROGRAMS}
    paths = files()
    outcomes, held = [], []
    for _ in range(2):
        outcomes.append({path: take(path, api, cdn) for path in paths})
        held.append(siege.memory(stack))
    middle, end = held
    figure("files of the corpus, each pass", dict(Counter(outcomes[0].values())))
    figure("memory in the middle, MB", {name: value // MEGABYTE for name, value in middle.items()})
    figure("memory at the end, MB", {name: value // MEGABYTE for name, value in end.items()})
    figure("memory at the end, of the middle", f"{sum(end.values()) / sum(middle.values()):.3f}")
    assert len(paths) == 2220
    assert outcomes[0] == outcomes[1]
    assert {program: stack.pids(program) for program in PROGRAMS} == pids
    assert sum(end.values()) <= GROWTH * sum(middle.values())


@pytest.mark.faults
def test_every_file_of_pngsuite_is_taken_or_refused_by_its_name_and_renders_right(
    api: httpx2.Client, cdn: httpx2.Client
) -> None:
    wrong = []
    for path in sorted(corpus("pngsuite").glob("*.png")):
        answer = siege.send(api, path.read_bytes())
        if path.name.startswith("x"):
            right = answer.status_code == 400
        else:
            first, *_ = siege.views(cdn, answer.json()["image_id"])
            right = hostile.alike(first, shown(path))
        if not right:
            wrong.append(path.name)
    assert not wrong


def shown(path: Path) -> pyvips.Image:
    """What libvips makes of a PNG by itself."""
    image = pixels.upright(path).cast("uchar")
    if image.hasalpha() and image[image.bands - 1].min() == 255:
        return image.extract_band(0, n=image.bands - 1)
    return image
