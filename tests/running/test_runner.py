"""The runner: what is missing is done once, whatever fails, dies, stops or happens elsewhere at the same time."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
from fakes import WORK, context, journal_keys, make, plan, tree, wait_for
from support import import_path_env

from ltbench.core.checksums import examine
from ltbench.errors import Interrupted, StoreError
from ltbench.executor import Terms
from ltbench.executors.inline import Inline
from ltbench.executors.local import Local
from ltbench.running.budget import Budget
from ltbench.running.options import RunOptions
from ltbench.running.runner import run


def inline(here, what, on_event=lambda event: None, renew=(), **options):
    with Inline(here, Terms(work=WORK)) as executor:
        return run(what, here, executor, RunOptions(**options), renew=renew, on_event=on_event)


def local(here, what, workers=2, timeout=None, on_event=lambda event: None, renew=(), **options):
    with Local(here, Terms(workers=workers, work=WORK, timeout=timeout)) as executor:
        return run(what, here, executor, RunOptions(**options), renew=renew, on_event=on_event)


def test_a_budget_of_cells_or_passes_ends_before_the_next_task(here):
    # Longer than what is put into one task.
    jobs = [(make(f"fit{n}", sleeps=0.6), make(f"cell{n}", f"fit{n}", kind="cell")) for n in range(4)]
    what = plan(*itertools.chain.from_iterable(jobs))
    summary = inline(here, what, budget=Budget(cells=1))
    assert (summary.ran["cell"], summary.unfinished) == (1, 3)
    # What is in the store is not paid again.
    again = inline(here, what, budget=Budget(cells=1))
    assert (again.cached, again.done) == (1, 2)
    # A job of these costs ten passes.
    assert inline(here, what, budget=Budget(passes=1.0)).ran == {"fit": 1}
    assert inline(here, what, budget=Budget(passes=1e9)).unfinished == 0


def test_everything_is_done_once_and_in_order(here):
    what = tree()
    summary = inline(here, what)
    assert journal_keys(here.store, "ended") == list(what.jobs)
    assert (summary.cells, summary.done, summary.cached, summary.failed, summary.unfinished) == (18, 18, 0, (), 0)
    assert summary.ran == {"fit": 6, "predict": 6, "cell": 18}


def test_local_workers_do_the_same(here):
    what = tree()
    assert local(here, what).ran == {"fit": 6, "predict": 6, "cell": 18}
    assert sorted(journal_keys(here.store, "ended")) == sorted(what.jobs)


def test_a_second_run_does_nothing_and_needs_no_workers(here):
    inline(here, tree())
    began = journal_keys(here.store, "began")
    summary = inline(here, tree(), budget=Budget(seconds=0.0))
    assert (summary.done, summary.cached, summary.ran) == (18, 18, {})
    assert journal_keys(here.store, "began") == began


def test_cells_with_records_need_no_artefacts(here):
    inline(here, tree())
    shutil.rmtree(here.store.root / "jobs")
    assert inline(here, tree()).ran == {}
    (here.store.root / "records" / "ce" / "cell2-1.json").unlink()
    assert inline(here, tree()).ran == {"fit": 1, "predict": 1, "cell": 1}
    assert journal_keys(here.store, "ended")[-3:] == ["fit2", "predict2", "cell2-1"]


def test_an_artefact_that_is_there_needs_no_parents(here):
    what = plan(make("fit1"), make("fit2", "fit1"), make("cell1", "fit2", kind="cell"))
    inline(here, what)
    shutil.rmtree(here.store.path("fit1"))
    (here.store.root / "records" / "ce" / "cell1.json").unlink()
    assert inline(here, what).ran == {"cell": 1}


def test_a_failure_costs_the_cells_that_need_it_and_no_other(here):
    what = plan(
        make("fit1", sleeps=0.6),
        make("fit2", does="fail"),
        make("only-for-cell12", "fit1"),
        make("cell1", "fit1", kind="cell"),
        make("cell2", "fit2", kind="cell"),
        make("cell12", "only-for-cell12", "fit2", kind="cell"),
    )
    events = []
    summary = inline(here, what, on_event=lambda event: events.append((event.kind, event.job and event.job.key)))
    assert set(summary.failed) == {"cell2", "cell12"}
    assert summary.done == 1
    assert "only-for-cell12" not in journal_keys(here.store, "began")
    assert ("failed", "fit2") in events
    record = here.store.record("cell12")
    assert record["status"] == "failed"
    assert record["error"]["type"] == "ValueError"
    assert record["error"]["job"] == "fit2"
    assert "Traceback" in record["error"]["log"]


def test_a_failed_cell_is_tried_again_by_the_next_run_unless_told_otherwise(here):
    inline(here, plan(make("fit1", does="fail"), make("cell1", "fit1", kind="cell")))
    mended = plan(make("fit1"), make("cell1", "fit1", kind="cell"))
    summary = inline(here, mended, retry_failed=False)
    assert (summary.failed, summary.ran, summary.unfinished) == (("cell1",), {}, 0)
    summary = inline(here, mended)
    assert (summary.failed, summary.done) == ((), 1)
    assert here.store.status("cell1") == "ok"


def test_a_job_whose_worker_died_is_tried_again(here):
    what = plan(
        make("fit1", does="kill_itself_once"),
        make("fit2", sleeps=0.3),
        make("cell1", "fit1", kind="cell"),
        make("cell2", "fit2", kind="cell"),
    )
    events = []
    summary = local(here, what, on_event=lambda event: events.append(event.kind))
    assert (summary.done, summary.failed) == (2, ())
    assert journal_keys(here.store, "began").count("fit1") == 2
    assert journal_keys(here.store, "began").count("fit2") == 1
    assert events.count("retry") == 1


def test_a_job_that_kills_every_worker_fails_alone(here):
    what = plan(
        make("fit1", does="kill_itself"),
        *(make(f"fit{n}") for n in range(2, 6)),
        *(make(f"cell{n}", f"fit{n}", kind="cell") for n in range(1, 6)),
    )
    summary = local(here, what, retries=2)
    assert (summary.done, summary.failed) == (4, ("cell1",))
    began = journal_keys(here.store, "began")
    assert began.count("fit1") == 3
    assert all(began.count(f"fit{n}") == 1 for n in range(2, 6))
    error = here.store.record("cell1")["error"]
    assert "was killed by SIGKILL" in error["message"]
    assert error["log"] == "last words\n"


def test_a_job_that_hangs_is_tried_again_and_then_fails(here):
    what = plan(
        make("fit1", does="hang_once"),
        make("fit2", does="hang"),
        make("cell1", "fit1", kind="cell"),
        make("cell2", "fit2", kind="cell"),
    )
    summary = local(here, what, timeout=1.0)
    assert (summary.done, summary.failed) == (1, ("cell2",))
    assert "took more than 1 s" in here.store.record("cell2")["error"]["message"]


def test_a_damaged_artefact_is_made_again(here):
    what = tree(fits=2)
    inline(here, what)
    for path in (here.store.root / "records").glob("*/*"):
        path.unlink()
    shutil.rmtree(here.store.path("predict0"))
    (here.store.path("fit0") / "meta.json").write_text("{ }")
    events = []
    fresh = context(here.store.root)
    summary = inline(fresh, what, on_event=lambda e: events.append((e.kind, e.job and e.job.key)))
    assert summary.done == 6
    assert ("remake", "fit0") in events
    assert summary.ran == {"fit": 1, "predict": 1, "cell": 6}
    assert [damage.key for damage in fresh.store.damage] == ["fit0"]
    assert not examine(fresh.store.path("fit0"), "fit0")


def family():
    """A cell that reads its fit besides its prediction, as cells do."""
    cell = make("cell1", "predict1", kind="cell", members=["fit1"])
    return plan(make("fit1"), make("predict1", "fit1", kind="predict"), cell)


def test_a_fit_that_is_gone_is_made_again_for_a_cell_that_has_its_prediction(here):
    inline(here, family())
    (here.store.root / "records" / "ce" / "cell1.json").unlink()
    shutil.rmtree(here.store.path("fit1"))
    assert inline(here, family()).ran == {"fit": 1, "cell": 1}


@pytest.mark.parametrize("execute", [inline, local])
def test_a_fit_that_is_damaged_is_made_again_for_a_cell_that_has_its_prediction(here, execute):
    inline(here, family())
    (here.store.root / "records" / "ce" / "cell1.json").unlink()
    (here.store.path("fit1") / "meta.json").write_text("{ }")
    fresh = context(here.store.root)
    assert execute(fresh, family()).ran == {"fit": 1, "cell": 1}
    assert not examine(fresh.store.path("fit1"), "fit1")


def test_an_artefact_that_many_wait_for_is_made_again_once(here):
    what = plan(make("fit1"), *(make(f"cell{n}", "fit1", kind="cell") for n in range(5)))
    inline(here, what)
    shutil.rmtree(here.store.root / "records")
    (here.store.path("fit1") / "meta.json").write_text("{ }")
    summary = local(context(here.store.root), what, workers=2)
    assert (summary.done, summary.ran["fit"]) == (5, 1)


def test_a_job_whose_parent_vanishes_for_ever_fails_in_the_end(here):
    def work(job, context):
        from fakes import work

        if job.key == "cell1":
            shutil.rmtree(context.store.path("fit1"))
        work(job, context)

    what = plan(make("fit1"), make("cell1", "fit1", kind="cell"))
    with Inline(here, Terms(work=work)) as executor, pytest.raises(StoreError, match="not in the store"):
        run(what, here, executor)
    assert journal_keys(here.store, "began").count("fit1") == 4


def test_a_record_that_its_reader_does_not_accept_is_made_again(here, monkeypatch):
    from ltbench.errors import RecordError
    from ltbench.records import from_store

    inline(here, tree(fits=1))

    def check(record):
        if "tampered" in record:
            raise RecordError("a record was changed after it was created")

    monkeypatch.setattr(from_store, "checked_record", check)
    here.store.put_record({"id": "cell0-1", "status": "ok", "tampered": True})
    assert inline(here, tree(fits=1)).ran == {"cell": 1}
    assert "tampered" not in here.store.record("cell0-1")
    assert [damage.key for damage in here.store.damage] == ["cell0-1"]


def test_a_store_that_takes_nothing_more_ends_the_run(here):
    what = plan(make("fit1"), make("fit2", does="fill_the_disk"), make("cell1", "fit1", "fit2", kind="cell"))
    with pytest.raises(StoreError, match="cannot be written") as caught:
        local(here, what)
    assert "the disk is full" in str(caught.value)
    assert here.store.record("cell1") is None


def test_a_store_that_cannot_be_written_is_told_before_anything_is_done(here, monkeypatch):
    def refuse():
        raise StoreError("no")

    monkeypatch.setattr(here.store, "check_writable", refuse)
    with pytest.raises(StoreError):
        inline(here, tree())
    assert not here.store.root.exists()


def test_when_the_time_is_over_nothing_new_is_begun(here):
    # A task holds half a second of work, and what was handed out is finished.
    summary = inline(here, tree(sleeps=0.2), budget=Budget(seconds=0.25))
    assert 0 < summary.ran["fit"] < 6
    assert summary.unfinished == 18 - summary.done > 0
    assert inline(here, tree(sleeps=0.1)).unfinished == 0
    assert len(set(journal_keys(here.store, "began"))) == len(journal_keys(here.store, "began"))


# --- signals ----------------------------------------------------------------------------------------------------


def command(root, seconds=0.3, workers=2):
    return subprocess.Popen(
        [sys.executable, "-m", "fakes", str(root), str(seconds), str(workers)],
        env=os.environ | import_path_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_finishes_what_is_running(here, number):
    process = command(here.store.root)
    wait_for(lambda: "fit0" in journal_keys(here.store, "began"))
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 6
    assert stderr.startswith("stopped with ")
    assert "run the same command to continue" in stderr
    assert "Traceback" not in stderr
    assert sorted(journal_keys(here.store, "began")) == sorted(journal_keys(here.store, "ended"))
    assert journal_keys(here.store, "ended")
    summary = inline(here, tree())
    assert summary.done == 18
    assert sorted(journal_keys(here.store, "began")) == sorted(tree().jobs)


def test_a_second_signal_stops_now(here):
    process = command(here.store.root, seconds=60)
    wait_for(lambda: len(journal_keys(here.store, "began")) == 2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == 6
    assert "Traceback" not in stderr
    assert journal_keys(here.store, "ended") == []
    assert local(here, tree(), workers=1).done == 18


@pytest.mark.parametrize("moment", ["as workers start", "as workers work"])
def test_ctrl_c_goes_to_the_whole_group_and_only_the_command_minds(here, moment):
    process = command(here.store.root)
    if moment == "as workers start":
        wait_for(lambda: len(children(process.pid)) > 1)
    else:
        wait_for(lambda: "fit0" in journal_keys(here.store, "began"))
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 6
    assert "Traceback" not in stderr
    assert "KeyboardInterrupt" not in stderr
    assert sorted(journal_keys(here.store, "began")) == sorted(journal_keys(here.store, "ended"))


def children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_sigterm_to_the_whole_group_fails_no_cell(here):
    process = command(here.store.root, seconds=1)
    wait_for(lambda: "fit0" in journal_keys(here.store, "began"))
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 6
    assert not any(map(here.store.record, tree().jobs))


def test_a_signal_inside_of_a_job_of_this_process(here):
    def work(job, context):
        from fakes import work

        for _ in range({"fit1": 1, "fit2": 2}.get(job.key, 0)):
            signal.raise_signal(signal.SIGINT)
        work(job, context)

    before = signal.getsignal(signal.SIGINT)
    for fits in (["fit0", "fit1"], ["fit0", "fit1"]):
        with Inline(here, Terms(work=work)) as executor, pytest.raises(Interrupted):
            run(tree(), here, executor)
        assert [key for key in journal_keys(here.store, "ended") if key.startswith("fit")] == fits
    assert signal.getsignal(signal.SIGINT) is before
    assert not here.store.leases.is_held("fit2")


def test_a_run_needs_no_main_thread(here):
    found = []
    thread = threading.Thread(target=lambda: found.append(inline(here, tree())))
    thread.start()
    thread.join()
    assert found[0].done == 18


# --- others at the same time --------------------------------------------------------------------------------------


def test_two_runs_at_once_do_every_job_once_and_both_see_all_of_it(here):
    both = [command(here.store.root, seconds=0.1, workers=2) for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(journal_keys(here.store, "began")) == sorted(tree().jobs)
    done, ran = zip(*(map(int, out.split()[:2]) for out, _ in said), strict=True)
    assert done == (18, 18)
    assert sum(ran) == len(tree().jobs)


def test_what_another_process_does_is_waited_for(here):
    what = plan(make("fit1"), make("fit2"), make("cell1", "fit1", kind="cell"), make("cell2", "fit2", kind="cell"))
    lease = here.store.lease("fit1")

    def elsewhere():
        wait_for(lambda: "fit2" in journal_keys(here.store, "ended"))
        with lease, here.store.writing("fit1") as folder:
            (folder / "meta.json").write_text("{}")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    summary = inline(here, what)
    thread.join()
    assert (summary.done, summary.done_elsewhere) == (2, 1)
    assert "fit1" not in journal_keys(here.store, "began")


def test_what_another_process_gave_up_is_taken_over(here):
    lease = here.store.lease("fit1")
    threading.Timer(0.8, lease.release).start()
    summary = inline(here, plan(make("fit1"), make("cell1", "fit1", kind="cell")))
    assert (summary.done, summary.done_elsewhere, summary.ran) == (1, 0, {"fit": 1, "cell": 1})


def test_waiting_for_others_ends_with_the_time(here):
    with here.store.lease("fit1"):
        summary = inline(here, plan(make("fit1"), make("cell1", "fit1", kind="cell")), budget=Budget(seconds=0.5))
    assert summary.unfinished == 1


@pytest.mark.slow
def test_a_command_killed_at_a_random_moment_loses_nothing_but_what_was_running(here, tmp_path):
    chance = random.Random(7)
    kills = 0
    for attempt in range(100):
        root = tmp_path / f"round{attempt}"
        store = context(root).store
        finished = False
        while not finished:
            before = len(journal_keys(store, "began"))
            process = command(root, seconds=0.05)
            # A kill while a lease is being written leaves it without an owner: it is free after its 60 s, not at once.
            wait_for(
                lambda s=store, p=process, n=before: p.poll() is not None or len(journal_keys(s, "began")) > n, 90.0
            )
            try:
                process.wait(timeout=chance.uniform(0.0, 0.5))
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
            process.communicate()
            finished = process.returncode == 0
        ended = journal_keys(store, "ended")
        assert sorted(set(ended)) == sorted(tree().jobs)
        # A job may have ended and its worker died before it was visible; it is never done again once it was.
        assert len(ended) <= len(tree().jobs) + 2 * kills
        assert not any(examine(store.path(key), key) for key in tree().jobs if not key.startswith("cell"))
        assert all(store.status(key) == "ok" for key in tree().jobs if key.startswith("cell"))
        assert not store.damage
        if kills >= 20:
            break


def test_a_small_job_costs_little(here):
    what = tree(fits=10, cells=60)
    with Local(here, Terms(workers=2, work=WORK)) as executor:
        run(tree(fits=2, cells=0), here, executor)  # the workers are there
        started = time.perf_counter()
        run(what, here, executor)
        seconds = time.perf_counter() - started
    assert seconds / 600 < 0.020


# --- metrics that are added later -----------------------------------------------------------------------------------


def test_a_cell_is_derived_again_where_its_logits_are_and_trained_for_never(here):
    inline(here, family())
    summary = inline(here, family(), renew=["cell1"])
    assert (summary.done, summary.cached, summary.ran) == (1, 0, {"cell": 1})
    shutil.rmtree(here.store.path("fit1"))
    summary = inline(here, family(), renew=["cell1"])
    assert (summary.done, summary.cached, summary.ran) == (1, 1, {})


@pytest.mark.parametrize("execute", [inline, local])
def test_logits_that_are_found_damaged_while_a_metric_is_derived_cost_no_training_and_no_record(here, execute):
    inline(here, family())
    (here.store.path("fit1") / "meta.json").write_text("{ }")
    fresh = context(here.store.root)
    summary = execute(fresh, family(), renew=["cell1"])
    assert (summary.failed, summary.ran) == (("cell1",), {})
    assert fresh.store.status("cell1") == "ok"


def test_a_cell_that_another_process_is_deriving_is_derived_here_too(here):
    """Whether that one finishes cannot be seen, as the cell has a record before and after."""
    inline(here, family())
    lease = here.store.lease("cell1")
    threading.Timer(1.0, lease.__exit__, (None, None, None)).start()
    assert inline(here, family(), renew=["cell1"]).ran == {"cell": 1}


def test_a_fit_that_kills_the_worker_of_its_stack_fails_alone(here):
    fits = [
        msgspec.structs.replace(make(f"fit{n}", does="kill_itself" if n == 2 else "nothing"), together="stack")
        for n in range(5)
    ]
    what = plan(*fits, *(make(f"cell{n}", f"fit{n}", kind="cell") for n in range(5)))
    summary = local(here, what, retries=0)
    assert summary.failed == ("cell2",)
    assert summary.done == 4
