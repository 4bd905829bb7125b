"""A technique that changes the state of its process fails by name, and the next job's numbers are right."""

from __future__ import annotations

import gc
import importlib
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from distributed.gc import GCDiagnosis
from leaks import LEAKS, PLUGIN
from support import call, loss_source, python, suite_source

from ltbench.core.plugins import PluginOrigin
from ltbench.core.process_state import ProcessState
from ltbench.core.watched_code import watched
from ltbench.errors import PluginError, StateChanged, WorkerRefused
from ltbench.records.agreement import result_digest
from ltbench.records.record import validate
from ltbench.registry.registry import Registry
from ltbench.store.store import Store


@pytest.fixture
def kept():
    """Put back what a test leaks if the code under test does not.

    Tests take a state of their own, as pytest changes some of it between the phases of a test.
    """
    state = ProcessState(of_job=True)
    yield
    state.restore()


@pytest.mark.parametrize("name", LEAKS)
def test_every_kind_is_noticed_named_and_put_back(kept, name):
    state = ProcessState(of_job=True)
    exec(LEAKS[name], {"np": np, "torch": torch})
    changes = state.changes()
    assert any(name in str(change) for change in changes), list(map(str, changes))
    assert state.restore().left == []
    assert ProcessState().changes() == []


def test_a_class_is_known_by_where_it_is_defined_whoever_has_imported_it():
    assert "Store" in vars(importlib.import_module("ltbench.executors.job_output"))
    names = [name for name, owner, _ in watched(of_jobs=True) if owner is Store]
    assert names[0] == "ltbench.store.store.Store"


def test_a_worker_of_dask_that_loses_its_scheduler_is_no_change(kept):
    diagnosis = GCDiagnosis()
    diagnosis.enable()
    state = ProcessState(of_job=True)
    diagnosis.disable()
    assert state.restore() == ([], [])
    state = ProcessState(of_job=True)
    diagnosis.enable()
    gc.callbacks.append(print)
    assert [str(change) for change in state.restore().changed] == ["the calls of the garbage collector"]
    assert print not in gc.callbacks
    diagnosis.disable()


def test_without_a_change_there_is_none(kept):
    state = ProcessState(of_job=True)
    with torch.no_grad(), np.errstate(all="ignore"), torch.autocast("cpu"):
        torch.nn.Linear(2, 2)(torch.ones(1, 2))
    assert state.changes() == []


def test_what_torch_sets_as_a_gpu_is_first_used_is_no_change(kept, monkeypatch):
    state = ProcessState()
    monkeypatch.setattr(torch.cuda, "default_generators", (torch.default_generator,))
    monkeypatch.setattr(torch.cuda, "has_magma", not torch.cuda.has_magma)
    assert state.changes() == []


def test_checks_of_distributions_are_put_back_and_never_a_fault(kept):
    state = ProcessState(of_job=True)
    checks = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(not checks)
    assert state.changes() == []
    state.restore()
    assert torch.distributions.Distribution._validate_args == checks


def test_a_default_that_was_put_back_is_noticed_again(kept):
    for _ in range(2):
        state = ProcessState()
        torch.optim.AdamW.__init__.__kwdefaults__["maximize"] = True
        assert state.restore().changed
        assert not torch.optim.AdamW([torch.zeros(1)]).defaults["maximize"]


def test_generators_are_put_back_and_never_a_fault(kept):
    state = ProcessState(of_job=True)
    drawn = random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002
    assert state.changes() == []
    state.restore()
    assert (random.random(), np.random.random(), torch.rand(1).item()) == drawn  # noqa: NPY002


def test_what_an_import_adds_is_no_fault_and_what_it_changes_is_one(kept, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    state = ProcessState()
    (tmp_path / "adds_a_variable.py").write_text("import os; os.environ['LTBENCH_ADDED'] = '1'")
    (tmp_path / "changes_a_variable.py").write_text("import os; os.environ['PATH'] = ''")
    __import__("adds_a_variable")
    assert state.changes() == []
    __import__("changes_a_variable")
    assert "PATH" in str(state.changes()[0])


def test_a_value_of_the_environment_is_never_shown(kept, monkeypatch):
    state = ProcessState(of_job=True)
    monkeypatch.setenv("LTBENCH_TOKEN", "secret")
    assert "secret" not in str(state.changes()[0])


def run(folder: Path, *rows: list[str], executor: str = "inline", **fields: object) -> dict[str, dict]:
    """Run combinations with the leaking plugin; return records by the label of the technique."""
    folder.mkdir(exist_ok=True)
    (folder / "leaks.py").write_text(PLUGIN)
    recipe = {"steps": 5, "batch_size": 16, "lr": 0.05, "precision": "fp32"}
    suite = suite_source(
        "tiny", recipe, combinations=list(rows), seeds=[0], figures=[], models=["convnet[width=4]"], **fields
    )
    (folder / "tiny.toml").write_text(suite)
    call(
        "run", "--suite", folder / "tiny.toml", "--plugin-file", folder / "leaks.py", "--executor", executor,
        "--workers", 1, "--store", folder / "store", "--leaderboards", folder / "pages",
    )  # fmt: skip
    found = {}
    store = Store(folder / "store")
    for record in map(store.record, store.cells()):  # pages leave out those that failed
        picked = [label for label in record["combination"].values() if label]
        found["+".join(picked) or "baseline"] = record
    return found


def number(record: dict) -> str:
    return result_digest(validate(record))


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """The right numbers: of runs in which nothing leaks."""
    return run(tmp_path_factory.mktemp("clean"), ["vs"], ["seeds"])


@pytest.mark.parametrize(
    "executor",
    ["inline", pytest.param("local", marks=pytest.mark.slow), pytest.param("dask[workers=1]", marks=pytest.mark.slow)],
)
def test_a_leaking_loss_fails_by_name_and_the_next_job_is_right(kept, clean, tmp_path, executor):
    done = run(tmp_path, ["leaky[what=default dtype]"], ["vs"], ["seeds"], executor=executor)
    error = done["leaky[what=default dtype]"]["error"]
    assert error["type"] == "StateChanged"
    said = "loss 'leaky[what=default dtype]' changed torch's default dtype from torch.float32 to torch.float64"
    assert error["message"].startswith(said)
    for name in ("baseline", "vs", "seeds"):
        assert number(done[name]) == number(clean[name])


def test_a_change_in_a_later_call_is_found_at_the_end_of_the_job(kept, clean, tmp_path):
    state = ProcessState(of_job=True)
    done = run(tmp_path, ["leaky[late=true,what=default dtype]"], ["vs"])
    message = done["leaky[late=true,what=default dtype]"]["error"]["message"]
    assert message.startswith("one of the techniques of this fit (fashion_mini, exp, convnet[width=4], ")
    assert (
        "leaky[late=true,what=default dtype]) changed torch's default dtype from torch.float32 to torch.float64"
        in message
    )
    assert number(done["vs"]) == number(clean["vs"])
    assert state.changes() == []


@pytest.mark.parametrize("technique", ["leaky_sampler", "leaky_posthoc", "leaky_merge"])
def test_techniques_of_other_stages_are_named_too(kept, clean, tmp_path, technique):
    done = run(tmp_path, [technique], ["vs"])
    error = done[technique]["error"]
    assert error["type"] == "StateChanged"
    assert f"'{technique}'" in error["message"].partition(" changed ")[0]
    assert number(done["vs"]) == number(clean["vs"])


def test_every_kind_fails_its_cell_and_no_other(kept, clean, tmp_path):
    state = ProcessState(of_job=True)
    rows = [[f"leaky_posthoc[number={number}]"] for number in range(len(LEAKS))]
    done = run(tmp_path, *rows, ["vs"])
    for (label,) in rows:
        assert done[label]["error"]["type"] == "StateChanged", done[label]
    assert number(done["vs"]) == number(clean["vs"])
    assert state.changes() == []


def test_the_result_of_a_job_that_leaked_late_is_not_kept(kept, tmp_path):
    run(tmp_path, ["leaky[late=true,what=default dtype]"])
    again = run(tmp_path, ["leaky[late=true,what=default dtype]"])
    assert again["leaky[late=true,what=default dtype]"]["status"] == "failed"


def test_a_change_in_the_backward_pass_is_found(kept, clean, tmp_path):
    done = run(tmp_path, ["backward"], ["vs"])
    assert "backward) changed torch's default dtype" in done["backward"]["error"]["message"]
    assert number(done["vs"]) == number(clean["vs"])


def test_class_counts_that_a_technique_modifies_are_not_those_of_the_next_job(kept, clean, tmp_path):
    done = run(tmp_path, ["clamps"], ["vs"])
    assert "clamps) modified counts in place" in done["clamps"]["error"]["message"]
    assert number(done["vs"]) == number(clean["vs"])


@pytest.fixture
def left_at_last():
    """Leave the mode that the technique `stays` has entered."""
    yield
    torch.__dict__.pop("stays").__exit__(None, None, None)


def test_where_the_state_cannot_be_put_back_nothing_else_runs_in_this_process(kept, left_at_last, tmp_path):
    with pytest.raises(WorkerRefused, match="no further job can run in this process") as refused:
        run(tmp_path, ["stays"], ["vs", "stays"])
    assert "torch's inference mode from False to True, which cannot be undone" in refused.value.why
    assert "--executor local" in refused.value.fix


@pytest.mark.slow
def test_where_the_state_cannot_be_put_back_a_new_worker_goes_on(clean, tmp_path):
    done = run(tmp_path, ["stays"], ["vs"], executor="local")
    assert done["stays"]["error"]["message"].startswith("posthoc 'stays' of file:leaks ")
    assert number(done["vs"]) == number(clean["vs"])


def test_a_technique_that_changes_the_state_as_the_plan_is_made_is_named(kept, tmp_path):
    said = "regime 'leaky_regime' of file:leaks .* changed the environment variable LTBENCH_LEAK"
    with pytest.raises(StateChanged, match=said):
        run(tmp_path, ["leaky_regime"])


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("import torch; torch.set_default_dtype(torch.float64)", "torch's default dtype from torch.float32 to"),
        ("import os; os.environ['ATEN_CPU_CAPABILITY'] = 'default'", "the environment variable ATEN_CPU_CAPABILITY"),
    ],
)
def test_a_plugin_that_changes_the_state_as_it_is_imported_is_refused(kept, tmp_path, statement, said):
    plugin = tmp_path / "sets_it_for_all.py"
    plugin.write_text(f"{statement}\n{loss_source('sets_it_for_all')}")
    state = ProcessState()
    with pytest.raises(PluginError) as refused:
        Registry.load(PluginOrigin(plugin_files=(str(plugin),)))
    assert f"importing it changes {said}" in str(refused.value)
    assert state.changes() == []


def test_what_is_left_where_a_list_was_is_noticed_and_put_back(kept, monkeypatch):
    state = ProcessState()
    monkeypatch.setattr("sys.path", None)
    assert list(map(str, state.changes())) == ["sys.path"]
    assert state.restore().left == []


def test_a_library_that_is_imported_in_between_is_compared_with_its_defaults():
    python(
        "from ltbench.core.process_state import ProcessState\n"
        "state = ProcessState()\n"
        "import numpy, torch\n"
        "assert state.changes() == []\n"
        "torch.set_default_dtype(torch.float64)\n"
        "numpy.seterr(all='ignore')\n"
        "assert len(state.changes()) == 2\n"
        "assert state.restore().left == []\n"
        "assert torch.get_default_dtype() == torch.float32"
    )
