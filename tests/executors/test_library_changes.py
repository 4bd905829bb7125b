"""What torch changes in itself as it is used is no technique's fault. Each in a fresh process, as it happens but once."""

from __future__ import annotations

from typing import get_args, get_type_hints

import pytest
from support import ltbench, python

from ltbench.suite.recipe import Recipe

START = """
import inspect
import torch
from torch import nn, optim
from ltbench.core.process_state import ProcessState

ProcessState()
state = ProcessState()
network = nn.Linear(2, 2, bias=False)
def classes(module, base):
    kinds = [getattr(module, name) for name in module.__all__ if name != base.__name__]
    return [kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, base)]
"""
END = """
assert state.changes() == [], list(map(str, state.changes()))
"""
USES = {
    "every optimiser": """
for kind in classes(optim, optim.Optimizer):
    try:
        optimizer = kind(network.parameters())
        network(torch.ones(1, 2)).sum().backward()
        optimizer.step(*([lambda: 0.0] if kind is optim.LBFGS else []))
    except RuntimeError as error:
        assert "SparseAdam" in str(error)
""",
    "every scheduler": """
optimizer = optim.SGD(network.parameters(), 0.1, momentum=0.9)
given = {
    "LambdaLR": [lambda step: 1.0], "MultiplicativeLR": [lambda step: 1.0], "StepLR": [1], "MultiStepLR": [[1]],
    "ExponentialLR": [0.9], "CosineAnnealingLR": [3], "CyclicLR": [0.1, 0.2], "CosineAnnealingWarmRestarts": [1],
    "OneCycleLR": [0.1, 3], "ChainedScheduler": [[optim.lr_scheduler.ConstantLR(optimizer)]],
}
given["SequentialLR"] = [[optim.lr_scheduler.ConstantLR(optimizer) for _ in range(2)], [1]]
kinds = classes(optim.lr_scheduler, optim.lr_scheduler.LRScheduler)
assert len(kinds) >= 14
for kind in classes(optim.lr_scheduler, optim.lr_scheduler.LRScheduler):
    first = [] if kind.__name__ == "ChainedScheduler" else [optimizer]
    scheduler = kind(*first, *given.get(kind.__name__, []))
    optimizer.step()
    scheduler.step(*([1.0] if kind.__name__ == "ReduceLROnPlateau" else []))
""",
    "copies and averages": """
import copy, pickle
for kind in (nn.Linear, nn.BatchNorm2d, nn.MultiheadAttention, nn.Sequential, nn.ReLU):
    module = kind(*{nn.Linear: (2, 2), nn.BatchNorm2d: (2,), nn.MultiheadAttention: (2, 1)}.get(kind, ()))
    pickle.loads(pickle.dumps(copy.deepcopy(module)))
optim.swa_utils.AveragedModel(network).update_parameters(network)
nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
nn.LazyLinear(2)(torch.ones(1, 3))
torch.distributions.Beta(1.0, 1.0).sample()
torch.func.grad(lambda weight: weight.sum())(torch.ones(2))

""",
    "compiling": "optim.Adam(network.parameters())\ntorch.compile(lambda x: x + 1, backend='eager')(torch.zeros(1))\n",
}


@pytest.mark.parametrize("optimizer", get_args(get_type_hints(Recipe)["optimizer"]))
def test_the_first_optimiser_of_each_kind_is_no_change(optimizer):
    code = "from ltbench.engine.optimizer import make_optimizer\nfrom ltbench.suite.recipe import Recipe\n"
    python(
        code
        + START
        + f"make_optimizer(Recipe(optimizer={optimizer!r}, steps=1, batch_size=1, lr=0.1), list(network.parameters()))"
        + END
    )


@pytest.mark.parametrize("use", USES)
def test_using_torch_is_no_change(use):
    python(START + USES[use] + END)


@pytest.mark.parametrize(
    "wrapped", ["torch.no_grad()(F.cross_entropy)", "functools.wraps(F.cross_entropy)(F.mse_loss)"]
)
def test_a_function_that_a_technique_wraps_is_a_change(wrapped):
    python(
        START
        + "import functools\nimport torch.nn.functional as F\n"
        + f"F.cross_entropy = {wrapped}\n"
        + "assert [str(change) for change in state.changes()] == ['the attribute torch.nn.functional.cross_entropy']\n"
        + "assert state.restore().left == []"
    )


@pytest.mark.parametrize("executor", ["inline", "local"])
def test_cells_succeed_with_an_optimiser_that_inherits_its_step(tmp_path, executor):
    done = ltbench(
        "run", "--suite", "quick", "--plugins", "label_smooth", "--imbalance-factors", "100", "--seeds", "0",
        *("--set", "steps=2", "--set", "optimizer=adamw", "--set", "lr=0.003", "--executor", executor),
        *("--store", str(tmp_path / "store"), "--leaderboards", str(tmp_path / "pages")),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
