"""What attacks cost the stack: the memory of every process, and what a picture looks like from outside."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx2
import psutil
import pyvips

from tests.e2e import calls
from tests.stack import Stack

SIZES: Final = ("", "?w=1", "?w=150&h=150", "?w=400&f=webp", "?h=333&f=png", "?w=700&h=40&f=jpg")
SERVICES: Final = ("auth", "ingest", "transform")


def workers(stack: Stack) -> list[psutil.Process]:
    """The boxes of every ingest."""
    return [child for pid in stack.pids("ingest") for child in psutil.Process(pid).children(recursive=True)]


def forget_peaks(stack: Stack) -> None:
    """The kernel's peak of every box begins anew."""
    for worker in workers(stack):
        Path(f"/proc/{worker.pid}/clear_refs").write_text("5")


def highest_peak(stack: Stack) -> int:
    """The most memory that any box has held since, in bytes; one that was killed meanwhile is not counted."""
    return max((_status(worker.pid, "VmHWM") for worker in workers(stack)), default=0)


def memory(stack: Stack) -> dict[str, int]:
    """Resident bytes of each service, its boxes apart."""
    held = {service: sum(_status(pid, "VmRSS") for pid in stack.pids(service)) for service in SERVICES}
    return held | {"boxes": sum(_status(worker.pid, "VmRSS") for worker in workers(stack))}


def _status(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)


def send(api: httpx2.Client, data: bytes, user_id: str = "stranger") -> httpx2.Response:
    return api.post("/v1/upload", data={"user_id": user_id}, files={"image": ("a.jpg", io.BytesIO(data))})


def views(cdn: httpx2.Client, image_id: str) -> Iterator[pyvips.Image]:
    """The picture at every one of SIZES; one whose proportions make an output too large is left out."""
    for query in SIZES:
        answer = cdn.get(f"/{image_id}{query}")
        if answer.status_code == 400:
            assert calls.refusal(answer) == (400, "INVALID_PARAMETER")
            continue
        assert answer.status_code == 200, (query, answer.text)
        yield pyvips.Image.new_from_buffer(answer.content, "", fail_on="warning").copy_memory()
