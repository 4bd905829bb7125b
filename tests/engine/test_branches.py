"""Trainings with branches, and with losses that remember: end to end, at tiny scale."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from engine.second_contract import MORE, Blocks, Inside, _Blocks, job_of
from engine.trainings import as_in_a_fit, training_of
from engine.world import context_of, plain, same
from torch import Tensor, nn

from ltbench.core.spec import Job
from ltbench.engine.fit import training_subset
from ltbench.engine.hidden_mix import places
from ltbench.engine.step import Step
from ltbench.engine.training import Training
from ltbench.errors import JobFailed
from ltbench.stages import Technique
from ltbench_plugins.auxiliaries.ncl_distillation import NclDistillation
from ltbench_plugins.auxiliaries.ride_diversity import RideDiversity
from ltbench_plugins.branches.bbn import Bbn
from ltbench_plugins.branches.experts import Experts
from ltbench_plugins.heads.cosine import Cosine
from ltbench_plugins.heads.etf import Etf
from ltbench_plugins.losses.balpoe_loss import BalpoeLoss
from ltbench_plugins.losses.dot_regression import DotRegression
from ltbench_plugins.losses.equalization import Equalization
from ltbench_plugins.losses.equalization_v2 import EqualizationV2
from ltbench_plugins.losses.influence_balanced import InfluenceBalanced
from ltbench_plugins.losses.ncl_loss import NclLoss
from ltbench_plugins.losses.ride_loss import RideLoss
from ltbench_plugins.losses.sade_loss import SadeLoss
from ltbench_plugins.mixes.mixup import Mixup
from ltbench_plugins.samplers.reverse import Reverse

CPU = torch.device("cpu")
TECHNIQUES: tuple[type[Technique], ...] = (
    *MORE, NclDistillation, RideDiversity, Bbn, Experts, Cosine, Etf, BalpoeLoss, DotRegression, Equalization, EqualizationV2,
    InfluenceBalanced, NclLoss, RideLoss, SadeLoss, Reverse,
)  # fmt: skip
JOBS = {
    "experts": job_of(branches=Experts()),
    "ride": job_of(plain(loss=RideLoss(), auxiliary=RideDiversity()), branches=Experts(), head=Cosine(scale=30)),
    "sade": job_of(plain(loss=SadeLoss(), mix=Mixup()), branches=Experts()),
    "balpoe": job_of(plain(loss=BalpoeLoss(), mix=Mixup()), branches=Experts()),
    "ncl": job_of(plain(loss=NclLoss(hard=0.6), auxiliary=NclDistillation(hard=0.6)), branches=Experts(blocks=9)),
    "bbn": job_of(branches=Bbn(), stream=Reverse()),
    "equalization": job_of(plain(loss=Equalization(), mix=Mixup())),
    "equalization of experts": job_of(plain(loss=Equalization()), branches=Experts()),
    "hidden mix": job_of(plain(mix=Inside()), branches=Experts()),
    "equalization_v2": job_of(plain(loss=EqualizationV2(), mix=Mixup())),
    "equalization_v2 of experts": job_of(plain(loss=EqualizationV2()), branches=Experts()),
    "influence_balanced": job_of(plain(loss=InfluenceBalanced())),
    "dot_regression": job_of(plain(loss=DotRegression()), head=Etf()),
}


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    with as_in_a_fit():
        yield


@pytest.fixture
def training(tmp_path: Path) -> Callable[[Job], Training]:
    return partial(training_of, context=context_of(tmp_path, *TECHNIQUES))


def final(training: Training) -> dict[str, Tensor]:
    tensors, _ = training.state()
    return {name: tensor.clone() for name, tensor in tensors.items()}


@pytest.mark.parametrize("name", JOBS)
def test_a_training_that_is_killed_goes_on_with_the_same_bits(training: Callable[[Job], Training], name: str) -> None:
    at, states = random.Random(name).randrange(1, 28), []

    def keep(running: Training) -> None:
        if running.steps == at:
            tensors, values = running.state()
            states.append(({name: tensor.clone() for name, tensor in tensors.items()}, values))

    whole, again = training(JOBS[name]), training(JOBS[name])
    whole.run(keep)
    again.restore(*states[0])
    again.run()
    assert same(final(again), final(whole))


@pytest.mark.parametrize("name", [name for name, job in JOBS.items() if "branches" in job.spec])
def test_every_branch_learns(training: Callable[[Job], Training], name: str) -> None:
    made = training(JOBS[name])
    before = {name: value.clone() for name, value in made.network.named_parameters()}
    made.run()
    # The first block of a branch, and its classifier; a bias before batch normalisation has no effect.
    learnt = {name for name, value in made.network.named_parameters() if not torch.equal(value, before[name])}
    rest = {name for name in before.keys() - learnt if not name.endswith(".0.bias")}
    assert not rest
    assert {name.split(".")[1] for name in learnt if name.startswith("branches.")} == {
        str(number) for number in range(len(made.network.branches))
    }


def test_the_branches_of_bbn_have_images_of_their_own_and_one_loss(training: Callable[[Job], Training]) -> None:
    made = training(JOBS["bbn"])
    batches: list[tuple[Tensor, Tensor]] = []
    following = made.feed.next

    def note(moment: object) -> object:
        batch = following(moment)
        assert not torch.equal(batch.images, batch.second)
        # alpha = 1 - (t / 4) ** 2 of the epochs that have ended.
        assert batch.lam.tolist() == pytest.approx([1 - (moment.epoch / 4) ** 2] * len(batch.labels_a))
        batches.append((batch.labels_a, batch.labels_b))
        return batch

    made.feed.next = note
    made.run()
    first, second = (torch.cat(labels).bincount(minlength=3) for labels in zip(*batches, strict=True))
    # Counts 30, 17 and 10, of which a batch of one image is dropped; inversely 1 / 30, 1 / 17 and 1 / 10.
    assert first[0] > first[1] > first[2]
    assert second[0] < second[1] < second[2]


@pytest.mark.parametrize(("own", "inside"), [(0, 3), (1, 2), (2, 1), (9, 0)])
def test_a_hidden_mix_blends_images_or_the_output_of_a_common_block(
    training: Callable[[Job], Training], own: int, inside: int
) -> None:
    network = training(job_of(branches=Experts(blocks=own))).network
    first, *others = places(Inside(), Blocks(), network)
    assert first is None
    assert others == [block[-1] for block in network.trunk]
    assert len(others) == inside


def test_a_loss_of_another_number_of_experts_is_refused_before_the_first_step(
    training: Callable[[Job], Training],
) -> None:
    made = training(job_of(plain(loss=SadeLoss()), branches=Experts(n=2)))
    with pytest.raises(JobFailed, match="'sade_loss' is for 3 experts, but there are 2"):
        made.run()
    assert made.steps == 0


class SideBySide(Blocks, frozen=True):
    """Return the logits of three classifiers side by side in training, and of the first one otherwise."""

    def build(self, channels: int, size: int, classes: int) -> nn.Module:
        return _SideBySide(channels, classes)


class _SideBySide(_Blocks):
    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        return torch.cat([logits] * 3, 1) if self.training else logits


def test_logits_of_several_classifiers_side_by_side_are_refused(tmp_path: Path) -> None:
    context = context_of(tmp_path, *MORE, SideBySide)
    made = Training(job_of().spec, training_subset(job_of().spec, context), context.registry, CPU)
    with pytest.raises(JobFailed, match=r"the network returns logits float32 \[8, 9\] in training; expected \[8, 3\]"):
        made.run()
    assert made.steps == 0


def test_features_are_only_collected_for_a_loss_that_sees_them(training: Callable[[Job], Training]) -> None:
    assert [Step.needs_features(training(JOBS[name]).segments[0]) for name in ("experts", "bbn")] == [False, False]
    assert Step.needs_features(training(JOBS["influence_balanced"]).segments[0])


@pytest.mark.parametrize(
    "phase",
    [{}, {"augment": None}, {"classifier": "fresh"}, {"classifier": "scale"}, {"max_norm": 0.1}],
    ids=["images", "features", "fresh", "scale", "max_norm"],
)
def test_a_phase_of_classifiers_trains_that_of_each_branch_alone(
    training: Callable[[Job], Training], phase: dict[str, object]
) -> None:
    made = training(job_of(plain(0.5), plain(trainable="classifier", restart=True, **phase), branches=Experts()))
    states: list[dict[str, Tensor]] = []

    def keep(running: Training) -> None:
        if running.steps == 14:
            states.append({name: value.clone() for name, value in running.network.state_dict().items()})

    made.run(keep)
    (before,) = states
    after = made.network.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    weights = {f"branches.{branch}.network.classifier.weight" for branch in range(3)}
    assert weights <= changed
    assert changed <= weights | {name.replace("weight", "bias") for name in weights}
    if "max_norm" in phase:
        assert all(float(after[name].norm(dim=1).max()) <= 0.1 + 1e-6 for name in weights)
