"""Uploads of an avatar, everything written durably, beside a bare loop of the same decodes and encodes."""

import http.client
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from subprocess import PIPE, Popen
from typing import Final

from deploy.local.programs import CHECKOUT
from libs.pictures import Format
from services.ingest.renditions import decode, make
from tests.bench.figures import Figures
from tests.bench.progress import say
from tests.bench.setting import Setting
from tests.e2e.calls import MULTIPART, form, part

ROW: Final = "uploads of 800x600 JPEG, 245 KB"
CLIENTS: Final = 8
CORES: Final = 2


class Uploader:
    """One client, one connection."""

    def __init__(self, at: Setting, body: bytes) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", at.stack.port, timeout=60)
        self._headers = {**MULTIPART, "Authorization": f"Bearer {at.key}"}
        self._body = body

    def run(self, seconds: float) -> list[float]:
        """The seconds that each upload took."""
        ends, taken = time.perf_counter() + seconds, []
        while time.perf_counter() < ends:
            taken.append(self._upload())
        return taken

    def count(self, uploads: int) -> None:
        for _ in range(uploads):
            self._upload()

    def _upload(self) -> float:
        began = time.perf_counter()
        self._connection.request("POST", "/v1/upload", self._body, self._headers)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"an upload was answered with {answer.status}")
        return time.perf_counter() - began


def body(picture: Path) -> bytes:
    """The form of an upload of `picture`."""
    return form(
        part("user_id", b"bench"),
        part("image", picture.read_bytes(), 'filename="avatar.jpg"', content_type="image/jpeg"),
    )


def measure(at: Setting, figures: Figures) -> None:
    say(ROW)
    picture = at.photos["avatar"].file
    alone = Uploader(at, body(picture)).run(at.seconds / 2)
    figures.add(ROW, "ours, alone", "p50 ms", median(alone) * 1000)
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as threads:
        clients = [Uploader(at, body(picture)) for _ in range(CLIENTS)]
        taken = [
            each for done in threads.map(lambda client: client.run(at.seconds), clients) for each in done
        ]
    figures.add(ROW, "ours", "requests/s", len(taken) / (time.perf_counter() - began))
    figures.add(ROW, "ours", "p50 ms", median(taken) * 1000)
    figures.add(ROW, "bare loop", "requests/s", _bare(picture, at.seconds / 2))


def _bare(picture: Path, seconds: float) -> float:
    """What ingest's box does, a second, on all cores together: no server, no store."""
    command = [sys.executable, "-m", "tests.bench.uploads", str(picture), str(seconds)]
    processes = [Popen(command, stdout=PIPE, cwd=CHECKOUT) for _ in range(CORES)]
    return sum(float(process.communicate()[0]) for process in processes)


def main(picture: Path, seconds: float) -> None:
    data, count = picture.read_bytes(), 0
    with tempfile.TemporaryDirectory() as folder:
        make(decode(data, Format.JPEG), Format.JPEG, Path(folder))
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            make(decode(data, Format.JPEG), Format.JPEG, Path(folder))
            count += 1
        sys.stdout.write(str(count / (time.perf_counter() - began)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
