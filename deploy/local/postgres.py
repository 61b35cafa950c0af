"""Our own PostgreSQL cluster: on a Unix socket only, with one role and one database."""

import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Final

from deploy.local import binaries
from deploy.local.errors import StartError
from deploy.local.state import State, as_postgres, reaches

NAME: Final = "user_photos"
# For a STATE_DIR in which the postgres user cannot go, such as one in a home of mode 700.
ELSEWHERE: Final = Path("/var/lib/user-photos")
HBA: Final = "# The folder of the socket is private, so who can connect may.\nlocal all all trust\n"


def url(state: State) -> str:
    """The DSN that services connect with."""
    return f"postgresql:///{NAME}?host={state.postgres_sockets}&user={NAME}"


def ensure_cluster(state: State) -> str | None:
    """Makes the cluster on the first run; gives a line to show where it is kept outside of STATE_DIR."""
    link = state.root / "postgres"
    if link.is_symlink() and not link.exists():
        raise _corrupt(f"its database {link} points to {link.readlink()}, which is gone")
    if not link.exists():
        _make(link)
    _check(link)
    return f"the database is in {link.readlink()}" if link.is_symlink() else None


def command(state: State) -> list[str]:
    """The server in the foreground, for the postgres user where we are root."""
    data = _data(state)
    return [
        str(binaries.postgres_folder(_major(data)) / "postgres"),
        *("-D", str(data), "-k", str(state.postgres_sockets)),
        *("-c", "listen_addresses=", "-c", "shared_buffers=64MB", "-c", "log_timezone=UTC"),
    ]


def is_ready(state: State) -> bool:
    folder = binaries.postgres_folder(_major(_data(state)))
    command = [str(folder / "pg_isready"), "-q", "-h", str(state.postgres_sockets), "-d", NAME, "-U", NAME]
    return subprocess.run(command, check=False, cwd="/").returncode == 0


def _data(state: State) -> Path:
    return Path(os.path.realpath(state.root / "postgres"))


def _major(data: Path) -> int:
    try:
        return int((data / "PG_VERSION").read_text())
    except (OSError, ValueError) as error:
        raise _corrupt(f"{data} is not a PostgreSQL cluster") from error


def _check(data: Path) -> None:
    _major(data)
    needed = ("global/pg_control", "postgresql.conf", "pg_hba.conf", "base", "pg_wal")
    for name in needed:
        if not (data / name).exists():
            raise _corrupt(f"{data / name} is missing")
    if not reaches(data.resolve()):
        raise StartError(f"the user postgres can no longer enter {data}: give its parents the mode o+x")


def _make(link: Path) -> None:
    """A whole cluster or none: it gets its name when it is finished."""
    if reaches(link.parent):
        data = link.with_name(f"postgres.new-{secrets.token_hex(4)}")
        _initialise(data)
        data.rename(link)
        return
    ELSEWHERE.mkdir(mode=0o711, parents=True, exist_ok=True)
    data = ELSEWHERE / secrets.token_hex(8)
    _initialise(data)
    link.symlink_to(data)


def _initialise(data: Path) -> None:
    folder = binaries.postgres_folder()
    data.mkdir(mode=0o700)
    try:
        if os.geteuid() == 0:
            shutil.chown(data, "postgres", "postgres")
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums"]
        _run([str(folder / "initdb"), "-D", str(data), *options])
        (data / "pg_hba.conf").write_text(HBA)
        sql = f"CREATE ROLE {NAME} LOGIN;\nCREATE DATABASE {NAME} OWNER {NAME};\n"
        _run([str(folder / "postgres"), "--single", "-D", str(data), "postgres"], sql)
    except BaseException:
        shutil.rmtree(data, ignore_errors=True)
        raise


def _run(command: list[str], text: str = "") -> None:
    done = subprocess.run(
        [*as_postgres(), *command], input=text, capture_output=True, text=True, check=False, cwd="/"
    )
    # The single-user mode exits with 0 after a failed statement.
    if done.returncode or "ERROR:" in done.stderr:
        lines = (done.stdout + done.stderr).splitlines()
        raise StartError(f"{Path(command[0]).name} could not make the database", lines[-10:])


def _corrupt(what: str) -> StartError:
    return StartError(f"the state is corrupt: {what}; restore it, or start afresh with another STATE_DIR")
