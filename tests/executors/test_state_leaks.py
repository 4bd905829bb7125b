"""A technique that changes the state of its process fails by name, and the next job's numbers are right."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from support import call, loss_source, python, suite_source

from ltbench.core.plugins import PluginOrigin
from ltbench.core.process_state import ProcessState
from ltbench.errors import PluginError, StateChanged, WorkerRefused
from ltbench.records.agreement import result_digest
from ltbench.records.record import validate
from ltbench.registry.registry import Registry
from ltbench.store.store import Store

LEAKS = {
    "default dtype": "torch.set_default_dtype(torch.float64)",
    "default device": "torch.set_default_device('cpu')",
    "grad mode": "torch.set_grad_enabled(False)",
    "anomaly mode": "torch.autograd.set_detect_anomaly(True)",
    "number of threads": "torch.set_num_threads(torch.get_num_threads() + 1)",
    "deterministic mode": "torch.set_deterministic_debug_mode('warn' if torch.get_deterministic_debug_mode() == 2 else 'error')",
    "fill_uninitialized_memory": "torch.utils.deterministic.fill_uninitialized_memory ^= True",
    "precision of matrix products": "torch.set_float32_matmul_precision('medium')",
    "cudnn.benchmark": "torch.backends.cudnn.benchmark = True",
    "mkldnn.enabled": "torch.backends.mkldnn.enabled = False",
    "flash_sdp_enabled": "torch.backends.cuda.enable_flash_sdp(False)",
    "autocast on cpu": "torch.set_autocast_enabled('cpu', True)",
    "modes of functions": "from torch.overrides import TorchFunctionMode; TorchFunctionMode().__enter__()",
    "_global_forward_hooks": "torch.nn.modules.module.register_module_forward_hook(lambda *given: None)",
    "_global_optimizer_pre_hooks": "from torch.optim.optimizer import register_optimizer_step_pre_hook as hook; hook(print)",
    "repeats warnings": "torch.set_warn_always(True)",
    "function torch.nn.functional.relu": "torch.nn.functional.relu = torch.nn.functional.gelu",
    "function torch.Tensor.mean": "torch.Tensor.mean = lambda tensor, *given: tensor.sum()",
    "torch.nn.modules.batchnorm._BatchNorm.forward": "from torch.nn.modules.batchnorm import _BatchNorm as kind; kind.forward = kind.extra_repr",
    "function torch.nn.ReLU.forward": "torch.nn.ReLU.forward = lambda module, x: x",
    "function torch.nn.Sequential.__call__": "torch.nn.Sequential.__call__ = lambda module, x: x",
    "function torch.nn.utils.clip_grad.clip_grad_norm_": "import torch.nn.utils.clip_grad as clip; clip.clip_grad_norm_ = print",
    "function torch.nn.modules.conv.F": "torch.nn.modules.conv.F = torch",
    "function torch.optim.lr_scheduler.LambdaLR.get_lr": "torch.optim.lr_scheduler.LambdaLR.get_lr = print",
    "function torch.optim.sgd.sgd": "import sys; sys.modules['torch.optim.sgd'].sgd = print",
    "function torch.optim.Optimizer.zero_grad": "torch.optim.Optimizer.zero_grad = print",
    "cross_entropy.__defaults__": "f = torch.nn.functional.cross_entropy; f.__defaults__ = (*f.__defaults__[:-1], 0.5)",
    "cross_entropy.__code__": "f = torch.nn.functional; f.cross_entropy.__code__ = f.nll_loss.__code__",
    "torch.optim.AdamW.__init__.__kwdefaults__": "torch.optim.AdamW.__init__.__kwdefaults__['maximize'] = True",
    "nnpack": "torch.backends.nnpack.set_flags(False)",
    "get_fastpath_enabled": "torch.backends.mha.set_fastpath_enabled(False)",
    "size of buffers": "np.setbufsize(4096)",
    "function numpy.mean": "np.mean = lambda *given: 0.0",
    "function builtins.sum": "import builtins; builtins.sum = max",
    "floating-point mode": "torch.set_flush_denormal(True)",
    "variable LTBENCH_LEAK": "import os; os.environ['LTBENCH_LEAK'] = '1'",
    "variable PATH": "import os; os.environ.pop('PATH')",
    "working directory": "import os; os.chdir('/')",
    "umask": "import os; os.umask(0o077)",
    "signal SIGTERM": "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)",
    "blocked signals": "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])",
    "alarm": "import signal; signal.alarm(1000)",
    "warnings filters": "import warnings; warnings.simplefilter('ignore')",
    "handling of the error divide": "np.seterr(divide='ignore')",
    "call on errors": "np.seterrcall(print)",
    "printing of precision": "np.set_printoptions(precision=2)",
    "locale": "import locale; locale.setlocale(locale.LC_ALL, 'C' if 'UTF' in locale.setlocale(locale.LC_ALL) else 'C.UTF-8')",
    "decimal context": "import decimal; decimal.getcontext().prec = 5",
    "limits of the interpreter": "import sys; sys.setrecursionlimit(12345)",
    "garbage collector": "import gc; gc.disable()",
    "sys.path": "import sys; sys.path.insert(0, '/nowhere')",
    "meta_path": "import sys; sys.meta_path.reverse()",
    "os.environ": "import os; os.environ = {}",
    "limit RLIMIT_NOFILE": "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (256, r.getrlimit(r.RLIMIT_NOFILE)[1]))",
    "threads of gradients": "torch.autograd.set_multithreading_enabled(False)",
    "conversion of modules": "torch.__future__.set_swap_module_params_on_conversion(True)",
    "printing of linewidth": "torch.set_printoptions(linewidth=20)",
    "standard streams": "import io, sys; sys.stderr = io.StringIO()",
}
"""What each leak is called, and the statement that leaks."""
if hasattr(torch._C._autograd, "_top_saved_tensors_default_hooks"):  # older versions do not tell of it
    LEAKS["hooks on saved tensors"] = "torch.autograd.graph.saved_tensors_hooks(abs, abs).__enter__()"
PLUGIN = f'''
"""Leaks of every kind."""
from typing import Literal
from ltbench import Ensemble, Loss, Posthoc, Regime, Sampler, hookimpl

LEAKS = {LEAKS!r}


def leak(what):
    import numpy as np
    import torch

    exec(LEAKS[what], {{"np": np, "torch": torch}})


class Leaky(Loss):
    """Leaks, from its first call or at its 20th. Source: none."""

    name = "leaky"
    what: str = "umask"
    late: bool = False

    def per_sample(self, logits, labels, counts):
        global calls
        calls += 1
        if not self.late or (len(logits) > 2 and calls > 2):
            leak(self.what)
        return -logits.log_softmax(1).gather(1, labels[:, None])[:, 0]


calls = 0


class Seeds(Loss):
    """Seeds every global generator, which is put back. Source: none."""

    name = "seeds"

    def per_sample(self, logits, labels, counts):
        import random
        import numpy
        import torch

        for seed in (random.seed, numpy.random.seed, torch.manual_seed):
            seed(7)
        return -logits.log_softmax(1).gather(1, labels[:, None])[:, 0]


class LeakySampler(Sampler):
    """Leaks as it draws. Source: none."""

    name = "leaky_sampler"

    def epoch(self, pool, labels, counts, batch_size, generator):
        leak("default dtype")
        return pool


class LeakyPosthoc(Posthoc):
    """Leaks after training, in a job without torch. Source: none."""

    name = "leaky_posthoc"
    what: str = "sys.path"

    def adjust(self, logits, counts):
        leak(self.what)
        return logits


class LeakyMerge(Ensemble):
    """Leaks as it merges. Source: none."""

    name = "leaky_merge"

    def members(self, counts):
        from ltbench.stages import Member

        return [Member()]

    def merge(self, probabilities):
        leak("variable PATH")
        return probabilities.mean(axis=0)


class Clamps(Loss):
    """Modifies the class counts of everybody. Source: none."""

    name = "clamps"

    def per_sample(self, logits, labels, counts):
        counts.clamp_(max=5)
        return -logits.log_softmax(1).gather(1, labels[:, None])[:, 0]


class Backward(Loss):
    """Leaks as gradients are computed. Source: none."""

    name = "backward"

    def per_sample(self, logits, labels, counts):
        losses = -logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
        if losses.requires_grad:
            losses.register_hook(lambda gradient: leak("default dtype"))
        return losses


class Stays(Posthoc):
    """Enters a mode that nobody else can leave. Source: none."""

    name = "stays"

    def adjust(self, logits, counts):
        import torch

        torch.stays = torch.inference_mode()
        torch.stays.__enter__()
        return logits


class LeakyRegime(Regime):
    """Leaks as the plan is made. Source: none."""

    name = "leaky_regime"

    def phases(self):
        from ltbench.stages import Phase

        leak("variable LTBENCH_LEAK")
        return [Phase(until=1.0)]


@hookimpl
def ltbench_regimes():
    return [LeakyRegime]


@hookimpl
def ltbench_losses():
    return [Leaky, Seeds, Clamps, Backward]


@hookimpl
def ltbench_samplers():
    return [LeakySampler]


@hookimpl
def ltbench_posthocs():
    return [LeakyPosthoc, Stays]


@hookimpl
def ltbench_ensembles():
    return [LeakyMerge]
'''


@pytest.fixture
def kept():
    """Put back what a test leaks if the code under test does not.

    Tests take a state of their own, as pytest changes some of it between the phases of a test.
    """
    state = ProcessState(generators=True)
    yield
    state.restore()


@pytest.mark.parametrize("name", LEAKS)
def test_every_kind_is_noticed_named_and_put_back(kept, name):
    state = ProcessState(generators=True)
    exec(LEAKS[name], {"np": np, "torch": torch})
    changes = state.changes()
    assert any(name in str(change) for change in changes), list(map(str, changes))
    assert state.restore().left == []
    assert ProcessState().changes() == []


def test_without_a_change_there_is_none(kept):
    state = ProcessState(generators=True)
    with torch.no_grad(), np.errstate(all="ignore"), torch.autocast("cpu"):
        torch.nn.Linear(2, 2)(torch.ones(1, 2))
    assert state.changes() == []


def test_checks_of_distributions_are_put_back_and_never_a_fault(kept):
    state = ProcessState(generators=True)
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
    state = ProcessState(generators=True)
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
    state = ProcessState(generators=True)
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
    state = ProcessState(generators=True)
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
    state = ProcessState(generators=True)
    rows = [[f"leaky_posthoc[what={name}]"] for name in LEAKS if name.replace(" ", "").isalnum()]
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
