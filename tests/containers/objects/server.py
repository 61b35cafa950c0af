"""moto's S3 server, whose objects survive it: `server.py posix FOLDER`, as the store it stands in for.

Each folder in FOLDER is a bucket. What was put is kept as files beside them.
"""

import base64
import io
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

KEPT: Final = ".kept"
NEW: Final = ".new"
HEADERS: Final = ("CONTENT_TYPE", "HTTP_AUTHORIZATION", "HTTP_HOST", "HTTP_X_AMZ_META_")

Environment = dict[str, Any]


class Kept:
    """A WSGI application around moto's. A PUT or DELETE of an object is on the disk before its answer."""

    def __init__(self, app: Callable[..., Iterable[bytes]], folder: Path) -> None:
        self._app = app
        self._folder = folder
        folder.mkdir(exist_ok=True)
        files = (file for file in folder.iterdir() if file.suffix != NEW)
        self._asleep = {base64.urlsafe_b64decode(file.name).decode(): file for file in files}
        self._waking = threading.Lock()

    def __call__(self, environment: Environment, start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environment["REQUEST_METHOD"], environment["PATH_INFO"]
        if path == os.environ.get("VGW_HEALTH"):
            start_response("200 OK", [("Content-Length", "0")])
            return [b""]
        self._wake(path)
        if method not in {"PUT", "DELETE"} or path.count("/") < 2:
            return self._app(environment, start_response)
        body = environment["wsgi.input"].read(int(environment.get("CONTENT_LENGTH") or 0))
        environment["wsgi.input"] = io.BytesIO(body)
        answer = b"".join(self._app(environment, start_response))
        name = self._folder / base64.urlsafe_b64encode(path.encode()).decode()
        if method == "PUT":
            headers = {key: value for key, value in environment.items() if key.startswith(HEADERS)}
            new = name.with_suffix(NEW)
            new.write_bytes(json.dumps(headers).encode() + b"\n" + body)
            new.replace(name)
        else:
            name.unlink(missing_ok=True)
        return [answer]

    def make(self, bucket: str) -> None:
        self._put(f"/{bucket}", {}, b"")

    def _wake(self, path: str) -> None:
        """What was put before this start is put again when it is first asked for."""
        with self._waking:
            if file := self._asleep.pop(path, None):
                head, _, body = file.read_bytes().partition(b"\n")
                self._put(path, json.loads(head), body)

    def _put(self, path: str, headers: Environment, body: bytes) -> None:
        environment = {
            "HTTP_HOST": "localhost",
            **headers,
            "REQUEST_METHOD": "PUT",
            "PATH_INFO": path,
            "RAW_URI": path,
            "REQUEST_URI": path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
            "wsgi.version": (1, 0),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        statuses: list[str] = []
        b"".join(self._app(environment, lambda status, *_: statuses.append(status)))
        if not statuses[0].startswith("200"):
            sys.exit(f"{path} could not be put back: {statuses[0]}")


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the first process of a container has no default
    folder = Path(sys.argv[2])
    # moto keeps large bodies in files, for which the container's /tmp is too small; they are nameless.
    tempfile.tempdir = str(folder)
    kept = Kept(DomainDispatcherApplication(create_backend_app), folder / KEPT)
    for bucket in folder.iterdir():
        if bucket.is_dir() and bucket.name != KEPT:
            kept.make(bucket.name)
    run_simple("0.0.0.0", int(os.environ["VGW_PORT"].removeprefix(":")), kept, threaded=True)


if __name__ == "__main__":
    main()
