"""The admin commands of auth and ingest, on a running `make run`: python -m deploy.local.admin …"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from deploy.local import postgres, redis
from deploy.local.programs import CHECKOUT, environments
from deploy.local.settings import Settings
from deploy.local.state import State, load_secrets, locate
from libs.settings import load


def admin(
    state: State, arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m services.auth.admin`; the key that it prints is in stdout."""
    databases = {"DATABASE_URL": postgres.url(state), "REDIS_URL": redis.url(state)}
    return _run("services.auth.admin", arguments, {**environment, **databases})


def delete_image(
    settings: Settings, state: State, image_id: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m services.ingest.admin delete-image`."""
    told = environments(settings, state, load_secrets(state))["ingest"]
    return _run("services.ingest.admin", ["delete-image", image_id], {**environment, **told})


def _run(
    module: str, arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=environment,
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )


def main() -> int:
    settings = load(Settings)
    state = locate(settings.state_dir)
    match sys.argv[1:]:
        case ["delete-image", image_id]:
            done = delete_image(settings, state, image_id, os.environ)
        case arguments:
            done = admin(state, arguments, os.environ)
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
