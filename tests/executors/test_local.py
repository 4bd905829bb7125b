"""The local executor: a death costs one job, and nothing else notices."""

from __future__ import annotations

import ast
import mmap
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fakes import WORK, alive, collect_outcomes, context, die, ended, journal_keys, make, pids, statuses, wait_for, work
from support import import_path_env, make_executor

from ltbench.core.folders import cores
from ltbench.core.plugins import PluginOrigin
from ltbench.core.spawning import Spawning
from ltbench.errors import LtbenchError, UnknownName, UsageError, WorkerRefused
from ltbench.executor import Terms
from ltbench.executors import limits, remote
from ltbench.executors.local import Local


@pytest.fixture
def local(here):
    with Local(here, Terms(workers=2, work=WORK)) as executor:
        yield executor


def test_jobs_are_done_in_worker_processes_and_in_order(local, here):
    outcomes = ended(local, [make("job1"), make("job2", "job1"), make("cell1", "job2", kind="cell")])
    assert statuses(outcomes) == {"job1": "done", "job2": "done", "cell1": "done"}
    assert journal_keys(here.store, "ended") == ["job1", "job2", "cell1"]
    assert os.getpid() not in pids(here.store)
    assert here.store.has("job2")
    assert here.store.status("cell1") == "ok"


def test_workers_are_reused(local, here):
    for number in range(6):
        ended(local, [make(f"job{number}")])
    assert len(set(pids(here.store))) <= 2


def test_what_is_there_is_not_made_again(local, here):
    ended(local, [make("job1"), make("cell1", kind="cell")])
    assert statuses(ended(local, [make("job1"), make("cell1", kind="cell")])) == {"job1": "found", "cell1": "found"}
    assert journal_keys(here.store, "began") == ["job1", "cell1"]


def test_a_job_that_another_process_is_at_is_busy_and_its_children_wait(local, here):
    with here.store.lease("job1"):
        outcomes = ended(local, [make("job1"), make("job2", "job1"), make("job3")])
    assert statuses(outcomes) == {"job1": "busy", "job2": "skipped", "job3": "done"}


def test_an_exception_is_told_with_its_log_and_the_rest_goes_on(local, here):
    outcomes = ended(local, [make("job1", does="fail"), make("job2", "job1"), make("job3")])
    assert statuses(outcomes) == {"job1": "failed", "job2": "skipped", "job3": "done"}
    error = outcomes["job1"].error
    assert error["type"] == "ValueError"
    assert error["message"] == "the fit raised ValueError: broken on purpose"
    assert error["job"] == "job1"
    assert "Traceback" in error["log"]
    assert 'File "fakes.py"' in error["log"]  # not a path of this machine
    assert "said before the failure" not in error["log"]
    kept = here.store.log("job1")
    assert kept.startswith("said before the failure\n")
    assert kept.endswith(error["log"])
    assert not here.store.has("job1")
    assert not here.store.leases.is_held("job1")


def test_a_job_that_leaves_python_or_makes_nothing_has_failed(local):
    outcomes = ended(local, [make("job1", does="leave"), make("job2", does="leave_nothing")])
    assert statuses(outcomes) == {"job1": "failed", "job2": "failed"}
    assert outcomes["job1"].error["type"] == "SystemExit"
    assert "finished without a result in the store" in outcomes["job2"].error["message"]


def test_what_a_job_prints_goes_to_its_log_and_nowhere_else(local, here, capfd):
    ended(local, [make("job1"), make("job2", does="talk"), make("job3")])
    assert sorted(here.store.log("job2").splitlines()) == ["and to stderr", "said by a program", "said by python"]
    assert here.store.log("job1") is None
    assert here.store.log("job3") is None
    assert capfd.readouterr() == ("", "")


def test_a_worker_has_one_thread_and_keeps_its_memory(local, here):
    ended(local, [make("job1", does="write_environment")])
    told = ast.literal_eval((here.store.root / "environment").read_text())
    assert {k: v for k, v in told.items() if "THREADS" in k} == dict.fromkeys(
        ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
    )
    assert told["MALLOC_MMAP_THRESHOLD_"] == "4294967296"


def test_the_environment_of_the_command_is_as_before(here, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    before = dict(os.environ)
    with Local(here, Terms(workers=1, work=WORK)) as executor:
        ended(executor, [make("job1")])
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("does", "how"),
    [("kill_itself", "was killed by SIGKILL"), ("crash", "was killed by SIGSEGV"), ("vanish", "ended in the middle")],
)
def test_the_death_of_a_worker_costs_the_job_that_it_was_at(local, here, does, how):
    task = [make("job1"), make("job2", does=does), make("job3", "job2"), make("job4")]
    outcomes = ended(local, task, [make("other1", sleeps=0.5), make("other2", "other1")])
    assert statuses(outcomes) == {
        "job1": "done", "job2": "died", "job3": "skipped", "job4": "skipped", "other1": "done", "other2": "done",
    }  # fmt: skip
    assert how in outcomes["job2"].error["message"]
    assert outcomes["job2"].error["type"] == "WorkerDied"
    if does == "kill_itself":
        assert outcomes["job2"].error["log"] == "last words\n"
    if does == "crash":
        assert "Segmentation fault" in here.store.log("job2")
        assert str(Path.cwd()) not in outcomes["job2"].error["log"]
    assert statuses(ended(local, [make("job2"), make("job3", "job2"), make("job4")])) == {
        "job2": "done", "job3": "done", "job4": "done",
    }  # fmt: skip


def test_a_worker_killed_from_outside_costs_the_job_that_it_was_at(local, here):
    local.submit([make("job1", does="hang")])
    local.submit([make("job2", sleeps=1.5)])
    pid = wait_for(lambda: next((o.pid for o in [here.store.leases.owner("job1")] if o), None))
    os.kill(pid, signal.SIGKILL)
    assert statuses(collect_outcomes(local, 2)) == {"job1": "died", "job2": "done"}


def test_the_pool_is_made_anew_when_workers_die_that_had_nothing_to_do(local):
    ended(local, [make("job1")])
    for process in multiprocessing.active_children():
        process.kill()
    time.sleep(0.5)
    outcomes = {}
    for _ in range(5):
        outcomes = ended(local, [make("job2")], [make("job3")])
        if "skipped" not in statuses(outcomes).values():
            break
    assert {o.status for o in outcomes.values()} <= {"done", "found"}


@pytest.mark.parametrize("does", ["kill_itself", "vanish"])
def test_a_pool_starts_no_replacement_for_a_dead_worker(here, monkeypatch, does):
    """It would be killed at once, with half a traceback on the terminal if it is just opening what the pool removes."""
    started = []
    start = Spawning.Process.start
    monkeypatch.setattr(Spawning.Process, "start", lambda process: (started.append(process), start(process)))
    with Local(here, Terms(workers=1, work=WORK)) as executor:
        assert statuses(ended(executor, [make("job1", does=does)])) == {"job1": "died"}
        assert statuses(ended(executor, [make("job1")])) == {"job1": "done"}
    assert len(started) == 2


def test_workers_that_cannot_live_end_the_run_instead_of_dying_for_ever(here, monkeypatch):
    monkeypatch.setattr("ltbench.executors.local_slot.start_worker", die)

    def again_and_again():
        for _ in range(30):
            ended(executor, [make("job1")])

    executor = Local(here, Terms(workers=1, work=WORK))
    with pytest.raises(LtbenchError, match="die before they finish any job"), executor:
        again_and_again()


def test_a_job_that_takes_too_long_is_killed_and_the_time_limit_is_that_of_each_job_of_a_task(here):
    with Local(here, Terms(workers=1, timeout=1.0, work=WORK)) as executor:
        started = time.monotonic()
        task = [make("job0", sleeps=0.7), make("job1", does="hang"), *map(make, MANY)]
        outcomes = ended(executor, task, [make("job2")])
        assert time.monotonic() - started < 20  # not one second for each of forty jobs
    assert statuses(outcomes) == {"job0": "done", "job1": "died", "job2": "done"} | dict.fromkeys(MANY, "skipped")
    assert outcomes["job1"].error["message"] == "the fit's worker took more than 1 s"


MANY = [f"small{number}" for number in range(40)]


def test_a_job_that_takes_too_much_memory_is_killed_and_says_so(here):
    with Local(here, Terms(workers=2, memory=300_000_000, work=WORK)) as executor:
        outcomes = ended(executor, [make("job1", does="leak"), make("job2")], [make("job3", sleeps=1.0)])
    assert statuses(outcomes) == {"job1": "died", "job2": "skipped", "job3": "done"}
    message = outcomes["job1"].error["message"]
    used = re.fullmatch(r"the fit's worker was killed: it used (.*) MB of memory, above the limit of 300 MB", message)
    assert used, message
    assert 300 <= float(used[1]) < 1000  # rounded in the message
    assert f"it used {used[1]} MB of memory" in here.store.log("job1")
    assert not here.store.leases.is_held("job1")


def test_a_job_that_holds_pythons_global_lock_is_killed_for_its_memory_from_outside(here):
    with Local(here, Terms(workers=1, memory=300_000_000, work=WORK)) as executor:
        outcomes = ended(executor, [make("job1", does="leak_with_lock")])
    assert statuses(outcomes) == {"job1": "died"}  # not killed, it would end well after 30 s
    assert "of memory, above the limit of 300 MB" in outcomes["job1"].error["message"]


def test_a_system_that_does_not_tell_the_memory_of_a_process_cannot_limit_it(here, monkeypatch):
    monkeypatch.setattr(limits, "resident", lambda pid: None)
    with pytest.raises(UsageError, match="cannot be limited here"):
        Local(here, Terms(memory=1))


def test_resident_memory_is_what_is_touched():
    before = limits.resident(os.getpid())
    with mmap.mmap(-1, 50_000_000) as block:  # fresh pages: an allocator may hand out ones that it kept
        assert limits.resident(os.getpid()) - before < 20_000_000
        block.write(b"x" * 50_000_000)
        assert 40_000_000 < limits.resident(os.getpid()) - before < 80_000_000
    assert limits.resident(2**22 + 1) is None


def test_a_worker_killed_while_it_holds_the_locks_of_its_pipe_leaves_nobody_waiting(local, here):
    started = time.monotonic()
    outcomes = ended(local, [make("job1", does="kill_itself_with_the_locks")], [make("job2", sleeps=1.0)])
    assert statuses(outcomes) == {"job1": "died", "job2": "done"}
    assert statuses(ended(local, [make("job1")], [make("job3")])) == {"job1": "done", "job3": "done"}
    assert time.monotonic() - started < 40  # pebble would wait for a lock for 60


def test_the_lease_of_a_dead_worker_of_another_command_is_no_death_here(here):
    hold = (
        "import sys; from ltbench.store.store import Store; Store(sys.argv[1]).lease('job1'); print('held', flush=True)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", f"{hold}; sys.stdin.read()", str(here.store.root)],
        env=os.environ | import_path_env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.communicate()
    with Local(here, Terms(workers=1, work=WORK)) as executor:
        executor.submit([make("job1")])
        assert executor.wait(0.0) == []  # its worker has not started yet
        assert statuses(collect_outcomes(executor, 1)) == {"job1": "done"}


def test_the_lease_of_the_worker_before_is_no_second_death(here):
    with Local(here, Terms(workers=1, work=WORK)) as executor:
        assert statuses(ended(executor, [make("job1", does="kill_itself_once")])) == {"job1": "died"}
        assert here.store.leases.owner("job1").is_dead()
        executor.submit([make("job1")])
        assert executor.wait(0.0) == []  # its worker has not started yet
        assert statuses(collect_outcomes(executor, 1)) == {"job1": "done"}


def test_stopping_kills_what_runs(here):
    executor = Local(here, Terms(workers=2, work=WORK))
    executor.submit([make("job1", does="hang")])
    wait_for(lambda: journal_keys(here.store, "began"))
    started = time.monotonic()
    executor.stop()
    assert time.monotonic() - started < 3
    assert not [p for p in multiprocessing.active_children() if p.name.startswith("pebble")]
    assert not list((here.store.root / "logs").glob("*.out"))
    assert here.store.lease("job1") is not None


@pytest.mark.parametrize("when", ["starting", "working"])
def test_workers_know_nothing_of_interrupts(here, when, capfd):
    with Local(here, Terms(workers=2, work=WORK)) as executor:
        executor.submit([make("job1", sleeps=0.5)])
        if when == "working":
            wait_for(lambda: journal_keys(here.store, "began"))
        for _ in range(10):
            for process in multiprocessing.active_children():
                os.kill(process.pid, signal.SIGINT)
            time.sleep(0.02)
        assert statuses(collect_outcomes(executor, 1)) == {"job1": "done"}
    assert capfd.readouterr() == ("", "")


def test_workers_end_with_the_command(tmp_path):
    """The command is killed with -9: its workers must not go on as orphans."""
    store = context(tmp_path / "store").store
    command = subprocess.Popen(
        [sys.executable, "-m", "fakes", str(store.root), "30", "2"],
        env=os.environ | import_path_env(),
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: len(set(pids(store))) == 2)
    command.kill()
    command.wait()
    wait_for(lambda: not any(map(alive, pids(store))), seconds=5)


def test_an_error_of_the_registry_is_an_error_of_each_job(here, tmp_path):
    here.registry.origin = PluginOrigin(plugin_files=(str(tmp_path / "gone.py"),))
    with Local(here, Terms(workers=1, work=WORK)) as executor:
        outcomes = ended(executor, [make("job1"), make("job2")])
    assert statuses(outcomes) == {"job1": "failed", "job2": "failed"}
    assert "there is no plugin file" in outcomes["job1"].error["message"]


def test_a_worker_of_another_version_is_refused_and_nothing_is_done(here, monkeypatch):
    """As where ltbench is upgraded in the middle of a run, and a worker is started anew."""
    monkeypatch.setattr("ltbench.executors.remote.versions", lambda *_: {"the harness": ["ltbench", "9.9", "abc"]})
    executor = Local(here, Terms(workers=1, work=WORK))
    with pytest.raises(WorkerRefused, match="another version of ltbench") as caught, executor:
        ended(executor, [make("job1")])
    assert "the command ltbench 9.9 (source abc)" in caught.value.why
    assert caught.value.exit_code == 2
    assert journal_keys(here.store, "began") == []


def test_an_executor_is_made_by_name(here):
    assert make_executor("local", here, Terms(workers=3)).slots == 3
    assert make_executor("local", here).slots == cores()
    assert make_executor("inline", here, Terms(work=WORK)).slots == 1
    with pytest.raises(UnknownName, match="unknown executor 'locl'"):
        make_executor("locl", here)
    assert work.__module__ == "fakes"


@pytest.mark.slow
def test_the_real_work_gets_torch_with_one_thread(here):
    # Nothing in the store is what the jobs need, so they fail; what torch was told on the way shows in the worker.
    with Local(here, Terms(workers=1, work="fakes:work_and_record_threads")) as executor:
        outcomes = ended(executor, [make("job1", kind="predict")])
    assert statuses(outcomes) == {"job1": "done"}
    assert (here.store.root / "threads").read_text() == "1 1"


def test_a_worker_whose_state_a_job_has_changed_is_replaced(here):
    with Local(here, Terms(workers=1, work=WORK)) as executor:
        outcomes = ended(executor, [make("job1"), make("job2", does="change_the_state"), make("job3")])
        assert statuses(outcomes) == {"job1": "done", "job2": "failed", "job3": "skipped"}
        said = "the fit changed the environment variable LTBENCH_LEFT_BY_A_JOB"
        assert outcomes["job2"].error["message"].startswith(said)
        assert statuses(ended(executor, [make("job3")])) == {"job3": "done"}
    assert not here.store.has("job2")
    assert len(set(pids(here.store))) == 2


def test_a_process_whose_state_cannot_be_put_back_starts_no_other_task(here, monkeypatch):
    task = remote.RemoteTasks(here, Terms(work=WORK)).pack([make("job1")])
    monkeypatch.setattr(remote, "_left", "torch's inference mode from False to True")
    monkeypatch.setattr(os, "_exit", lambda code: pytest.fail("it has ended", pytrace=False))
    with pytest.raises(pytest.fail.Exception, match="it has ended"):
        remote.run_task(task.message)
    assert journal_keys(here.store, "began") == []
    assert here.store.leases.owner(task.name) is None


def test_a_job_that_closes_the_files_of_its_worker_is_named_and_costs_itself(local, here):
    outcomes = ended(local, [make("job1"), make("job2", does="close_files"), make("job3")])
    assert statuses(outcomes) == {"job1": "done", "job2": "died", "job3": "skipped"}
    assert "the fit's worker had to end: the fit changed the open files" in outcomes["job2"].error["message"]
    assert not here.store.has("job2")
    assert statuses(ended(local, [make("job3")])) == {"job3": "done"}


def test_a_system_without_shared_locks_is_told_what_to_do(here, monkeypatch):
    def refuse(*args: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("multiprocessing.synchronize._multiprocessing.SemLock", refuse)
    with pytest.raises(UsageError, match="worker processes cannot be started here") as error:
        Local(here)
    assert "/dev/shm, which cannot be used: Read-only file system" in error.value.why
    assert "--executor inline" in error.value.fix
