"""What built-in techniques of a stage hold beyond what is demanded of everyone's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plugins.checks import both_sizes, epoch_of, generator, labels_of, long_tail

from ltbench.core.plugins import BUILT_IN
from ltbench.errors import JobFailed, ParameterError
from ltbench.registry.registry import Registry
from ltbench.stages import STAGES, Partner, Told
from ltbench.testing.flat_values import flat
from ltbench.testing.inputs import Inputs
from ltbench.testing.loss_trial import losses_of
from ltbench.testing.network_outputs import LATER, START
from ltbench.testing.parameter_values import settings
from ltbench.testing.stage_calls import call_all
from ltbench.testing.told import moment_at


def of_stages(*stages: str):
    """Run a test with every built-in technique of these stages."""
    entries = Registry.load().entries.values()
    chosen = [e.technique for e in entries if e.distribution == BUILT_IN and e.technique.stage in stages]
    return pytest.mark.parametrize("technique", [kind() for kind in chosen], ids=[kind.name for kind in chosen])


TRAINING = ("augment", "auxiliary", "branches", "finetune", "regime", "update")
"""Stages whose techniques are called in small trainings, which take seconds."""


@pytest.mark.parametrize(
    "text",
    [
        "balanced_batch[per_class=-1]", "calibration[bins=0]", "cifar50[classes=odd]", "convnet[width=0]",
        "crop_flip[padding=-1]", "decoupling[at=0]", "decoupling[at=1]", "decoupling[at=1.5]", "ens[beta=1]",
        "label_smooth[eps=1]", "label_smooth[eps=-0.1]", "label_smooth[off=others]", "mixup[lam=1.5]",
        "tail_cutmix[tail=1]", "tta[merge_by=median]",
    ],
)  # fmt: skip
def test_a_parameter_out_of_range_is_refused_by_name(registry: Registry, text: str) -> None:
    name, _, parameter = text.partition("=")[0].partition("[")
    with pytest.raises(ParameterError, match=f"'{name}' does not accept {parameter} = "):
        registry.parse(text)


@both_sizes
@of_stages("loss")
def test_no_loss_is_negative_and_every_gradient_is_finite(technique, classes: int) -> None:
    for size in (1.0, 100.0, 10_000.0):
        for moment in (START, *LATER):
            inputs = Inputs(counts=long_tail(classes).tolist())
            _, leaves, losses = losses_of(technique, inputs, size=size, moment=moment)
            losses.sum().backward()
            assert losses.isfinite().all()
            assert (losses >= 0).all()
            gradients = [leaf.grad for leaf in leaves if leaf.grad is not None]
            assert all(gradient.isfinite().all() for gradient in gradients)
            assert any(gradient.any() for gradient in gradients)


FEW = ([5], [1], [5, 1], [5, 0], [0, 5], [1, 1], [3, 3], [60, 30, 10, 1, 0], [1] * 10)
"""Class counts of one class and of two, and with classes of one image and of none."""


OF_OTHER_CLASSES = ("label_smooth", "label_aware_smooth", "bcl")
"""Losses that by default spread the target over the other classes, and a contrast with them."""


@pytest.mark.parametrize("counts", FEW, ids=str)
@of_stages(*(stage for stage in STAGES if stage not in {"dataset", "model", *TRAINING}))
def test_few_classes_and_few_images_give_finite_numbers_or_a_clear_error(technique, counts: list[int]) -> None:
    check_few(technique, counts)


@pytest.mark.slow
@pytest.mark.parametrize("counts", FEW, ids=str)
@of_stages(*TRAINING)
def test_trainings_with_few_classes_and_few_images_give_finite_numbers_or_a_clear_error(
    technique, counts: list[int]
) -> None:
    check_few(technique, counts)


def check_few(technique, counts: list[int]) -> None:
    """Check the results of every setting of a technique."""
    for setting in settings(technique):
        if len(counts) == 1 and setting.name in OF_OTHER_CLASSES and "off" not in setting.params:
            with pytest.raises(JobFailed, match="needs at least two classes"):
                call_all(setting, Inputs(counts=counts))
            continue
        results = flat(call_all(setting, Inputs(counts=counts)))
        numbers = [value for value in results.values() if getattr(value, "dtype", np.dtype(int)).kind == "f"]
        assert all(np.isfinite(value).all() for value in numbers), setting.label


@both_sizes
@of_stages("weight")
def test_a_rarer_class_weighs_no_less(technique, classes: int) -> None:
    weights = technique.weights(long_tail(classes))
    assert weights.dtype == torch.float32
    assert (weights.diff() >= 0).all()


@both_sizes
@of_stages("mix")
def test_the_first_label_is_the_image_s_own_and_the_second_that_of_a_partner(technique, classes: int) -> None:
    images = torch.randn(24, 3, 8, 8, generator=generator(2))
    labels, others = torch.randint(classes, (2, 24), generator=generator())
    partner = Partner(images=images.flip(0), labels=others) if technique.partner else None
    told = Told(
        indices=torch.arange(24), labels=labels, counts=long_tail(classes), moment=moment_at(5), partner=partner
    )
    mixed, other = (technique.blend(images, told, generator(seed)) for seed in (3, 4))
    assert torch.equal(mixed.labels_a, labels)
    if technique.partner:
        assert torch.equal(mixed.labels_b, others)
    else:
        assert torch.equal(mixed.labels_b.sort()[0], labels.sort()[0]), "each image is a partner once"
    assert not torch.equal(other.images, mixed.images)


@both_sizes
@of_stages("sampler")
def test_every_epoch_has_another_order(technique, classes: int) -> None:
    counts = long_tail(classes)
    labels, stream = labels_of(counts), generator(1)
    pool = technique.pool(labels, counts, generator())
    assert not torch.equal(*(technique.epoch_at(pool, labels, counts, 64, moment_at(0), stream) for _ in range(2)))


@of_stages("sampler")
def test_every_class_is_visited(technique) -> None:
    indices, labels = epoch_of(technique, [60, 30, 10], 64)
    assert set(labels[indices].tolist()) == {0, 1, 2}
