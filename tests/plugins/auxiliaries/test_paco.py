from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from plugins.auxiliaries.outputs import NOW, features, term_of, unit, views_of
from torch import nn

from ltbench import Outputs
from ltbench_plugins.auxiliaries.paco import Paco
from ltbench_plugins.losses.balanced_softmax import BalancedSoftmax

COUNTS = torch.tensor([30, 10, 3])
LABELS = [0, 0, 1, 2, 0]
QUERIES, KEYS, QUEUE = features(5, seed=1), features(5, seed=2), nn.functional.normalize(features(4, seed=3), dim=1)
QUEUE_LABELS = [-1, 0, 2, 0]


def views(queue_labels: list[int] = QUEUE_LABELS) -> list[Outputs]:
    state = {"queue": QUEUE, "labels": torch.tensor(queue_labels)}
    first, second = views_of(QUERIES, features(5, seed=8), state=state)
    slow = views_of(KEYS)[0]
    # The network itself does not see the second view.
    second = Outputs(
        logits=None, branches=None, features=None, layers=second.layers, own=second.own, state=state, slow=slow
    )
    return [first, second]


def wanted(alpha: float, beta: float, gamma: float, *, normalised: bool) -> float:
    logits = views()[0].logits.detach().double() + (COUNTS / COUNTS.sum()).double().log()
    rows = unit(torch.cat([QUERIES, KEYS, QUEUE]))
    classes = [*LABELS, *LABELS, *QUEUE_LABELS]
    losses = []
    for i, label in enumerate(LABELS):
        there = [a for a in range(14) if a != i and classes[a] >= 0]
        total = sum(math.exp(z) for z in logits[i]) + gamma * sum(math.exp(rows[i] @ rows[a] / 0.05) for a in there)
        positives = [a for a in there if classes[a] == label]
        loss = -beta * (logits[i, label] - math.log(total))
        loss -= alpha * sum(rows[i] @ rows[a] / 0.05 - math.log(total) for a in positives)
        losses.append(loss / (beta + alpha * len(positives)) if normalised else loss)
    return float(sum(losses) / len(losses))


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize(("alpha", "beta", "gamma"), [(0.01, 1, 1), (0.2, 1, 0.5), (0.05, 2, 0)])
def test_by_the_equation(alpha: float, beta: float, gamma: float, normalised: bool) -> None:
    technique = Paco(alpha=alpha, beta=beta, gamma=gamma, normalised=normalised)
    got = term_of(technique, views(), LABELS, COUNTS)
    assert got == pytest.approx(wanted(alpha, beta, gamma, normalised=normalised), rel=1e-5)


def test_with_centres_alone_it_is_balanced_softmax() -> None:
    technique = Paco(alpha=0, gamma=0)
    losses = BalancedSoftmax().per_sample(views()[0].logits, torch.tensor(LABELS), COUNTS)
    assert term_of(technique, views(), LABELS, COUNTS) == pytest.approx(float(losses.detach().mean()), rel=1e-6)


def test_parameters_without_effect_are_not_part_of_the_identity() -> None:
    assert Paco(alpha=0, beta=2, normalised=True) == Paco(alpha=0)
    assert Paco(alpha=0, gamma=0, queue=5, temperature=1) == Paco(alpha=0, gamma=0)


def test_the_moving_average_alone_sees_the_second_view() -> None:
    assert Paco().slow_only == (1,)


def test_an_empty_queue_counts_for_nothing() -> None:
    technique = Paco()
    state = technique.remembers(4, 3, COUNTS, torch.Generator())
    assert state["queue"].shape == (1024, 32)
    assert state["labels"].tolist() == [-1] * 1024
    empty = term_of(technique, views([-1] * 4), LABELS, COUNTS)
    assert empty != pytest.approx(term_of(technique, views(), LABELS, COUNTS), rel=1e-3)
    replaced = views([-1] * 4)
    replaced[0].state["queue"] = features(4, seed=11)
    assert term_of(technique, replaced, LABELS, COUNTS) == empty


def test_the_queue_holds_the_latest_keys_of_the_slow_network() -> None:
    technique = Paco(queue=7)
    state = {"queue": torch.arange(28.0).view(7, 4), "labels": torch.arange(7)}
    outputs = Outputs(logits=None, branches=None, features=None, layers=(), views=tuple(views()))
    new = technique.after_step(outputs, SimpleNamespace(labels_a=torch.tensor(LABELS)), nn.Identity(), state)
    assert new["labels"].tolist() == [5, 6, *LABELS]
    assert torch.equal(new["queue"][:2], state["queue"][5:])
    assert torch.allclose(new["queue"][2:], nn.functional.normalize(KEYS, dim=1))
    short = Paco(queue=3).after_step(
        outputs, SimpleNamespace(labels_a=torch.tensor(LABELS)), nn.Identity(), {k: v[:3] for k, v in state.items()}
    )
    assert short["labels"].tolist() == LABELS[-3:]


def test_gradients_reach_classifier_and_queries() -> None:
    of = views()
    queries = of[0].features.clone().requires_grad_()
    of[0] = views_of(queries, state=of[0].state)[0]
    Paco().term(of, torch.tensor(LABELS), COUNTS, NOW).backward()
    assert queries.grad.any()
    assert of[0].layers[0].weight.grad.any()
