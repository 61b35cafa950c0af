import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.ingest.spool import open_spool

pytestmark = pytest.mark.anyio

HOLDER = """
import asyncio, pathlib, sys
from services.ingest.spool import open_spool

async def main():
    async with open_spool(pathlib.Path(sys.argv[1])) as own:
        (own / "source").write_bytes(b"a picture")
        print(own, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def holder(tmp_path: Path) -> "subprocess.Popen[str]":
    """Another process with a folder in the spool."""
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-c", HOLDER, str(tmp_path / "spool")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def folder_of(process: "subprocess.Popen[str]") -> Path:
    assert process.stdout
    with process.stdout as lines:
        return Path(lines.readline().strip())


async def test_what_a_living_process_spools_is_left_alone_and_a_dead_ones_is_removed(
    tmp_path: Path, holder: "subprocess.Popen[str]"
) -> None:
    theirs = folder_of(holder)
    async with open_spool(tmp_path / "spool") as own:
        assert own != theirs
        assert (theirs / "source").exists()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        async with open_spool(tmp_path / "spool"):
            assert not theirs.exists()
            assert own.exists()


async def test_a_process_that_ends_takes_its_folder_with_it(tmp_path: Path) -> None:
    async with open_spool(tmp_path / "spool") as own:
        (own / "left").mkdir()
        assert os.stat(tmp_path / "spool").st_mode & 0o777 == 0o700
    assert list((tmp_path / "spool").iterdir()) == []
