"""Where the machine keeps the programs that we start."""

import os
import shutil
from pathlib import Path
from typing import Final

from deploy.local.errors import StartError

# Debian keeps daemons in sbin, which is not on the PATH of an ordinary user.
SYSTEM_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
POSTGRES_FOLDERS: Final = Path("/usr/lib/postgresql")  # Debian's: one folder a major version
PACKAGES: Final = {
    "nginx": "nginx",
    "redis-server": "redis-server",
    "setpriv": "util-linux",
    "flock": "util-linux",
}


def program(name: str) -> str:
    """The absolute path of `name`; StartError says what to install."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS])
    found = shutil.which(name, path=path)
    if found is None:
        raise _missing(name, PACKAGES[name])
    return found


def check() -> None:
    """StartError where a program is missing."""
    for name in PACKAGES:
        program(name)
    postgres_folder()


def postgres_folder(major: int | None = None) -> Path:
    """The folder of PostgreSQL's server programs: of version `major`, else of the newest."""
    folders = [
        folder.parent for folder in POSTGRES_FOLDERS.glob("*/bin/postgres") if os.access(folder, os.X_OK)
    ]
    versions = {int(folder.parent.name): folder for folder in folders if folder.parent.name.isdecimal()}
    if major in versions:
        return versions[major]
    if major is None and versions:
        return versions[max(versions)]
    on_path = shutil.which("postgres")
    if on_path is not None and major is None:
        return Path(on_path).resolve().parent
    raise _missing("postgres", f"postgresql-{major}" if major else "postgresql")


def _missing(name: str, package: str) -> StartError:
    return StartError(
        f"{name} is not installed: install the package {package}, or use the containers (deploy/compose.yml)"
    )
