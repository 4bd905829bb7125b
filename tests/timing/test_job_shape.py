"""Shapes of the jobs of a real plan: what is in them, what is not, and how much work each job is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltbench.planning.parts import make_plan
from ltbench.registry.registry import Registry
from ltbench.suite.suite import changed, find_suite
from ltbench.timing.job_shape import Shapes


@pytest.fixture
def shaped(registry: Registry, tmp_path: Path):
    def of(**changes):
        suite = changed(find_suite("quick", registry), **{"imbalance_factors": [100], "seeds": [0, 1]} | changes)
        plan = make_plan(suite, registry, tmp_path)
        shapes = Shapes(plan, registry, tmp_path)
        return {job.key: (job, *shapes(job)) for job in plan.jobs.values()}

    return of


def of_kind(found, kind):
    return [one for one in found.values() if one[0].kind == kind]


def test_a_seed_or_a_loss_makes_no_other_shape_and_a_mix_does(shaped):
    fits = of_kind(shaped(techniques=["label_smooth", "mixup"]), "fit")
    assert len(fits) == 8
    assert {shape.techniques for _, shape, _ in fits} == {
        "shuffle crop_flip[padding=2]",
        "shuffle crop_flip[padding=2] mixup",
    }
    assert len({shape for _, shape, _ in fits}) == 2
    shape = fits[0][1]
    assert (shape.data, shape.channels, shape.size, shape.classes) == ("fashion_mini exp 100", 1, 28, 10)
    assert (shape.model, shape.batch, shape.precision, shape.optimizer) == ("convnet", 64, "fp32", "sgd")


def test_branches_make_another_shape(shaped):
    found = shaped(techniques=["experts"], seeds=[0])
    for kind in ("fit", "predict"):
        assert {shape.model for _, shape, _ in of_kind(found, kind)} == {"convnet", "convnet experts"}


def test_the_work_of_a_training_is_the_passes_of_its_part(shaped):
    found = shaped(techniques=[], recipe={"steps": 50, "batch_size": 32, "precision": "fp32"})
    assert [work for _, _, work in of_kind(found, "fit")] == [3 * 1600.0, 3 * 1600.0]
    found = shaped(techniques=["drw", "ens"], strategy="all", seeds=[0])
    fits = {job.key: work for job, _, work in of_kind(found, "fit")}
    parts = [(work, fits[job.parents[0]]) for job, _, work in of_kind(found, "fit") if job.parents]
    whole = 20 * 3 * sum(int(600 * 0.01 ** (c / 9) + 1e-9) for c in range(10))
    assert parts
    assert all(work + begun == pytest.approx(whole) for work, begun in parts)


def test_predictions_and_cells_have_shapes_too(shaped):
    found = shaped(techniques=["tta"], seeds=[0])
    predicts = of_kind(found, "predict")
    assert {work for _, _, work in predicts} == {2000.0}
    assert {shape.techniques for _, shape, _ in predicts} == {"identity", "tta mirror"}
    assert {shape.techniques for _, shape, _ in of_kind(found, "cell")} == {"single x1", "single x2"}
