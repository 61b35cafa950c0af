"""SSIMULACRA2 and bytes: of what each server returns, and of masters against originals.

The measure is the PyPI package of that name, in a virtual environment of its own.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import pyvips

from libs.pictures import Format, Rendition, best_rung
from services.ingest.renditions import Made, decode, make
from services.transform.masters import Master
from services.transform.options import Options, Output, resolve
from services.transform.render import encode, render
from tests.bench.cold import EQUAL, ROWS
from tests.bench.figures import Figures
from tests.bench.progress import say
from tests.bench.setting import FOLDER, Setting
from tests.corpus import FOLDER as CORPUS

SIDES: Final = (64, 150, 400, 800)
FORMATS: Final = (Format.JPEG, Format.WEBP)
MASTERS: Final = "a variant from its master against one from the original"
SCORER: Final = """
import json, sys
from concurrent.futures import ProcessPoolExecutor
from ssimulacra2 import compute_ssimulacra2
def score(pair):
    return compute_ssimulacra2(*pair)
if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        json.dump(list(pool.map(score, json.load(sys.stdin))), sys.stdout)
"""


class Pair(msgspec.Struct, frozen=True):
    """The same variant from its master and from the original: bytes, and points of SSIMULACRA2."""

    photo: str
    variant: str
    format: Format
    master_bytes: int
    original_bytes: int
    master_score: float
    original_score: float

    @property
    def lost(self) -> float:
        return self.original_score - self.master_score

    @property
    def growth(self) -> float:
        return self.master_bytes / self.original_bytes - 1


class Scores:
    """Collects pictures in a folder, and measures all of them at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pairs: list[tuple[str, str]] = []
        self._python = _installed()

    def add(self, reference: pyvips.Image, picture: bytes) -> None:
        """`reference` is without loss, and of the same size."""
        names = [str(self._folder / f"{len(self._pairs)}-{end}.png") for end in ("reference", "picture")]
        reference.pngsave(names[0], compression=1)
        image = pyvips.Image.new_from_buffer(picture, "")
        if (image.width, image.height) != (reference.width, reference.height):
            raise RuntimeError(f"{image.width} x {image.height}, not {reference.width} x {reference.height}")
        image.pngsave(names[1], compression=1)
        self._pairs.append((names[0], names[1]))

    def all(self) -> list[float]:
        done = subprocess.run(
            [str(self._python), str(self._script())],
            input=json.dumps(self._pairs),
            capture_output=True,
            text=True,
            check=True,
        )
        scores: list[float] = json.loads(done.stdout)
        return scores

    def _script(self) -> Path:
        path = self._folder / "score.py"
        path.write_text(SCORER)
        return path


def measure_peers(at: Setting, figures: Figures) -> None:
    """Bytes and score of the variant of every row that others render too."""
    say("scores of what each returns")
    with tempfile.TemporaryDirectory() as folder:
        scores, names = Scores(Path(folder)), []
        for row in ROWS:
            photo = at.photos[row.photo]
            base = f"http://127.0.0.1:{at.stack.port}/{photo.image_id}"
            urls = {"ours": f"{base}?{row.query}"}
            if row.equal:
                urls[EQUAL] = f"{base}?{row.equal}"
            for name in row.peers:
                peer = at.peer(name)
                template = peer.square if row.target.format is Format.JPEG else peer.wide
                urls[name] = f"http://127.0.0.1:{peer.ports[0]}" + template.format(
                    name=peer.files.make(photo.file, 1)[0]
                )
            original = pyvips.Image.new_from_file(str(photo.file)).copy_memory()
            options = Options(row.target.width, row.target.height, format=row.target.format)
            reference = _scaled(original, _output(original, options))
            for name, url in urls.items():
                with urllib.request.urlopen(url, timeout=60) as answer:
                    picture = answer.read()
                figures.add(row.name, name, "bytes of the picture", len(picture))
                scores.add(reference, picture)
                names.append((row.name, name))
        for (row_name, name), score in zip(names, scores.all(), strict=True):
            figures.add(row_name, name, "SSIMULACRA2", score)


def measure_masters(figures: Figures) -> list[Pair]:
    """Every corpus photo at every size and format, from its master and from the original."""
    say("quality of masters against originals")
    found: list[Pair] = []
    with tempfile.TemporaryDirectory() as folder:
        scores = Scores(Path(folder))
        for photo in sorted((CORPUS / "photos").iterdir()):
            found += _photo(photo, Path(folder), scores)
        numbers = scores.all()
    pairs = [
        msgspec.structs.replace(pair, master_score=first, original_score=second)
        for pair, first, second in zip(found, numbers[::2], numbers[1::2], strict=True)
    ]
    for pair in pairs:
        figures.add(MASTERS, "points lost", "SSIMULACRA2", pair.lost)
        figures.add(MASTERS, "bytes", "% apart", abs(pair.growth) * 100)
    for kind in FORMATS:
        some = [pair for pair in pairs if pair.format is kind]
        total = sum(pair.master_bytes for pair in some) / sum(pair.original_bytes for pair in some) - 1
        figures.add(MASTERS, f"points lost, {kind}", "median SSIMULACRA2", median(pair.lost for pair in some))
        figures.add(MASTERS, f"bytes of all, {kind}", "% more", total * 100)
    return pairs


def _photo(photo: Path, folder: Path, scores: Scores) -> list[Pair]:
    data = photo.read_bytes()
    uploaded = Format.JPEG if photo.suffix == ".jpg" else Format.PNG
    home = folder / photo.stem
    home.mkdir()
    made = {each.name: each for each in make(decode(data, uploaded), uploaded, home)}
    full = made["full"].meta
    original = pyvips.Image.new_from_buffer(data, "").colourspace("srgb").copy_memory()
    pairs = []
    for side, square, kind in itertools.product(SIDES, (False, True), FORMATS):
        options = Options(side, side if square else None, format=kind)
        if side > min(full.width, full.height):
            continue
        pairs.append(_pair(photo.stem, original, made, options, scores))
    return pairs


def _pair(
    photo: str, original: pyvips.Image, made: dict[str, Made], options: Options, scores: Scores
) -> Pair:
    full = made["full"].meta
    output = resolve(options, full)
    assert output is not None
    best = made[best_rung(full.full_width, full.full_height, options.longer_side)]
    reference = _scaled(original, output)
    if reference.hasalpha():
        reference = reference.flatten(background=[255, 255, 255])
    from_master = render(Master(best.path.read_bytes(), best.meta), output)
    from_original = encode(reference, output)
    scores.add(reference, from_master)
    scores.add(reference, from_original)
    shape = f"{options.width}x{options.height}" if options.height else f"{options.width} wide"
    assert options.format is not None
    return Pair(photo, shape, options.format, len(from_master), len(from_original), 0.0, 0.0)


def _output(original: pyvips.Image, options: Options) -> Output:
    width, height = original.width, original.height
    picture = Rendition(
        width=width,
        height=height,
        bands=original.bands,
        format=Format.JPEG,
        full_width=width,
        full_height=height,
        uploaded=Format.JPEG,
    )
    output = resolve(options, picture)
    assert output is not None
    return output


def _scaled(original: pyvips.Image, output: Output) -> pyvips.Image:
    """All of the original in the output's size, without loss: edges on edges, in both directions."""
    scaled = original.thumbnail_image(output.scaled_width, height=output.scaled_height, size="force")
    left, top = (scaled.width - output.width) // 2, (scaled.height - output.height) // 2
    return scaled.crop(left, top, output.width, output.height).copy_memory()


def _installed() -> Path:
    """The Python that has the package, installed where it is not yet."""
    home = FOLDER / "ssimulacra2"
    python = home / "bin" / "python"
    if not (home / "bin" / "ssymulacra2").exists():
        say("installing ssimulacra2")
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "ssimulacra2"], check=True)
    return python
