"""The admin command of auth, on the databases of a running `make run`: python -m deploy.local.admin …"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from deploy.local import postgres, redis
from deploy.local.programs import CHECKOUT
from deploy.local.settings import Settings
from deploy.local.state import State, locate
from libs.settings import load


def admin(
    state: State, arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m services.auth.admin`; the key that it prints is in stdout."""
    databases = {"DATABASE_URL": postgres.url(state), "REDIS_URL": redis.url(state)}
    return subprocess.run(
        [sys.executable, "-m", "services.auth.admin", *arguments],
        env={**environment, **databases},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )


def main() -> int:
    done = admin(locate(load(Settings).state_dir), sys.argv[1:], os.environ)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
