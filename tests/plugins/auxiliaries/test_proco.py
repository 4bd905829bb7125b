from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.special
import torch
from plugins.auxiliaries.outputs import NOW, features, term_of, unit, views_of
from torch import nn

from ltbench import Outputs
from ltbench.stages import Seen
from ltbench_plugins.auxiliaries.proco import Proco
from ltbench_plugins.losses.balanced_softmax import BalancedSoftmax

COUNTS = torch.tensor([30, 10, 3])
LABELS = [0, 0, 1, 2]
FIRST, SECOND = features(4, 8, seed=1), features(4, 8, seed=2)
MEANS = nn.functional.normalize(features(3, 8, seed=3), dim=1) * torch.tensor([[0.3], [0.8], [0.95]])
SMALL = Proco(dimension=8)


def state(number: float = 4.0) -> dict[str, torch.Tensor]:
    numbers = torch.full((3,), number)
    return {"mean": MEANS, "number": numbers, "next_mean": torch.zeros(3, 8), "next_number": torch.zeros(3)}


def views(of: dict[str, torch.Tensor]) -> list[Outputs]:
    return views_of(FIRST, SECOND, state=of)


def log_constant(kappa: float, p: int) -> float:
    """Return log C_p(kappa) of a von Mises-Fisher distribution."""
    order = p / 2 - 1
    return order * math.log(kappa) - p / 2 * math.log(2 * math.pi) - math.log(scipy.special.ive(order, kappa)) - kappa


def wanted(means: np.ndarray) -> float:
    prior, losses = (COUNTS / COUNTS.sum()).double().numpy(), []
    for z, label in zip(unit(torch.cat([FIRST, SECOND])), LABELS * 2, strict=True):
        ratios = []
        for mean in means:
            size = np.linalg.norm(mean)
            kappa = size * (8 - size**2) / (1 - size**2)
            shifted = np.linalg.norm(kappa * mean / size + z / 0.1)
            ratios.append(math.exp(log_constant(kappa, 8) - log_constant(shifted, 8)))
        losses.append(-math.log(prior[label] * ratios[label] / sum(prior * ratios)))
    return float(np.mean(losses))


def test_by_the_equation() -> None:
    assert term_of(SMALL, views(state()), LABELS, COUNTS) == pytest.approx(wanted(MEANS.double().numpy()), rel=1e-4)


def test_the_ratio_is_the_mean_of_the_exponential_over_the_distribution() -> None:
    # Sampled on the circle of p = 2 this needs another expansion; at p = 8 a vMF sample comes from scipy.
    size = 0.8
    kappa = size * (8 - size**2) / (1 - size**2)
    mean = np.eye(8)[0]
    drawn = scipy.stats.vonmises_fisher(mean, kappa).rvs(200_000, random_state=np.random.default_rng(0))
    z = unit(features(1, 8, seed=5))[0]
    ratio = SMALL.log_ratios(torch.tensor(z)[None, None], torch.tensor(mean * size)[None])
    assert float(ratio) == pytest.approx(math.log(np.exp(drawn @ z / 0.1).mean()), abs=0.02)


def test_with_infinite_concentration_it_is_balanced_softmax_on_cosines() -> None:
    sharp = {**state(), "mean": nn.functional.normalize(MEANS, dim=1)}
    rows = nn.functional.normalize(torch.cat([FIRST, SECOND]), dim=1)
    logits = rows @ sharp["mean"].T / 0.1
    losses = BalancedSoftmax().per_sample(logits, torch.tensor(LABELS * 2), COUNTS)
    assert term_of(SMALL, views(sharp), LABELS, COUNTS) == pytest.approx(float(losses.mean()), rel=2e-3)


def test_before_the_end_of_an_epoch_the_current_means_count_with_the_batch() -> None:
    rows = unit(torch.cat([FIRST, SECOND]))
    means = np.array([rows[[i for i, label in enumerate(LABELS * 2) if label == c]].mean(0) for c in range(3)])
    assert term_of(SMALL, views(state(number=0)), LABELS, COUNTS) == pytest.approx(wanted(means), rel=1e-4)


def after(technique: Proco, before: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    outputs = Outputs(
        logits=None, branches=None, features=None, layers=(), own=nn.Identity(), views=tuple(views(before))
    )
    return dict(technique.after_step(outputs, SimpleNamespace(labels_a=torch.tensor(LABELS)), nn.Identity(), before))


def test_means_are_of_all_features_of_an_epoch() -> None:
    rows = unit(torch.cat([FIRST, SECOND]))
    first = after(SMALL, state())
    assert first["next_number"].tolist() == [4, 2, 2]
    assert first["next_mean"][0].tolist() == pytest.approx(rows[[0, 1, 4, 5]].mean(0), abs=1e-6)
    again = after(SMALL, {**first, "next_mean": torch.zeros(3, 8)})
    assert again["next_mean"][0].tolist() == pytest.approx(rows[[0, 1, 4, 5]].mean(0) / 2, abs=1e-6)
    assert torch.equal(again["mean"], MEANS)
    running = after(Proco(dimension=8, running=True), state())
    assert running["number"].tolist() == [8, 6, 6]
    assert running["mean"][1].tolist() == pytest.approx(
        MEANS[1].numpy() * 4 / 6 + rows[[2, 6]].mean(0) * 2 / 6, abs=1e-6
    )


def test_at_the_end_of_an_epoch_its_means_take_the_place_of_the_last() -> None:
    seen = Seen(images=torch.zeros(3), correct=torch.zeros(3))
    before = after(SMALL, state())
    before["next_number"][2] = 0
    new = SMALL.after_epoch(seen, before, NOW)
    assert torch.equal(new["mean"][:2], before["next_mean"][:2])
    assert torch.equal(new["mean"][2], MEANS[2])  # a class that the epoch did not have
    assert new["number"].tolist() == [4, 2, 4]
    assert not new["next_number"].any()


def test_gradients_are_those_of_a_difference() -> None:
    rows = torch.from_numpy(unit(FIRST))[None].requires_grad_()
    means = MEANS.double()
    assert torch.autograd.gradcheck(lambda given: SMALL.log_ratios(given, means), rows)
