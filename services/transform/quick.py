"""Small JPEGs from plain pixels, most of what an avatar service renders, without a thread (decisions/0021).

They hold the pixels that `render` gives.
"""

from io import BytesIO
from typing import Final

from PIL import Image

from libs.pictures import Format, Rendition
from services.transform.masters import Master
from services.transform.memory import Memory
from services.transform.options import Output
from services.transform.render import Pipeline

QUICK_PIXELS: Final = 256 * 256
FULL_COLOUR_QUALITY: Final = 90  # from here on libvips stores a JPEG's colour at full resolution
PIPELINES_BYTES: Final = 16_000_000
PIPELINES_SECONDS: Final = 600


def is_quick(master: Master, output: Output) -> bool:
    """Whether the render takes less than 3 ms."""
    return (
        master.meta.format == "raw"
        and output.format is Format.JPEG
        and output.scaled_width * output.scaled_height <= QUICK_PIXELS
    )


class Quick:
    """Keeps the pipelines that it makes. For one thread at a time."""

    def __init__(self) -> None:
        Image.preinit()  # its formats are modules, which it would import with the first picture
        self._pipelines: Memory[tuple[int, ...], Pipeline] = Memory(
            PIPELINES_BYTES, PIPELINES_SECONDS, lambda pipeline: pipeline.weight
        )

    def render(self, master: Master, output: Output) -> bytes:
        """The variant's bytes, where `is_quick`. Raises pyvips.Error only for a defect: masters are ours."""
        pixels = self._pipeline(master.meta, output).run(master.data)
        file = BytesIO()
        Image.frombuffer("RGB", (output.width, output.height), pixels, "raw", "RGB", 0, 1).save(
            file,
            "JPEG",
            quality=output.quality,
            subsampling="4:2:0" if output.quality < FULL_COLOUR_QUALITY else "4:4:4",
            optimize=True,
        )
        return file.getvalue()

    def _pipeline(self, meta: Rendition, output: Output) -> Pipeline:
        sizes = meta.width, meta.height, meta.bands, output.width, output.height
        key = *sizes, output.scaled_width, output.scaled_height
        pipeline = self._pipelines.get(key)
        if pipeline is None:
            pipeline = Pipeline(meta, output)
            self._pipelines.put(key, pipeline)
        return pipeline
