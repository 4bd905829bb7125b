"""The inline executor: the same outcomes, in this process."""

from __future__ import annotations

import os

import pytest
from fakes import WORK, make
from support import make_executor

from ltbench.core.plugins import PluginOrigin
from ltbench.core.tracebacks import without_machine
from ltbench.errors import JobFailed, StoreError, UsageError
from ltbench.executor import Terms
from ltbench.executors.inline import Inline
from ltbench.executors.perform import perform


def do(here, *jobs, work=WORK):
    with Inline(here, Terms(work=work)) as executor:
        executor.submit(jobs)
        return {outcome.key: outcome for outcome in executor.wait(0.0)}


def test_jobs_are_done_in_order(here):
    outcomes = do(here, make("job1"), make("job2", "job1"), make("cell1", "job2", kind="cell"))
    assert [o.status for o in outcomes.values()] == ["done", "done", "done"]
    assert all(o.seconds > 0 for o in outcomes.values())


def test_waiting_without_a_task_waits(here):
    with Inline(here, Terms(work=WORK)) as executor:
        assert executor.wait(0.01) == []


def test_a_task_that_was_not_begun_is_forgotten_by_stop(here):
    with Inline(here, Terms(work=WORK)) as executor:
        executor.submit([make("job1")])
        executor.stop()
        assert executor.wait(0.0) == []


@pytest.mark.parametrize("limit", ["timeout", "memory"])
def test_a_limit_that_nobody_could_hold_a_job_to_is_refused(here, limit):
    with pytest.raises(UsageError, match=f"--{limit}"):
        make_executor("inline", here, Terms(**{limit: 1}))


def test_a_failure_has_a_log(here):
    outcomes = do(here, make("job1", does="fail"))
    assert outcomes["job1"].status == "failed"
    assert here.store.log("job1") == outcomes["job1"].error["log"]


def test_what_a_job_prints_is_no_data(here, capsys):
    do(here, make("job1", does="fail"))
    assert capsys.readouterr() == ("", "said before the failure\n")


def test_an_error_of_the_store_is_told_apart(here):
    outcomes = do(here, make("job1", "nothing"), make("job2", does="fill_the_disk"))
    assert all(isinstance(o.store_error, StoreError) for o in outcomes.values())
    assert "the disk is full" in outcomes["job2"].error["message"]


def test_nothing_more_of_a_task_is_tried_where_the_disk_is_full(here):
    outcomes = do(here, make("job1", does="fill_the_disk"), make("job2"))
    assert [o.status for o in outcomes.values()] == ["failed", "skipped"]


def test_an_error_that_ltbench_raises_is_told_in_its_own_words(here):
    def work(job, context):
        raise JobFailed("loss is not finite", where="step 3", fix="lower lr")

    error = do(here, make("job1"), work=work)["job1"].error
    assert error["type"] == "JobFailed"
    assert error["message"] == "loss is not finite\n  where: step 3\n  try: lower lr"


PLUGIN = '''
"""A plugin for tests."""
from ltbench import Loss, hookimpl


class Breaks(Loss):
    """Raises, directly or from within a library. Source: none."""

    name = "breaks_here"

    def per_sample(self, logits, labels, counts):
        import json

        return json.loads("no json")


@hookimpl
def ltbench_losses():
    return [Breaks]
'''


def test_an_error_that_comes_out_of_a_plugin_names_it(here, tmp_path):
    import msgspec

    from ltbench.registry.registry import Registry

    (tmp_path / "breaks_here.py").write_text(PLUGIN)
    registry = Registry.load(PluginOrigin(plugin_files=(str(tmp_path / "breaks_here.py"),)))
    loss = registry.parse("breaks_here")

    def work(job, context):
        loss.per_sample(None, None, None)

    error = do(msgspec.structs.replace(here, registry=registry), make("job1"), work=work)["job1"].error
    version = registry.entry("breaks_here").version
    assert error["message"].startswith(f"loss 'breaks_here' of file:breaks_here {version} raised JSONDecodeError: ")
    assert "breaks_here.py" in error["log"]


def test_an_error_of_the_harness_is_not_a_plugins(here):
    def work(job, context):
        here.store.path("../..")

    assert do(here, make("job1"), work=work)["job1"].error["message"].startswith("the fit raised ValueError")


def test_logs_name_files_as_python_finds_them(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path / "home")
    log = f'  File "{tmp_path}/site/pack/mod.py", line 1\n  File "{tmp_path}/home/own/x.py", line 2\n'
    assert without_machine(log) == '  File "pack/mod.py", line 1\n  File "~/own/x.py", line 2\n'


def test_the_state_that_a_job_has_changed_is_put_back_and_the_next_task_runs(here):
    with Inline(here, Terms(work=WORK)) as executor:
        executor.submit([make("job1", does="change_the_state"), make("job2")])
        assert [outcome.status for outcome in executor.wait(0.0)] == ["failed", "skipped"]
        assert "LTBENCH_LEFT_BY_A_JOB" not in os.environ
        executor.submit([make("job2")])
        assert [outcome.status for outcome in executor.wait(0.0)] == ["done"]


def test_a_failure_that_the_command_has_noted_meanwhile_stays(here):
    """It takes a worker for dead whose connections a technique has closed, while the worker still ends its job."""

    def work(job, context):
        context.store.put_record({"id": job.key, "status": "failed"})
        os.environ["LTBENCH_LEFT_BY_A_JOB"] = "1"

    (outcome,) = perform([make("cell1", kind="cell")], here, work)
    assert outcome.status == "failed"
    assert outcome.changed
    assert here.store.record("cell1") == {"id": "cell1", "status": "failed"}


@pytest.mark.usefixtures("interrupts")
def test_a_request_to_stop_is_no_change_of_the_state(here):
    def work(job, context):
        os.environ["LTBENCH_LEFT_BY_A_JOB"] = "1"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(perform([make("job1")], here, work))
    assert "LTBENCH_LEFT_BY_A_JOB" not in os.environ
