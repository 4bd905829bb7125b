"""A teacher: a training whose logits the techniques of another training get."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import torch
from engine.accidents import fit_with_accident
from engine.test_fit import trained
from engine.world import World, context_of, fit_job, plain, same, weights
from torch import Tensor

from ltbench import Auxiliary, Moment, Outputs
from ltbench.core.spec import Job, identity
from ltbench.engine.fit import fit, training_subset
from ltbench.engine.trained_network import trained_network
from ltbench.engine.training import Training
from ltbench.executor import Context
from ltbench.stages import Technique
from ltbench_plugins.losses.label_smooth import LabelSmooth


class Imitate(Auxiliary, frozen=True):
    """The squared distance to the logits of the teacher."""

    name = "imitate"
    teacher: str = "label_smooth"

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        (outputs,) = views
        assert not outputs.teacher.requires_grad
        return (outputs.logits - outputs.teacher).square().mean()


TEACHER = fit_job(plain(loss=LabelSmooth()))


def student(*segments: dict, **options: object) -> Job:
    """Return a training with the teacher."""
    spec = fit_job(*segments, **options).spec
    own = World().spec(Imitate())
    parts = [part | {"auxiliary": own} if part.pop("taught", True) else part for part in spec["segments"]]
    spec = spec | {"segments": parts, "teacher": TEACHER.spec}
    return Job(key=identity(spec), kind="fit", spec=spec)


def taught(folder: Path) -> Context:
    """Return a context with the trained teacher."""
    context = context_of(folder, Imitate)
    fit(TEACHER, context)
    return context


def test_a_fit_waits_for_its_teacher() -> None:
    assert student().reads == (TEACHER.key,)
    assert TEACHER.reads == ()


def test_the_objective_has_the_logits_of_the_teacher(tmp_path: Path) -> None:
    context = taught(tmp_path)
    job = student(plain(1 / 28))
    subset = training_subset(job.spec, context)
    teacher = trained_network(TEACHER.key, context, subset.info, torch.device("cpu"))
    training = Training(job.spec, subset, context.registry, torch.device("cpu"), teacher)
    logits: dict[str, Tensor] = {}
    labels: list[Tensor] = []
    training.network.register_forward_hook(lambda _module, _given, out: logits.update(student=out.detach().clone()))
    teacher.register_forward_hook(lambda _module, _given, out: logits.update(teacher=out.detach().clone()))
    take = training.feed.next
    training.feed.next = lambda now: labels.append((batch := take(now)).labels_a) or batch
    training.run()
    plain_loss = torch.nn.functional.cross_entropy(logits["student"], labels[0])
    distance = (logits["student"] - logits["teacher"]).square().mean()
    assert distance > 0.01
    assert training.curve.entries()["loss"][0] == pytest.approx(float(plain_loss + distance), rel=1e-6)


def test_the_teacher_sees_the_images_of_the_student_in_evaluation_mode(tmp_path: Path) -> None:
    context = taught(tmp_path)
    job = student()
    subset = training_subset(job.spec, context)
    teacher = trained_network(TEACHER.key, context, subset.info, torch.device("cpu"))
    training = Training(job.spec, subset, context.registry, torch.device("cpu"), teacher)
    seen: list[tuple[bool, bool]] = []
    given: list[Tensor] = []
    training.network.register_forward_pre_hook(lambda _module, args: given.append(args[0]))
    teacher.register_forward_pre_hook(
        lambda _module, args: seen.append((torch.equal(args[0], given[-1]), teacher.training))
    )
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    training.run()
    assert seen == [(True, False)] * 28
    assert same(before, dict(teacher.state_dict())), "it learns nothing, and its statistics stay"


def test_the_teacher_costs_its_training(tmp_path: Path) -> None:
    context = taught(tmp_path)
    fit(student(), context)
    own, teacher = (context.store.meta(job.key)["cost"] for job in (student(), TEACHER))
    assert own["samples"] == 2 * teacher["samples"]
    assert own["train_seconds"] > teacher["train_seconds"]
    names = {made["name"] for made in context.store.meta(student().key)["plugins"]}
    assert names >= {"imitate", "label_smooth", "cross_entropy"}


def test_a_phase_without_the_auxiliary_does_not_ask_the_teacher(tmp_path: Path) -> None:
    context = taught(tmp_path)
    job = student(plain(0.5, taught=False), plain())
    subset = training_subset(job.spec, context)
    teacher = trained_network(TEACHER.key, context, subset.info, torch.device("cpu"))
    calls: list[int] = []
    teacher.register_forward_pre_hook(lambda *_: calls.append(1))
    Training(job.spec, subset, context.registry, torch.device("cpu"), teacher).run()
    assert len(calls) == 14


def test_a_frozen_backbone_trains_on_images_for_the_teacher(tmp_path: Path) -> None:
    context = taught(tmp_path)
    job = student(plain(0.5), plain(augment=None, trainable="classifier", restart=True))
    fit(job, context)
    assert context.store.meta(job.key)["steps"] == 28


@pytest.mark.parametrize("at", [3, 14, 21])
def test_a_student_resumed_anywhere_is_bit_identical(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    job = student(plain(0.5), plain(lr_scale=0.5))
    whole = trained(taught(tmp_path / "whole"), job)
    context = msgspec.structs.replace(taught(tmp_path / "parts"), snapshot_seconds=0.0)
    fit_with_accident(job, context, monkeypatch, at)
    assert same(weights(context, job), whole)


def test_the_teacher_may_be_a_field_of_a_technique() -> None:
    assert Imitate(teacher="focal").teacher == "focal"
    assert Imitate().params == {}
    assert issubclass(Imitate, Technique)
