"""The Dask executor: the same outcomes as on local workers, and clear errors for what only a cluster can do."""

from __future__ import annotations

import ast
import gc
import logging
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import dask
import msgspec
import pytest
from distributed.comm import CommClosedError
from fakes import WORK, alive, collect_outcomes, context, ended, journal_keys, make, pids, statuses, tree, wait_for
from support import loss_source, make_executor

from ltbench.core.plugins import PluginOrigin
from ltbench.errors import ClusterError, SchedulerLost, WorkerRefused
from ltbench.executor import Terms
from ltbench.executors import dask as dask_executor
from ltbench.executors import dask_cluster, dask_worker, remote
from ltbench.executors.builtin import DaskOffer
from ltbench.registry.registry import Registry
from ltbench.running import runner


@pytest.fixture(scope="module")
def cluster():
    """Return a cluster whose certificate this process is configured with, as that of a user's own cluster."""
    with dask_cluster.start(DaskOffer(workers=2), None, Path("unused")) as found:
        mine = found.security.get_tls_config_for_role("client")
        names = {"ca-file": "ca_file", "client.key": "key", "client.cert": "cert"}
        with dask.config.set({f"distributed.comm.tls.{name}": mine[key] for name, key in names.items()}):
            yield found


@pytest.fixture
def there(cluster, here):
    """Return how executors are made on the one cluster of this module."""
    wait_for(lambda: len(cluster.scheduler.workers) == 2)

    def on(here=here, options="", **more):
        return make_executor(f"dask[scheduler={cluster.scheduler_address}{options}]", here, Terms(work=WORK, **more))

    return on


def test_without_options_it_starts_worker_processes_here_and_ends_them(here):
    with make_executor("dask", here, Terms(workers=2, work=WORK)) as executor:
        assert executor.slots == 1  # nothing is started before there is a job
        outcomes = ended(executor, [make("job1"), make("job2", "job1"), make("cell1", "job2", kind="cell")])
        assert statuses(outcomes) == {"job1": "done", "job2": "done", "cell1": "done"}
        wait_for(lambda: executor.slots == 2)
    assert journal_keys(here.store, "ended") == ["job1", "job2", "cell1"]
    assert os.getpid() not in pids(here.store)
    wait_for(lambda: not any(map(alive, pids(here.store))), seconds=10)


def test_a_whole_run_does_everything_once(there, here):
    with there() as executor:
        summary = runner.run(tree(fits=4, sleeps=0.02), here, executor)
        assert summary.ran == {"fit": 4, "predict": 4, "cell": 12}
        assert runner.run(tree(fits=4), here, executor).ran == {}
    assert sorted(journal_keys(here.store, "began")) == sorted(tree(fits=4).jobs)


def test_what_is_there_is_found_and_what_another_is_at_is_busy(there, here):
    with there() as executor, here.store.lease("job2"):
        assert statuses(ended(executor, [make("job1")])) == {"job1": "done"}
        outcomes = ended(executor, [make("job1"), make("job2"), make("job3", "job2"), make("job4")])
    assert statuses(outcomes) == {"job1": "found", "job2": "busy", "job3": "skipped", "job4": "done"}


def test_a_failure_has_its_log_and_what_a_job_prints_is_in_no_others(there, here):
    with there() as executor:
        outcomes = ended(executor, [make("job1", does="fail"), make("job2", "job1"), make("job3", does="talk"),
                                    make("job4")])  # fmt: skip
    assert statuses(outcomes) == {"job1": "failed", "job2": "skipped", "job3": "done", "job4": "done"}
    error = outcomes["job1"].error
    assert error["message"] == "the fit raised ValueError: broken on purpose"
    assert here.store.log("job1") == "said before the failure\n" + error["log"]
    assert sorted(here.store.log("job3").splitlines()) == ["and to stderr", "said by a program", "said by python"]
    assert here.store.log("job4") is None
    assert not list((here.store.root / "logs").glob("*.out"))


def test_a_worker_has_one_thread_and_keeps_its_memory(there, here):
    with there() as executor:
        ended(executor, [make("job1", does="write_environment")])
    told = ast.literal_eval((here.store.root / "environment").read_text())
    assert (told["OMP_NUM_THREADS"], told["MKL_NUM_THREADS"]) == ("1", "1")
    assert told["MALLOC_MMAP_THRESHOLD_"] == "4294967296"


@pytest.mark.parametrize("does", ["kill_itself", "crash", "vanish"])
def test_the_death_of_a_worker_costs_the_job_that_it_was_at(there, here, does):
    with there() as executor:
        outcomes = ended(executor, [make("job1"), make("job2", does=does), make("job3", "job2"), make("job4")])
        assert statuses(outcomes) == {"job1": "done", "job2": "died", "job3": "skipped", "job4": "skipped"}
        assert outcomes["job2"].error["type"] == "WorkerDied"
        assert "was lost" in outcomes["job2"].error["message"]
        if does == "kill_itself":
            assert outcomes["job2"].error["log"] == "last words\n"
        if does == "crash":
            assert "Segmentation fault" in outcomes["job2"].error["log"]
        again = ended(executor, [make("job2"), make("job3", "job2"), make("job4")])
    assert statuses(again) == {"job2": "done", "job3": "done", "job4": "done"}
    assert journal_keys(here.store, "began").count("job2") == 2  # Dask has not tried it again by itself


def test_a_worker_killed_from_outside_costs_the_job_that_it_was_at(there, here):
    with there() as executor:
        executor.submit([make("job1", does="hang")])
        executor.submit([make("job2", sleeps=1.0)])
        wait_for(lambda: set(journal_keys(here.store, "began")) == {"job1", "job2"})
        os.kill(here.store.leases.owner("job1").pid, signal.SIGKILL)
        assert statuses(collect_outcomes(executor, 2)) == {"job1": "died", "job2": "done"}


def test_a_job_that_takes_too_long_ends_with_its_worker_and_tells_where_it_hung(there, here):
    with there(timeout=1.0) as executor:
        outcomes = ended(executor, [make("job1", sleeps=0.7), make("job2", sleeps=0.7), make("job3", does="hang")])
        assert statuses(outcomes) == {"job1": "done", "job2": "done", "job3": "died"}
        assert outcomes["job3"].error["message"] == "the fit's worker took more than 1 s"
        assert "in hang" in here.store.log("job3")


def test_a_job_that_takes_too_much_memory_ends_with_its_worker(there, here):
    with there(memory=300_000_000) as executor:
        outcomes = ended(executor, [make("job1"), make("job2", does="leak"), make("job3")], seconds=90)
    assert statuses(outcomes) == {"job1": "done", "job2": "died", "job3": "skipped"}
    message = outcomes["job2"].error["message"]
    assert message.startswith("the fit's worker was killed: it used ")
    assert message.endswith(" MB of memory, above the limit of 300 MB")


def test_workers_of_the_command_are_the_most_that_a_shared_cluster_gives_it(there):
    with there(workers=1) as one, there() as all_of_them:
        for executor in (one, all_of_them):
            ended(executor, [make(f"job{executor is one}")])
        wait_for(lambda: all_of_them.slots == 2)
        assert one.slots == 1


def test_where_the_scheduler_does_try_again_the_second_worker_refuses(there, here, cluster, monkeypatch):
    """As with a cluster that others have set up: a job that kills its worker must not kill several."""
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 3)
    with there() as executor:
        outcomes = ended(executor, [make("job1", does="kill_itself")])
    assert statuses(outcomes) == {"job1": "died"}
    assert journal_keys(here.store, "began") == ["job1"]


def test_stopping_kills_what_runs_and_spares_the_workers_of_others(there, here, tmp_path):
    other = context(tmp_path / "other")
    with there(other) as others:
        others.submit([make("job2", sleeps=2.0)])
        wait_for(lambda: journal_keys(other.store, "began"))
        executor = there()
        executor.submit([make("job1", does="hang")])
        wait_for(lambda: journal_keys(here.store, "began"))
        executor.stop()
        wait_for(lambda: not alive(pids(here.store)[0]), seconds=10)
        assert here.store.lease("job1") is not None
        assert statuses(collect_outcomes(others, 1)) == {"job2": "done"}


# --- what is refused ---------------------------------------------------------------------------------------------


def test_a_command_of_another_version_is_refused_with_both_named(there, here, monkeypatch):
    monkeypatch.setattr(remote, "versions", lambda jobs, registry: {"the harness": ["ltbench", "9.9", "abc"]})
    executor = there()
    with pytest.raises(WorkerRefused, match="another version of ltbench") as caught, executor:
        ended(executor, [make("job1")])
    assert "the command ltbench 9.9 (source abc)" in str(caught.value)
    assert "the worker has ltbench 0." in str(caught.value)
    assert journal_keys(here.store, "began") == []


def test_a_plugin_that_differs_on_the_worker_is_refused_with_both_named(there, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(loss_source("mine"))
    origin = PluginOrigin(plugin_files=(str(file),))
    here = msgspec.structs.replace(context(tmp_path / "store"), registry=Registry.load(origin))
    job = make("job1", segments=[{"loss": here.registry.spec(here.registry.parse("mine"))}])
    with there(here) as executor:
        assert statuses(ended(executor, [job])) == {"job1": "done"}
    then = here.registry.entry("mine").version
    file.write_text(loss_source("mine", result="logits.sum(1)"))
    edited = Registry.load(origin)
    fresh = edited.entry("mine").version

    # A command that has the edited file is welcome: a worker that had loaded the old one loads it anew.
    with there(msgspec.structs.replace(here, registry=edited)) as executor:
        tasks = [[msgspec.structs.replace(job, key=f"edited{number}")] for number in range(6)]
        assert set(statuses(ended(executor, *tasks)).values()) == {"done"}
    # One that has the old file is not, where a worker has to load it now.
    executor = there(msgspec.structs.replace(here, store=context(tmp_path / "elsewhere").store))
    with pytest.raises(WorkerRefused, match="another version of technique 'mine'") as caught, executor:
        ended(executor, [job])
    assert then != fresh
    assert f"the worker has file:mine {fresh}" in str(caught.value)
    assert f"the command file:mine {then}" in str(caught.value)


def test_a_worker_that_cannot_load_the_plugins_is_refused(there, here, tmp_path):
    origin = PluginOrigin(plugin_files=(str(tmp_path / "gone.py"),))
    registry = Registry.load()
    registry.origin = origin
    executor = there(msgspec.structs.replace(here, registry=registry))
    with pytest.raises(WorkerRefused, match="there is no plugin file"), executor:
        ended(executor, [make("job1")])


@pytest.mark.parametrize(("threads", "nanny"), [(4, "tcp://127.0.0.1:1"), (1, None)])
def test_a_worker_with_several_threads_or_without_a_nanny_is_refused(threads, nanny):
    here = SimpleNamespace(state=SimpleNamespace(nthreads=threads), nanny=nanny)
    with pytest.raises(WorkerRefused, match="dask worker ADDRESS --nworkers N --nthreads 1 --nanny"):
        dask_worker._check_process(here, "worker")


def test_a_worker_that_does_not_understand_is_an_error(there, here, monkeypatch):
    pack = remote.RemoteTasks.pack
    monkeypatch.setattr(
        remote.RemoteTasks, "pack", lambda *args: msgspec.structs.replace(pack(*args), message=b"of another time")
    )
    executor = there()
    with pytest.raises(WorkerRefused, match="could not read its task"), executor:
        ended(executor, [make("job1")])


def test_a_scheduler_that_is_not_there_is_an_error(here, monkeypatch):
    monkeypatch.setattr(dask_executor, "_CONNECT_SECONDS", 0.5)
    executor = make_executor("dask[scheduler=tcp://127.0.0.1:9]", here, Terms(work=WORK))
    with pytest.raises(ClusterError, match=r"the Dask scheduler at tcp://127\.0\.0\.1:9 does not answer"), executor:
        executor.submit([make("job1")])


def test_no_worker_with_what_a_job_takes_is_an_error_after_a_while(there):
    executor = there(options=",gpus=0.5,wait=1")
    with pytest.raises(ClusterError, match=r"a job takes GPU=0\.5"), executor:
        ended(executor, [make("job1")])


def test_a_scheduler_that_says_nothing_is_lost(there, here, monkeypatch):
    executor = there()
    executor.submit([make("job1", sleeps=1.0)])
    monkeypatch.setattr(dask_executor, "_SILENCE_SECONDS", -1.0)
    with pytest.raises(SchedulerLost, match="run the same command to continue"), executor:
        collect_outcomes(executor, 1)


def test_the_time_in_which_the_command_was_stopped_is_no_silence(there, here):
    """As by Ctrl-Z: nobody has asked the scheduler meanwhile."""
    executor = there()
    executor.submit([make("job1", sleeps=1.0)])
    with executor:
        executor.wait(0.01)
        executor._last_answer = executor._last_usable = executor._last_wait = time.monotonic() - 36_000
        assert executor.wait(0.01) == []
        assert statuses(collect_outcomes(executor, 1)) == {"job1": "done"}


def test_tasks_that_come_back_undone_for_ever_end_the_run(there, here, monkeypatch):
    monkeypatch.setattr(remote, "_UNSTARTED", 0)
    monkeypatch.setattr(here.store.leases, "owner", lambda key: None)  # as if no worker ever got as far as a lease
    monkeypatch.setattr(dask_executor.Dask, "_is_usable", lambda *_: False)
    executor = there()
    with pytest.raises(ClusterError, match="die before they finish any job"), executor:
        ended(executor, [make("job1", does="kill_itself")])


# --- clusters that are not here ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("slurm", ["#SBATCH -p short", "#SBATCH -A lab", "#SBATCH --cpus-per-task=2", "#SBATCH --mem=8G",
                   "#SBATCH -t 12:00:00", "#SBATCH --gres=gpu:1"]),
        ("pbs", ["#PBS -q short", "#PBS -A lab", "#PBS -l select=1:ncpus=2:mem=7630MB",
                 "#PBS -l walltime=12:00:00", "#PBS --gres=gpu:1"]),
        ("sge", ["#$ -q short", "#$ -P lab", "#$ -l h_rt=12:00:00", "#$ --gres=gpu:1"]),
    ],
)  # fmt: skip
def test_a_batch_job_asks_for_what_a_worker_is_to_have(kind, lines, monkeypatch, tmp_path):
    from distributed.deploy.spec import SpecCluster

    async def nothing(self):
        self._correct_state_waiting = None

    monkeypatch.setattr(SpecCluster, "_correct_state_internal", nothing)
    options = DaskOffer(cluster=kind, workers=3, cores=2, memory="8GB", gpus=0.5, queue="short", account="lab",
                        walltime="12:00:00", directives=("--gres=gpu:1",), prologue=("module load x",),
                        interface="lo")  # fmt: skip
    with dask_cluster.start(options, None, tmp_path / "logs") as cluster:
        script = cluster.job_script()
        (key,) = [path for path in tmp_path.rglob("*") if path.is_file() and "PRIVATE KEY" in path.read_text()]
        assert key.parent.stat().st_mode & 0o777 == 0o700
        assert f"--tls-key {key}" in script
        assert len(cluster.worker_spec) == 3
    del cluster
    gc.collect()
    assert not key.exists()
    assert [line for line in lines if line not in script.splitlines()] == []
    assert f"{tmp_path}/logs" in script
    for part in ("export OMP_NUM_THREADS=1\n", "export DASK_DISTRIBUTED__WORKER__MEMORY__PAUSE=False\n",
                 "module load x\n", "--nthreads 1 ", "--nanny ", "--interface lo",
                 "--resources CORES=2,MEMORY=8e+09,GPU=0.5"):  # fmt: skip
        assert part in script


def test_a_batch_system_that_is_not_installed_is_an_error(monkeypatch, here):
    monkeypatch.setenv("PATH", "/nowhere")
    executor = make_executor("dask[cluster=sge,memory=1GB,interface=lo]", here, Terms(work=WORK))
    with pytest.raises(ClusterError, match="cannot start workers with cluster=sge") as caught, executor:
        executor.submit([make("job1")])
    assert "qsub" in str(caught.value)


@pytest.mark.parametrize(
    "option", [{"scheduler": "tcp://host:1\n"}, {"cluster": "local", "memory": "8GB\n"}, {"volumes": ["data:/data\n"]}]
)
def test_a_line_end_is_no_part_of_an_option(option):
    with pytest.raises(msgspec.ValidationError, match="regex"):
        msgspec.convert(option, DaskOffer)


@pytest.mark.parametrize(
    ("error", "says", "is_left_out"),
    [
        (CommClosedError("in <TLS>: Stream is closed"), "Failed to communicate with scheduler during heartbeat.", True),
        (ValueError("other"), "Unexpected exception during heartbeat. Closing worker.", False),
        (CommClosedError("in <TLS>: Stream is closed"), "Connection to scheduler broken.", False),
    ],
)
def test_a_heartbeat_to_a_scheduler_that_closes_leaves_no_traceback(
    error: Exception, says: str, is_left_out: bool
) -> None:
    record = logging.makeLogRecord({"msg": says, "exc_info": (type(error), error, None)})
    assert dask_worker._is_no_lost_heartbeat(record) != is_left_out
