"""moto's S3 server as a process of ours, and buckets on it."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from libs.objects import ObjectSettings
from libs.settings import Secret

START_SECONDS: Final = 60


def bucket_settings(endpoint_url: str, bucket: str) -> ObjectSettings:
    return ObjectSettings(
        objects_url=f"s3://{bucket}",
        s3_endpoint_url=endpoint_url,
        s3_access_key_id="test",
        s3_secret_access_key=Secret("test"),
    )


def new_bucket(endpoint_url: str) -> ObjectSettings:
    """A new and empty bucket."""
    bucket = f"bucket-{uuid.uuid4().hex}"
    request = urllib.request.Request(f"{endpoint_url}/{bucket}", method="PUT")
    with urllib.request.urlopen(request, timeout=START_SECONDS):
        return bucket_settings(endpoint_url, bucket)


@contextlib.contextmanager
def running_s3(log: Path) -> Iterator[str]:
    """The base URL of an S3 server on a free loopback port, for as long as the block runs."""
    port = _free_port()
    # Dies with us, however we die.
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "moto.server"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _wait_for(server, port, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=START_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"the S3 server did not start:\n{log.read_text()[-2000:]}")
