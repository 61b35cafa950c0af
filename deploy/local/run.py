"""The whole stack as one foreground command: `make run`."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Final

from deploy.local import binaries, logs, nginx, postgres
from deploy.local import state as states
from deploy.local.admin import admin
from deploy.local.errors import StartError
from deploy.local.programs import CHECKOUT, STAGES, Program, programs, sockets
from deploy.local.settings import Settings
from deploy.local.state import State
from deploy.local.supervise import Supervisor, supervise, tail
from libs.settings import load

# Generous rates, and it still shows the rate headers, which the unlimited plan does not.
FIRST_ACCOUNT: Final = ("create-account", "--name", "first", "--plan", "business")
SAMPLE: Final = CHECKOUT / "docs" / "sample.jpg"
POLL_SECONDS: Final = 0.05
LOGS_SECONDS: Final = 30  # between two looks at the size of nginx's logs


class Stop(BaseException):
    """Somebody asked us to stop."""


def main() -> int:
    try:
        with stopping_on_signals():
            run(load(Settings))
    except Stop:
        say("stopped")
    except StartError as error:
        print(error.line, *(f"    {line}" for line in error.evidence), sep="\n", file=sys.stderr, flush=True)
        return 1
    return 0


def run(settings: Settings) -> None:
    """Ends only by Stop or StartError, and leaves no process behind."""
    binaries.check()
    state = states.locate(settings.state_dir)
    with states.claim(state):
        states.prepare(state)
        if not states.wait_until_gone(state):
            raise StartError(f"programs of an earlier run do not end: {holders(state)}")
        check_port(settings.port)
        states.renew_sockets(state)
        try:
            _run(settings, state)
        finally:
            states.wait_until_gone(state)
            states.forget_sockets(state)


def _run(settings: Settings, state: State) -> None:
    began = time.monotonic()
    secrets, key = states.load_secrets(state), states.load_api_key(state)
    if not (state.root / "postgres").is_symlink() and not (state.root / "postgres").exists():
        say("making the database")
    elsewhere = postgres.ensure_cluster(state)
    if elsewhere:
        say(elsewhere)
    stack = programs(settings, state, secrets)
    values = nginx.placeholders(settings, state, sockets(settings, state), secrets["CONTROL_SECRET"])
    nginx.render(values, state.root / "nginx")
    with supervise(state, stack) as supervisord:
        supervisor = Supervisor(state)
        for stage in STAGES:
            start(supervisor, [program for program in stack if program.stage == stage], settings)
            if stage == "redis" and key is None:
                key = make_api_key(state)
        welcome(settings, state, str(key), time.monotonic() - began)
        while supervisord.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                supervisord.wait(LOGS_SECONDS)
            logs.rotate(state)
        raise StartError(f"the supervisor ended, and all that it had started: see {state.log('supervisord')}")


def start(supervisor: Supervisor, stage: Sequence[Program], settings: Settings) -> None:
    """Starts the programs of one stage together and waits until all of them are ready."""
    say(f"starting {', '.join(program.name for program in stage)}")
    deadline = time.monotonic() + settings.start_deadline_seconds
    for program in stage:
        supervisor.start(program.name)
    pids = {program.name: supervisor.pid(program.name) for program in stage}
    for program in stage:
        while not program.ready():
            died = supervisor.pid(program.name) != pids[program.name]
            if died or time.monotonic() > deadline:
                log = supervisor.state.log(program.name)
                raise StartError(
                    f"{program.name} {'ended' if died else 'did not become ready'}: see {log}", tail(log)
                )
            time.sleep(POLL_SECONDS)


def make_api_key(state: State) -> str:
    """The first account and its key."""
    say("making the first account")
    done = admin(state, FIRST_ACCOUNT, os.environ)
    if done.returncode:
        raise StartError("the first account could not be made", done.stderr.splitlines()[-10:])
    key = done.stdout.strip()
    states.write_private(state.api_key, f"{key}\n")
    return key


def check_port(port: int) -> None:
    for host in nginx.hosts():
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise StartError(
                    f"port {port} cannot be used ({error.strerror}): stop what has it, or set PORT"
                ) from error


def holders(state: State) -> str:
    """The pids that hold the lock of living programs."""
    inode = f":{state.alive.stat().st_ino} "
    with open("/proc/locks") as locks:
        pids = [line.split()[4] for line in locks if inode in line]
    return "pids " + " ".join(pids)


def welcome(settings: Settings, state: State, key: str, seconds: float) -> None:
    sample = str(SAMPLE) if states.PLAIN.fullmatch(str(SAMPLE)) else f'"{SAMPLE}"'  # curl's own quotes
    image = shlex.quote(f"image=@{sample}")
    say(
        "",
        f"ready: {settings.base_url} (in {seconds:.1f} s; state in {state.root}; Ctrl-C stops everything)",
        "",
        "Upload a picture:",
        f'curl -H "Authorization: Bearer {key}" -F user_id=12345 -F {image} {settings.base_url}/v1/upload',
        "",
        "Then open the image_url of the answer, at any size: add for example ?w=200&h=200&f=webp",
        "",
        f"The dashboard, to sign in with that key or to make an account: {settings.base_url}/",
    )


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """The first of SIGINT, SIGTERM and SIGHUP raises Stop here; later ones change nothing."""
    caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(_: int, __: FrameType | None) -> None:
        for number in caught:
            signal.signal(number, signal.SIG_IGN)
        say("stopping")
        raise Stop

    for number in caught:
        signal.signal(number, stop)
    yield


def say(*lines: str) -> None:
    try:
        print(*lines, sep="\n", flush=True)
    except BrokenPipeError:
        # Whoever read our lines has left, which is no reason to leave programs behind.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
