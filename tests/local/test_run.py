"""`make run`: what it starts, what it keeps, what it leaves behind, and what it says when it cannot."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local import logs
from deploy.local.programs import CHECKOUT
from tests.conftest import MakeStack
from tests.stack import Stack, discard, free_port, wait_for

MAKE_RUN = ("make", "run")
ONE_OF_EACH = {"AUTH_PROCESSES": "1", "INGEST_PROCESSES": "1", "TRANSFORM_PROCESSES": "1"}
SECONDS_TO_END = 60


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A STATE_DIR that has been used before, so that starts are quick."""
    state_dir = tmp_path_factory.mktemp("kept") / "var"
    Stack(state_dir, ONE_OF_EACH).stop()
    yield state_dir
    discard(state_dir)


@pytest.fixture(scope="module")
def survivor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose processes tests may kill."""
    state_dir = tmp_path_factory.mktemp("survivor") / "var"
    running = Stack(state_dir, ONE_OF_EACH)
    yield running
    running.stop()
    discard(state_dir)


def upload(stack: Stack) -> str:
    """Pastes the printed curl command; answers the URL of the picture."""
    command = next(line for line in stack.output.splitlines() if line.startswith("curl "))
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
    return str(json.loads(done.stdout)["image_url"])


def get(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        return bytes(answer.read())


def serves(url: str) -> bool:
    try:
        return bool(get(url))
    except OSError:
        return False


def fail_to_start(state_dir: Path, **environment: str) -> str:
    """What a start that cannot succeed says."""
    own = {"STATE_DIR": str(state_dir), "PORT": str(free_port())}
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local.run"],
        env={**os.environ, **ONE_OF_EACH, **own, **environment},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_TO_END,
    )
    assert done.returncode == 1
    return done.stderr


def assert_one_line(said: str, *words: str) -> None:
    assert said.count("\n") == 1
    for word in words:
        assert word in said


def test_the_printed_curl_command_uploads_a_picture_that_the_answer_s_url_serves(stack: Stack) -> None:
    url = upload(stack)
    assert url.startswith(f"{stack.base_url}/img_")
    assert get(f"{url}?w=200&h=100&f=png")[16:24] == b"\0\0\0\xc8\0\0\0\x64"


def test_the_port_is_the_only_one_that_it_takes(stack: Stack) -> None:
    top = psutil.Process(stack.process.pid)
    sockets = [each for process in top.children(recursive=True) for each in process.net_connections("inet")]
    assert {each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN} == {stack.port}
    assert {each.laddr.ip for each in sockets if each.laddr.port == stack.port} <= {"127.0.0.1", "::1"}


def test_what_is_secret_is_for_the_owner_alone(stack: Stack) -> None:
    modes = [stat.S_IMODE((stack.state_dir / name).stat().st_mode) for name in ("api-key", "secrets.json")]
    assert modes == [0o600, 0o600]
    assert stat.S_IMODE(stack.state.run.stat().st_mode) == 0o700
    assert stat.S_IMODE(stack.state.postgres_sockets.stat().st_mode) == 0o700


def test_two_processes_of_each_service_run_by_default(stack: Stack) -> None:
    assert [len(stack.pids(service)) for service in ("auth", "ingest", "transform")] == [2, 2, 2]


def test_the_admin_command_is_at_hand(stack: Stack) -> None:
    assert stack.create_account("free") != stack.create_account("free")


def test_a_restarted_service_has_new_processes_that_serve(stack: Stack) -> None:
    url = upload(stack)
    before = stack.pids("transform")
    stack.restart("transform")
    assert not set(before) & set(stack.pids("transform"))
    assert serves(f"{url}?w=31")


def test_a_second_start_keeps_the_pictures_and_the_key(make_stack: MakeStack) -> None:
    first = make_stack(ONE_OF_EACH, command=MAKE_RUN)
    url, key = upload(first), first.api_key
    first.stop()
    second = make_stack(ONE_OF_EACH, command=MAKE_RUN)
    assert second.api_key == key
    assert get(url.replace(first.base_url, second.base_url))
    assert upload(second)


def test_the_environment_reaches_the_services(make_stack: MakeStack) -> None:
    plans = {"business": {"per_minute": 7, "burst": 3}}
    environment = {"PLANS": json.dumps(plans), "PUBLIC_CDN_URL": "https://cdn.example"}
    stack = make_stack({**ONE_OF_EACH, **environment})
    assert upload(stack).startswith("https://cdn.example/img_")
    request = urllib.request.Request(
        f"{stack.base_url}/v1/images", headers={"Authorization": f"Bearer {stack.api_key}"}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["RateLimit-Policy"] == '"business";q=7;w=60'


def ctrl_c(stack: Stack) -> None:
    os.killpg(stack.process.pid, signal.SIGINT)


def terminate(stack: Stack) -> None:
    stack.process.terminate()


def hang_up(stack: Stack) -> None:
    os.killpg(stack.process.pid, signal.SIGHUP)


def kill_make(stack: Stack) -> None:
    stack.process.kill()


def kill_run(stack: Stack) -> None:
    kill_program(stack, "deploy.local.run")


def kill_supervisor(stack: Stack) -> None:
    kill_program(stack, "supervisor.supervisord")


def kill_program(stack: Stack, module: str) -> None:
    family = psutil.Process(stack.process.pid).children(recursive=True)
    next(process for process in family if module in process.cmdline()).kill()


@pytest.mark.parametrize("end", [ctrl_c, terminate, hang_up, kill_make, kill_run, kill_supervisor])
def test_no_process_is_left_after(end: Callable[[Stack], None], kept: Path) -> None:
    stack = Stack(kept, ONE_OF_EACH, command=MAKE_RUN)
    upload(stack)  # so that the box has a worker
    family = psutil.Process(stack.process.pid).children(recursive=True)
    assert len(family) > 10
    end(stack)
    _, alive = psutil.wait_procs(family, SECONDS_TO_END)
    assert alive == []
    stack.stop()


@pytest.mark.parametrize("program", ["postgres", "redis", "auth-0", "ingest-0", "transform-0", "nginx"])
def test_a_killed_program_is_back_at_once(survivor: Stack, program: str) -> None:
    url = upload(survivor)
    before = survivor.pids(program)
    family = psutil.Process(before[0]).children(recursive=True)
    survivor.signal(program, signal.SIGKILL)
    _, alive = psutil.wait_procs(family, 20)
    assert alive == [], "it left children behind"
    wait_for(lambda: survivor.pids(program) not in ([], before))
    wait_for(lambda: serves(f"{url}?w={before[0] % 4096 + 1}"))
    wait_for(lambda: succeeds(survivor))


def succeeds(stack: Stack) -> bool:
    try:
        return bool(upload(stack))
    except (KeyError, ValueError, subprocess.CalledProcessError):
        return False


def test_nginx_s_logs_stay_small(survivor: Stack) -> None:
    log = survivor.state.log("nginx-access")
    url = upload(survivor)
    wait_for(lambda: log.stat().st_size > 0)
    logs.rotate(survivor.state, max_bytes=0)
    assert log.with_name("nginx-access.log.1").stat().st_size > 0
    wait_for(lambda: log.exists() and serves(url) and log.stat().st_size > 0)


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert_one_line(fail_to_start(tmp_path / "var", PORT=port), f"port {port}", "PORT")


def test_a_port_that_is_no_port_is_said_in_one_line(tmp_path: Path) -> None:
    assert_one_line(fail_to_start(tmp_path / "var", PORT="http"), "PORT")


def test_a_folder_in_use_is_said_in_one_line(survivor: Stack) -> None:
    assert_one_line(fail_to_start(survivor.state_dir), str(survivor.state_dir), "in use")


def test_a_file_in_the_way_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "var").touch()
    assert_one_line(fail_to_start(tmp_path / "var"), str(tmp_path / "var"), "in the way")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide a program")
@pytest.mark.parametrize("program", ["nginx", "redis-server"])
def test_a_missing_program_is_said_in_one_line(program: str, tmp_path: Path) -> None:
    path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    hide = f"mount --bind /dev/null {path} || exit 77; exec {sys.executable} -m deploy.local.run"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", hide],
        env={**os.environ, "STATE_DIR": str(tmp_path / "var")},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine lets nobody hide a program: mount is not permitted")
    assert done.returncode == 1
    assert_one_line(done.stderr, f"{program} is not installed")


def lose_the_database(state_dir: Path) -> None:
    (state_dir / "postgres").symlink_to(state_dir / "gone")


def empty_the_database(state_dir: Path) -> None:
    (state_dir / "postgres").mkdir()


def scramble_the_secrets(state_dir: Path) -> None:
    (state_dir / "secrets.json").write_text("{")


def forget_a_secret(state_dir: Path) -> None:
    (state_dir / "secrets.json").write_text("{}")


def empty_the_key(state_dir: Path) -> None:
    (state_dir / "api-key").touch()


@pytest.mark.parametrize(
    "corrupt",
    [lose_the_database, empty_the_database, scramble_the_secrets, forget_a_secret, empty_the_key],
)
def test_a_corrupt_folder_is_said_in_one_line(corrupt: Callable[[Path], None], tmp_path: Path) -> None:
    corrupt(tmp_path)
    assert_one_line(fail_to_start(tmp_path), "corrupt")


def test_a_service_that_does_not_start_is_named_with_its_log(kept: Path) -> None:
    said = fail_to_start(kept, LOG_LEVEL="LOUD").splitlines()
    assert said[0] == f"auth-0 ended: see {kept}/log/auth-0.log"
    assert "LOG_LEVEL" in "".join(said)


def copy_checkout(target: Path) -> None:
    """What a clone would hold, and what is not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if name.startswith(("tests/", "docs/decisions/")) or not (CHECKOUT / name).is_file():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, target / name)


@pytest.mark.parametrize("where", ["private", "long", "odd"])
def test_it_works_from_a_checkout_that_is(where: str, make_stack: MakeStack, tmp_path: Path) -> None:
    """In a home of mode 700, at a path of 120 characters, or named with what nginx takes for its own."""
    long = "x" * (120 - len(str(tmp_path)) - 1)
    checkout = tmp_path / {"private": "home", "long": long, "odd": "my $photos; 100% {real}"}[where]
    checkout.mkdir()
    tmp_path.chmod(0o711)
    checkout.chmod(0o700 if where == "private" else 0o755)
    copy_checkout(checkout)
    environment = {**ONE_OF_EACH, "STATE_DIR": "var", "VENV": sys.prefix}
    stack = make_stack(environment, state_dir=checkout / "var", command=MAKE_RUN, checkout=checkout)
    assert serves(f"{upload(stack)}?w=64")
