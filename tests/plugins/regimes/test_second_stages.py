"""Regimes with a second stage after the training: `crt`, `lws`, `weight_balancing`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from plugins.small_run import SmallRun

from ltbench import Phase
from ltbench.planning.combinations import Combination, reason_left_out
from ltbench.registry.registry import Registry
from ltbench_plugins.heads.cosine import Cosine
from ltbench_plugins.regimes.crt import Crt
from ltbench_plugins.regimes.lws import Lws
from ltbench_plugins.regimes.mislas_stage2 import MislasStage2
from ltbench_plugins.regimes.weight_balancing import WeightBalancing
from ltbench_plugins.weights.ens import Ens

BALANCED = {"sampler": "cb_sampler", "weight": False, "mix": False, "auxiliary": False, "restart": True}


def test_the_second_stages_are_those_of_the_papers() -> None:
    # ImageNet-LT: 90 epochs, then 10.
    assert Crt().phases() == [
        Phase(until=1.0),
        Phase(until=100 / 90, trainable="classifier", classifier="fresh", **BALANCED),
    ]
    assert Lws(until=1.05).phases() == [Phase(until=1.0), Phase(until=1.05, classifier="scale", **BALANCED)]
    # 320 epochs, then 10; weight decay 5e-3, then 0.1, for a recipe with 5e-4.
    first, second = WeightBalancing().phases()
    assert (first.weight_decay_scale * 5e-4, first.until, first.weight) == (pytest.approx(5e-3), 1.0, False)
    assert (second.weight_decay_scale * 5e-4, second.until) == (pytest.approx(0.1), 330 / 320)
    assert (second.weight, second.max_norm, second.trainable, second.classifier) == ("ens", 0.1, "classifier", "keep")


def test_what_scales_a_linear_classifier_needs_one() -> None:
    for regime in (Lws(), MislasStage2()):
        assert "model's own linear classifier" in reason_left_out(Combination((Cosine(), regime)))
    assert "no norms to balance" in reason_left_out(Combination((Cosine(), WeightBalancing())))
    assert reason_left_out(Combination((Cosine(), Crt()))) == ""


def test_weight_balancing_has_weights_of_its_own() -> None:
    assert "class weights of its own" in reason_left_out(Combination((Ens(), WeightBalancing())))


def test_what_corrects_the_prior_is_doubtful_with_a_balanced_second_stage(registry: Registry) -> None:
    kinds = [entry.technique for entry in registry.entries.values()]
    correcting = {
        stage: {kind.name for kind in kinds if kind.stage == stage and "cb_sampler" in kind.doubtful}
        for stage in ("loss", "posthoc")
    }
    assert {"seesaw", "sade_loss"} <= correcting["loss"]
    assert {"prior_shift", "tau_norm"} <= correcting["posthoc"]
    for regime in (Crt, Lws, WeightBalancing):
        assert correcting["loss"] | correcting["posthoc"] <= set(regime.doubtful), regime.name
    # Its second stage has another loss, and that of weight balancing has weights and the sampler of the cell.
    assert set(MislasStage2.doubtful) == correcting["posthoc"]
    assert "cb_sampler" in WeightBalancing.doubtful
    assert "cb_sampler" not in Crt.doubtful


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    return SmallRun(
        tmp_path_factory.mktemp("run"), ["crt"], ["lws[until=1.2]"], ["weight_balancing[until=1.2]"],
        ["weight_balancing[until=1.2,first=1]"], ["decoupling", "cb_sampler"],
    )  # fmt: skip


def test_the_plain_training_is_the_first_stage_of_all_and_trained_once(made: SmallRun) -> None:
    (plain,) = made.cell().spec["members"]
    for label, steps in (("crt", 22), ("lws[until=1.2]", 24), ("weight_balancing[first=1,until=1.2]", 24)):
        meta = made.fit(label)
        assert meta["resumed_from"] == f"{plain}-state", label
        assert meta["steps"] == steps
        assert meta["cost"]["samples"] == steps * 8
    assert made.fit("weight_balancing[until=1.2]")["resumed_from"].removesuffix("-state") != plain, "another decay"
    jobs = made.plan.of_kind("fit")
    assert sum(not job.parents for job in jobs) == 2, "the plain training and one with a strong decay"


def test_their_states_are_removed_when_nobody_needs_them(made: SmallRun) -> None:
    assert not [job.key for job in made.plan.of_kind("fit") if made.context.store.has(f"{job.key}-state")]


def changed(made: SmallRun, label: str, plain: str = "") -> set[str]:
    before, after = made.weights(*filter(None, [plain])), made.weights(label)
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_the_second_stage_changes_the_classifier_alone(made: SmallRun) -> None:
    for label in ("crt", "lws[until=1.2]", "weight_balancing[first=1,until=1.2]"):
        assert changed(made, label) == {"head.weight", "head.bias"}, label


def test_crt_forgets_the_classifier_that_decoupling_keeps(made: SmallRun) -> None:
    weights = {
        name: made.weights(*name)["head.weight"].flatten() for name in ((), ("crt",), ("decoupling", "cb_sampler"))
    }

    def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
        return float(torch.nn.functional.cosine_similarity(one, other, dim=0))

    kept, fresh = cosine(weights[()], weights["decoupling", "cb_sampler"]), cosine(weights[()], weights["crt",])
    assert kept > 0.9 > 0.6 > fresh


def test_lws_keeps_directions(made: SmallRun) -> None:
    before, after = made.weights(), made.weights("lws[until=1.2]")
    ratio = after["head.weight"] / before["head.weight"]
    factors = ratio.mean(1)
    torch.testing.assert_close(ratio, factors[:, None].expand_as(ratio), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after["head.bias"], factors * before["head.bias"], rtol=1e-4, atol=1e-6)
    assert factors.std() > 1e-3, "a factor for each class"


def test_weight_balancing_limits_norms(made: SmallRun) -> None:
    norms = made.weights("weight_balancing[until=1.2]")["head.weight"].norm(dim=1)
    assert norms.max() <= 0.1 + 1e-6
    assert made.weights()["head.weight"].norm(dim=1).min() > 0.2


def test_without_limit_decay_and_weights_balancing_goes_on_as_decoupling_does(tmp_path: Path) -> None:
    # A second stage with the recipe's decay and a radius that nothing reaches, and a weight of one for each class.
    made = SmallRun(tmp_path, ["weight_balancing[until=1.2,first=1,second=1,max_norm=1000]"])
    spec = made.fit("weight_balancing[first=1,max_norm=1000,second=1,until=1.2]")["spec"]["segments"][1]
    assert spec["weight"]["name"] == "ens"
    assert "weight_decay_scale" not in spec
    limited = SmallRun(tmp_path / "limited", ["weight_balancing[until=1.2,first=1,second=1]"])
    label = "weight_balancing[first=1,second=1,until=1.2]"
    assert limited.weights(label)["head.weight"].norm(dim=1).max() <= 0.1 + 1e-6
    assert (
        made.weights("weight_balancing[first=1,max_norm=1000,second=1,until=1.2]")["head.weight"].norm(dim=1).min()
        > 0.2
    )


def test_the_draws_of_the_second_stage_are_balanced(made: SmallRun) -> None:
    # 30, 17 and 10 images; with equal probabilities 57 draws have 19 of each class on average.
    from ltbench_plugins.samplers.cb_sampler import CbSampler

    segment = made.fit("crt")["spec"]["segments"][1]
    assert segment["sampler"]["name"] == "cb_sampler"
    np.testing.assert_allclose(CbSampler().share(torch.tensor([30, 17, 10])), [1 / 3] * 3)


def test_mislas_has_the_second_stage_of_the_authors_configuration() -> None:
    # CIFAR-100-LT: 10 epochs after 200, smoothing 0.4 to 0.1, shifted batch norm; CIFAR-10-LT: 0.3 to 0, without.
    first, second = MislasStage2().phases()
    assert first == Phase(until=1.0)
    assert second == Phase(
        until=210 / 200,
        loss="label_aware_smooth[head=0.4,tail=0.1]",
        classifier="scale",
        batch_norm="statistics",
        **BALANCED,
    )
    smaller = MislasStage2(head=0.3, tail=0.0, shift_bn=False).phases()[1]
    assert (smaller.loss, smaller.batch_norm) == ("label_aware_smooth[head=0.3,tail=0.0]", "")
    assert MislasStage2(off="k").phases()[1].loss == "label_aware_smooth[head=0.4,tail=0.1,off=k]"
    assert MislasStage2(head=0, tail=0, off="k") == MislasStage2(head=0, tail=0), "nothing is spread"


def test_mislas_is_lws_with_another_loss_and_statistics(tmp_path: Path) -> None:
    plain, full = "lws[until=1.3]", "mislas_stage2[until=1.3]"
    without, unshifted = (
        "mislas_stage2[head=0,shift_bn=false,tail=0,until=1.3]",
        "mislas_stage2[shift_bn=false,until=1.3]",
    )
    made = SmallRun(tmp_path, [plain], [full], [without], [unshifted])

    def logits_layer(label: str) -> torch.Tensor:
        return made.weights(label)["head.weight"]

    # Without smoothing and shift it is LWS to the last bits of the loss.
    torch.testing.assert_close(logits_layer(without), logits_layer(plain), rtol=1e-4, atol=1e-6)
    assert not torch.allclose(logits_layer(unshifted), logits_layer(plain), rtol=1e-3, atol=1e-5)
    assert changed(made, unshifted) == {"head.weight", "head.bias"}
    assert changed(made, full) == {"head.weight", "head.bias"} | {
        f"features.1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")
    }
