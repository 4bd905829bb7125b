"""A network as CUDA graphs, with graphs that are simulated: what passes through them, and that making them leaves no trace."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from engine.trainings import as_in_a_fit, training_of
from engine.world import context_of, fit_job, plain
from torch import Tensor, nn

from ltbench.engine import forward as forwards
from ltbench.engine.graphed_network import GraphedNetwork
from ltbench.engine.training import Training


class Graphs:
    """Makes what torch makes: a function for one shape that is given the values of new inputs, after passes to warm up."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails, self.batches = fails, list[int]()

    def __call__(self, module: nn.Module, sample: tuple[Tensor, ...]) -> Callable[[Tensor], Tensor]:
        (fixed,) = sample
        learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
        for _ in range(3):
            logits = module(fixed)
            torch.autograd.grad(logits, learning, torch.ones_like(logits))
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing")

        def replay(images: Tensor) -> Tensor:
            assert images.shape == fixed.shape
            self.batches.append(len(images))
            fixed.copy_(images)
            return module(fixed.clone())

        return replay


def trained(folder: Path, monkeypatch: pytest.MonkeyPatch, graphs: Graphs | None) -> Training:
    """Return a training after its last step, in which batches of eight and one of two take turns."""
    job = fit_job(plain(0.5), plain(trainable="classifier"), recipe={"batch_size": 11})
    training = training_of(job, context_of(folder))
    if graphs is not None:
        made = lambda network, precision: GraphedNetwork(network, precision, graphs)  # noqa: E731
        monkeypatch.setattr(forwards, "GraphedNetwork", made)
        training.graphs = True
    with as_in_a_fit():
        training.run()
    return training


@pytest.mark.parametrize("fails", [False, True])
def test_a_training_with_graphs_has_the_bits_of_one_without(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plainly = trained(tmp_path / "plain", monkeypatch, None).network.state_dict()
    graphs = Graphs(fails=fails)
    graphed = trained(tmp_path / "graphed", monkeypatch, graphs)
    assert all(torch.equal(value, plainly[name]) for name, value in graphed.network.state_dict().items())
    # 57 images are five batches of eleven, in graphs, and one of two, which passes as it is.
    assert graphs.batches == ([] if fails else [11] * (5 * 4))


def test_what_needs_more_than_logits_of_a_network_passes_as_it_is() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    network.get_classifier = lambda: network[1]  # type: ignore[assignment]
    forward = forwards.Forward(network, None, contextlib.nullcontext, features=True)
    forward.use_graphs()
    assert forward._graphed is None
