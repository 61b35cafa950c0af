import os
import time

import anyio
import psutil
import pytest

from services.ingest.workers import NICENESS, Workers, open_idle_workers

# A worker that was killed is dropped by anyio with its pipes open, to be found by the garbage collector.
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


async def test_usual_workers_come_after_who_answers_requests() -> None:
    workers = Workers(1)
    assert await workers.run(os.getpriority, os.PRIO_PROCESS, 0) == NICENESS
    assert await workers.run(os.sched_getscheduler, 0) == os.SCHED_OTHER


async def test_idle_workers_get_what_nothing_else_wants() -> None:
    async with open_idle_workers(1) as workers:
        assert await workers.run(os.sched_getscheduler, 0) == os.SCHED_IDLE


async def test_usual_and_idle_workers_are_other_processes() -> None:
    usual = Workers(1)
    async with open_idle_workers(1) as idle:
        assert await usual.run(os.getpid) != await idle.run(os.getpid)
        assert await usual.run(os.getpid) == await usual.run(os.getpid)


async def test_a_job_that_is_cancelled_is_dead_when_that_is_known() -> None:
    """It writes files: whoever does its work anew may not meet it there."""
    async with open_idle_workers(1) as idle:
        for workers in (Workers(1), idle):
            pid = await workers.run(os.getpid)
            with anyio.move_on_after(0.1):
                await workers.run(time.sleep, 60)
            assert not psutil.pid_exists(pid)
            assert await workers.run(os.getpid) != pid


async def test_what_a_job_raises_comes_back() -> None:
    async with open_idle_workers(1) as idle:
        for workers in (Workers(1), idle):
            with pytest.raises(FileNotFoundError):
                await workers.run(os.listdir, "/nowhere")
