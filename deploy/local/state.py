"""The folder that outlives a run, the sockets that do not, and the locks that keep two runs apart."""

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from deploy.local import binaries
from deploy.local.errors import StartError

MAX_SOCKET_PATH: Final = 107  # bytes; sun_path in unix(7), less its NUL
LONGEST_SOCKET: Final = "run/supervisor.sock.4194304"  # supervisord binds under its pid, then renames
PLAIN: Final = re.compile(r"[A-Za-z0-9_./@+~-]+")  # what needs no quotes in nginx's and supervisor's files
FOLDERS: Final = ("cache", "log", "nginx", "objects", "redis", "spool", "tmp", "tombstones")
SECRET_NAMES: Final = ("IDENTITY_SECRETS", "CONTROL_SECRET")
API_KEY: Final = re.compile(r"up_live_\w+")
LEFTOVERS_SECONDS: Final = 60


@dataclass(frozen=True)
class State:
    """`root` is STATE_DIR as people name it; `home` the same folder by a path without odd characters;
    `sockets` is what holds run/ (ours) and pg/ (PostgreSQL's)."""

    root: Path
    home: Path
    sockets: Path

    @property
    def run(self) -> Path:
        return self.sockets / "run"

    @property
    def postgres_sockets(self) -> Path:
        return self.sockets / "pg"

    @property
    def supervisor_socket(self) -> Path:
        return self.run / "supervisor.sock"

    @property
    def api_key(self) -> Path:
        return self.root / "api-key"

    @property
    def alive(self) -> Path:
        """Locked by every program of a run, so that the next run knows when the last one is gone."""
        return self.root / "alive.lock"

    def log(self, name: str) -> Path:
        return self.root / "log" / f"{name}.log"


def locate(state_dir: str) -> State:
    """The paths of `state_dir`, none of them made yet."""
    root = Path(state_dir).absolute()
    short = short_folder(root)
    home = root if PLAIN.fullmatch(str(root)) else short / "state"
    long = len(os.fsencode(home / LONGEST_SOCKET)) > MAX_SOCKET_PATH
    if long or home != root or not _postgres_reaches(root):
        return State(root, home, short)
    return State(root, home, root)


def short_folder(root: Path) -> Path:
    """A private folder with a short name, the same one for the same STATE_DIR."""
    name = f"user-photos-{os.geteuid()}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:12]}"
    runtime = "/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", "")
    usable = PLAIN.fullmatch(runtime) and len(runtime) < 40 and os.access(runtime, os.W_OK)
    return Path(runtime if usable else "/tmp", name)  # noqa: S108 its owner and mode are checked


def prepare(state: State) -> None:
    """Makes the folders that are missing; StartError where the disk holds something else."""
    with _one_line():
        if state.sockets != state.root:
            _make_private(state.sockets)
        if state.home != state.root:
            state.home.unlink(missing_ok=True)
            state.home.symlink_to(state.root)
        for name in FOLDERS:
            (state.root / name).mkdir(mode=0o700, exist_ok=True)


def renew_sockets(state: State) -> None:
    """Empty folders for the sockets of this run: a leftover socket stops a start with Errno 98."""
    for folder in (state.run, state.postgres_sockets):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(state.postgres_sockets, "postgres", "postgres")


def forget_sockets(state: State) -> None:
    for folder in (state.run, state.postgres_sockets):
        shutil.rmtree(folder, ignore_errors=True)
    if state.sockets != state.root:
        shutil.rmtree(state.sockets, ignore_errors=True)


def claim(state: State) -> IO[str]:
    """The lock of this STATE_DIR, held while the file is open."""
    with _one_line():
        # 0711: as root, the postgres user has to pass through; what is inside is private.
        state.root.mkdir(mode=0o711, parents=True, exist_ok=True)
        file = (state.root / "lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise StartError(
            f"{state.root} is in use by another make run: stop that one, or set STATE_DIR"
        ) from error
    return file


def wait_until_gone(state: State) -> bool:
    """Waits for programs of an earlier run, which end by themselves; False where they do not."""
    deadline = time.monotonic() + LEFTOVERS_SECONDS
    with state.alive.open("a") as file:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)


def load_secrets(state: State) -> dict[str, str]:
    """The secrets that the services share, made by the first run."""
    path = state.root / "secrets.json"
    if not path.exists():
        write_private(path, json.dumps({name: secrets.token_hex(32) for name in SECRET_NAMES}))
    try:
        found = json.loads(path.read_bytes())
        return {name: str(found[name]) for name in SECRET_NAMES}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise StartError(
            f"{path} is corrupt: delete it and new secrets will be made (no picture or key is lost)"
        ) from error


def load_api_key(state: State) -> str | None:
    """The key of the first account; None before there is one."""
    with suppress(FileNotFoundError):
        key = state.api_key.read_text(errors="replace").strip()
        if not API_KEY.fullmatch(key):
            raise StartError(f"{state.api_key} is corrupt: delete it and another account will be made")
        return key
    return None


def write_private(path: Path, text: str) -> None:
    """`text` as a file of mode 600 that is there whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


@contextmanager
def _one_line() -> Iterator[None]:
    """Makes StartError of what the file system says."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        raise StartError(f"{error.filename} is in the way: a folder has to be there") from error
    except OSError as error:
        raise StartError(f"cannot use {error.filename}: {error.strerror}") from error


def _make_private(folder: Path) -> None:
    """In a folder that everybody may write to, a name can be taken by somebody else."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o711)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise StartError(f"{folder} is not a private folder of yours: remove it and start again")


def _postgres_reaches(root: Path) -> bool:
    """Whether the user that runs PostgreSQL can pass through `root`, or its nearest parent that exists."""
    folder = next(folder for folder in (root, *root.parents) if folder.exists())
    return reaches(folder)


def reaches(folder: Path) -> bool:
    if os.geteuid() != 0:
        return True
    command = [*as_postgres(), "test", "-x", str(folder)]
    return subprocess.run(command, check=False, cwd="/").returncode == 0


def as_postgres() -> list[str]:
    """The prefix that runs a command as the user of PostgreSQL, which refuses root."""
    if os.geteuid() != 0:
        return []
    return [binaries.program("setpriv"), "--reuid=postgres", "--regid=postgres", "--clear-groups"]
