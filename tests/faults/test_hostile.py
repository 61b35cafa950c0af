"""Attacks through nginx on a running stack: how they end, what they cost, and what others notice."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Final

import httpx2
import pytest

from tests import hostile, pictures
from tests.e2e import calls
from tests.faults import siege
from tests.faults.attackers import attacking, hostile_picture, random_id, unknown_key
from tests.faults.figures import figure, figures, share
from tests.faults.load import Load, outcome
from tests.hostile import Attack, End
from tests.stack import Stack

MAX_BOX_BYTES: Final = 1_000_000_000
DEADLINE_SECONDS: Final = 30
ANSWER_SECONDS: Final = {End.TOO_LARGE: 0.25, End.WALK: 0.25, End.BOX: 2, End.PICTURE: DEADLINE_SECONDS}
CODES: Final = {
    End.TOO_LARGE: "IMAGE_DIMENSIONS_TOO_LARGE",
    End.WALK: "INVALID_IMAGE_FORMAT",
    End.BOX: "INVALID_IMAGE_FORMAT",
}
ATTACKS: Final = hostile.attacks()
SAMPLE: Final = [attack for attack in ATTACKS if not attack.heavy][::8]
ROUNDS: Final = 5
SECONDS: Final = 10
MEGABYTE: Final = 1_000_000
FULL = pytest.mark.faults


@pytest.fixture(scope="module")
def stranger(stack: Stack) -> Iterator[httpx2.Client]:
    with calls.client(stack, stack.create_account("unlimited")) as client:
        yield client


@pytest.fixture(scope="module")
def cdn(stack: Stack) -> Iterator[httpx2.Client]:
    with calls.client(stack) as client:
        yield client


@pytest.fixture(scope="module")
def other_key(stack: Stack) -> str:
    """Of an account that attacks nobody."""
    return stack.create_account("unlimited")


def is_right(answer: httpx2.Response, attack: Attack, cdn: httpx2.Client) -> bool:
    if attack.end in CODES:
        return calls.refusal(answer) == (400, CODES[attack.end])
    if answer.status_code != 200:
        return False
    first, *_ = siege.views(cdn, answer.json()["image_id"])
    return attack.show is None or hostile.alike(first, attack.show())


@pytest.mark.parametrize("attacks", [SAMPLE, pytest.param(ATTACKS, marks=FULL)], ids=["some", "all"])
def test_every_attack_is_answered_and_the_box_stays_small(
    attacks: list[Attack], stack: Stack, stranger: httpx2.Client, cdn: httpx2.Client
) -> None:
    seconds: dict[End, list[float]] = {end: [] for end in End}
    wrong, late, peaks = [], [], {}
    for attack in attacks:
        data = attack.make()
        siege.forget_peaks(stack)
        began = time.perf_counter()
        answer = siege.send(stranger, data)
        took = time.perf_counter() - began
        peaks[attack.name] = siege.highest_peak(stack)
        seconds[attack.end].append(took)
        if took > ANSWER_SECONDS[attack.end]:
            late.append(f"{attack.name}: {took:.2f} s")
        if not is_right(answer, attack, cdn):
            wrong.append(f"{attack.name}: {answer.status_code}")
    for end, values in seconds.items():
        figures(f"attacks that end as {end}", values)
    worst = max(peaks, key=peaks.__getitem__)
    figure("highest memory of a box", f"{peaks[worst] / MEGABYTE:.0f} MB ({worst})")
    assert not wrong
    assert peaks[worst] < MAX_BOX_BYTES
    assert len(attacks) < len(ATTACKS) or not late


@pytest.mark.parametrize("make", [pictures.jpeg, pictures.png, pictures.webp])
@pytest.mark.faults
def test_a_picture_that_is_cut_short_anywhere_is_refused(make: hostile.Make, stranger: httpx2.Client) -> None:
    for data in hostile.truncations(make):
        answer = siege.send(stranger, data) if data else None
        assert answer is None or calls.refusal(answer)[0] == 400


def test_an_output_blown_up_by_one_side_is_refused_before_any_pixel(
    stranger: httpx2.Client, cdn: httpx2.Client
) -> None:
    image_id = calls.upload(stranger, pictures.png(12_000, 10))["image_id"]
    assert calls.refusal(cdn.get(f"/{image_id}?h=4096")) == (400, "INVALID_PARAMETER")
    assert cdn.get(f"/{image_id}?w=4096&h=4096").status_code == 200


@pytest.mark.parametrize("count", [4, pytest.param(20, marks=FULL)])
def test_the_largest_legal_pictures_at_once_are_taken_or_told_to_wait(
    stack: Stack, stranger: httpx2.Client, cdn: httpx2.Client, count: int
) -> None:
    heavy = [attack for attack in ATTACKS if attack.heavy]
    quick = [attack for attack in heavy if attack.name.startswith("png of 1 bit")]
    bodies = [attack.make() for attack in (heavy if count == 20 else quick)]

    def one(number: int) -> tuple[float, httpx2.Response]:
        began = time.perf_counter()
        answer = siege.send(stranger, bodies[number % len(bodies)])
        return time.perf_counter() - began, answer

    siege.forget_peaks(stack)
    with ThreadPoolExecutor(count) as threads:
        answers = list(threads.map(one, range(count)))
    taken = [(took, answer) for took, answer in answers if answer.status_code == 200]
    refused = [(took, answer) for took, answer in answers if answer.status_code == 503]
    figures(f"of {count} of the largest at once, those taken", [took for took, _ in taken])
    figures(f"of {count} of the largest at once, those told to wait", [took for took, _ in refused])
    assert len(taken) + len(refused) == count
    assert all(int(answer.headers["retry-after"]) > 0 for _, answer in refused)
    assert taken
    assert siege.highest_peak(stack) < MAX_BOX_BYTES
    for _, answer in taken:
        assert cdn.get(f"/{answer.json()['image_id']}?w=100").status_code == 200
    assert siege.send(stranger, pictures.jpeg()).status_code == 200


def upload(client: httpx2.Client, number: int) -> str:
    return outcome(siege.send(client, pictures.jpeg(400, 300, Q=60 + number % 30), f"user {number}"))


def compare(
    claim: str, make_load: Callable[[], Load], attack: Callable[[], AbstractContextManager[Counter[str]]]
) -> Counter[str]:
    """The load alone and during the attack, in turn, so that slow moments of the machine fall on both.

    What the attacks got. The bound is for the median of the rounds.
    """
    before, during, attacks, ratios = [], [], Counter[str](), []
    for _ in range(ROUNDS):
        alone = make_load().run_for(SECONDS)
        with attack() as found:
            meanwhile = make_load().run_for(SECONDS)
        assert set(alone.outcomes) == set(meanwhile.outcomes) == {"200"}, (alone.outcomes, meanwhile.outcomes)
        before += alone.seconds
        during += meanwhile.seconds
        attacks += found
        ratios.append(share(meanwhile.seconds, 0.99) / share(alone.seconds, 0.99))
    figures(f"{claim}: before", before)
    figures(f"{claim}: meanwhile", during)
    rounds = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    figure(f"{claim}: the p99 times", f"{median(ratios):.2f}, of {rounds}, beside {dict(attacks)}")
    assert median(ratios) <= 2
    return attacks


@pytest.mark.faults
@pytest.mark.parametrize("heavy", [False, True], ids=["small attacks", "the largest pictures"])
def test_anothers_small_uploads_take_at_most_twice_as_long_during_attacks(
    stack: Stack, other_key: str, heavy: bool, tmp_path: Path
) -> None:
    bodies = []
    for number, attack in enumerate(one for one in ATTACKS if one.heavy == heavy):
        bodies.append(tmp_path / str(number))
        bodies[-1].write_bytes(attack.make())
    attacker = stack.create_account("unlimited")
    attacks = compare(
        f"small uploads during {'the largest pictures' if heavy else 'small attacks'}",
        lambda: Load(stack, upload, key=other_key, clients=2),
        lambda: attacking(stack, hostile_picture, attacker, bodies),
    )
    assert set(attacks) <= {"200", "400", "503"}


@pytest.mark.faults
def test_a_flood_of_unknown_keys_costs_a_known_one_at_most_twice_its_time(
    stack: Stack, other_key: str
) -> None:
    def known(client: httpx2.Client, _: int) -> str:
        return outcome(client.get("/v1/images?limit=1"))

    attacks = compare(
        "calls with a known key during a flood of unknown ones",
        lambda: Load(stack, known, key=other_key, clients=2),
        lambda: attacking(stack, unknown_key),
    )
    assert set(attacks) == {"401"}


@pytest.mark.faults
def test_a_flood_of_random_ids_costs_hits_at_most_twice_their_time(
    stack: Stack, stranger: httpx2.Client
) -> None:
    image_id = calls.upload(stranger, pictures.jpeg(600, 400))["image_id"]

    def hit(client: httpx2.Client, _: int) -> str:
        return outcome(client.get(f"/{image_id}?w=200"))

    attacks = compare(
        "hits during a flood of random ids",
        lambda: Load(stack, hit, clients=2),
        lambda: attacking(stack, random_id),
    )
    assert set(attacks) == {"404"}
