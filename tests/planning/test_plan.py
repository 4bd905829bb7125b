from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest
from support import registry_with

from ltbench.core.spec import identity, prediction_keys
from ltbench.errors import DataError, LtbenchError
from ltbench.planning.compute_cost import training_passes
from ltbench.planning.grid import combination_count
from ltbench.planning.parts import make_plan, plan_parts
from ltbench.planning.plan import Plan
from ltbench.planning.without_sharing import without_sharing
from ltbench.registry.registry import Registry
from ltbench.stages import (
    Branches,
    Dataset,
    DatasetInfo,
    Ensemble,
    Finetune,
    Member,
    Mix,
    Model,
    Phase,
    Regime,
    Sampler,
)
from ltbench.suite.suite import Suite, changed, find_suite
from ltbench.technique import Technique


class Few(Dataset):
    """Three classes of 200 images."""

    name = "few_images"

    def info(self, root: Path) -> DatasetInfo:
        return DatasetInfo(
            classes=("a", "b", "c"), train_counts=(200,) * 3, test_counts=(5,) * 3, channels=1, size=8, mean=(0.5,),
            std=(0.25,), fingerprint="f" * 16,
        )  # fmt: skip


class Net(Model):
    name = "some_net"


class NetOfBlocks(Model):
    name = "net_of_blocks"
    has_blocks = True


class Inside(Mix):
    name = "inside"
    where = "hidden"


class InsideLate(Regime):
    name = "inside_late"

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=0.5), Phase(until=1.0, mix="inside")]


class Stacked(Ensemble):
    name = "stacked"

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        return [Member(), Member(model="some_net")]


LARGER = "balanced_batch[per_class=40]: batches of 120 images instead of 64, so each step sees 1.88 times as many"


class Raising(Sampler):
    name = "raising"

    def batch_size(self, batch_size: int, classes: int) -> int:
        raise ValueError("no size")


class Late(Regime):
    """The loss and the weight only from `at` on."""

    name = "late"
    at: float = 0.8

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=self.at, loss=False, weight=False), Phase(until=1.0)]


class Decoupled(Regime):
    name = "decoupled"

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=0.5, sampler=False), Phase(until=1.0, mix=False, trainable="classifier", restart=True)]


class Pair(Ensemble):
    name = "pair"

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        return [Member(), Member(seed_offset=1)]


@pytest.fixture(scope="module")
def own() -> Registry:
    return registry_with(Few, Net, NetOfBlocks, Late, Decoupled, Pair, Inside, InsideLate, Stacked)


@pytest.fixture
def suite(own: Registry) -> Suite:
    return changed(
        find_suite("quick", own), datasets=["few_images"], models=["some_net"], imbalance_factors=[10], seeds=[0],
        techniques=[],
    )  # fmt: skip


def plan_of(suite: Suite, own: Registry, *techniques: str, **changes: object) -> Plan:
    return make_plan(changed(suite, techniques=techniques, **changes), own, Path())


def test_the_quick_suite_is_144_cells_from_72_trainings(own: Registry) -> None:
    plan = make_plan(find_suite("quick", own), own, Path())
    assert (len(plan.cells), len(plan.of_kind("fit")), plan.trainings_naive) == (144, 72, 144)
    # One prediction per training for the image as it is, and one for its mirror image.
    assert len(plan.of_kind("predict")) == 144


def test_a_view_trains_nothing(suite: Suite, own: Registry) -> None:
    plan = plan_of(suite, own, "tta")
    assert (len(plan.cells), len(plan.of_kind("fit")), len(plan.of_kind("predict"))) == (2, 1, 2)


def test_parents_come_first_and_every_cell_right_after_what_it_needs(suite: Suite, own: Registry) -> None:
    plan = plan_of(suite, own, "cb_sampler", "mixup", "tta", "late", "label_smooth")
    seen: set[str] = set()
    for job in plan.jobs.values():
        assert seen.issuperset(job.parents), job
        seen.add(job.key)


def test_every_key_is_the_identity_of_its_spec(suite: Suite, own: Registry) -> None:
    for job in plan_of(suite, own, "mixup", "tta", "late", "pair").jobs.values():
        assert job.key == identity(job.spec)


def test_a_held_out_share_is_part_of_the_identity_of_a_fit_and_0_is_not(suite: Suite, own: Registry) -> None:
    plain, off, some, more = (plan_of(suite, own, **given) for given in ({}, *({"held_out": h} for h in (0, 0.1, 0.2))))
    assert plain.jobs == off.jobs
    assert "held_out" not in plain.of_kind("fit")[0].spec["data"]
    assert some.of_kind("fit")[0].spec["data"]["held_out"] == 0.1
    assert not (plain.jobs.keys() | more.jobs.keys()) & some.jobs.keys()


def test_a_cell_with_held_out_images_predicts_them_in_every_view_of_every_member(suite: Suite, own: Registry) -> None:
    plan = plan_of(suite, own, "tta", "pair", held_out=0.1)
    (cell,) = (cell for cell in plan.cells if None not in (cell.extra["combination"][s] for s in ("view", "ensemble")))
    predicted = [plan.jobs[key].spec for key in cell.parents]
    assert Counter(spec["split"] for spec in predicted) == {"test": 4, "held_out": 4}
    for split in ("test", "held_out"):
        keys = itertools.chain.from_iterable(prediction_keys(cell.spec, cell.extra["views"], split))
        assert list(keys) == [key for key in cell.parents if plan.jobs[key].spec["split"] == split]
    # Of 200, 63 and 20 images, 20, 6 and 2 are held out.
    assert {plan.passes[job.key] for job in plan.of_kind("predict") if job.spec["split"] == "held_out"} == {28.0}
    assert set(plan.images.values()) == {283 - 28}
    alone = without_sharing(plan)
    assert alone.passes.keys() >= set(itertools.chain.from_iterable(c.parents for c in alone.cells))


class Counting(Pair):
    """Has as many members as the rarest class has images."""

    name = "counting"

    def members(self, counts: Sequence[int]) -> Sequence[Member]:
        return [Member(seed_offset=number) for number in range(min(counts))]


def test_techniques_plan_with_the_counts_after_holding_out(suite: Suite) -> None:
    own = registry_with(Few, Net, Counting)
    members = {h: len(plan_of(suite, own, "counting", held_out=h).cells[-1].spec["members"]) for h in (0, 0.1)}
    assert members == {0: 20, 0.1: 18}


def test_a_data_set_with_a_validation_split_holds_it_out_whatever_the_share(suite: Suite) -> None:
    class Split(Few):
        name = "split_images"
        fingerprint: ClassVar[str] = "va11d"

        def info(self, root: Path) -> DatasetInfo:
            return msgspec.structs.replace(
                super().info(root), valid_counts=(4, 0, 1), valid_fingerprint=self.fingerprint
            )

    own = registry_with(Split, Net)
    plans = [plan_of(suite, own, datasets=["split_images"], held_out=h) for h in (0.1, 0.2)]
    assert plans[0].jobs == plans[1].jobs
    assert set(plans[0].images.values()) == {283}
    assert {plans[0].passes[job.key] for job in plans[0].of_kind("predict")} == {15.0, 5.0}
    assert "held_out" not in plan_of(suite, own, datasets=["split_images"]).of_kind("fit")[0].spec["data"]
    Split.fingerprint = "other"
    assert not plan_of(suite, own, datasets=["split_images"], held_out=0.1).jobs.keys() & plans[0].jobs.keys()
    Split.fingerprint = ""
    with pytest.raises(DataError, match="'split_images' has a validation split without a fingerprint"):
        plan_of(suite, own, datasets=["split_images"], held_out=0.1)


def test_holding_out_nothing_at_all_is_refused(suite: Suite) -> None:
    class Ones(Few):
        name = "ones"

        def info(self, root: Path) -> DatasetInfo:
            return msgspec.structs.replace(super().info(root), train_counts=(1, 1, 1))

    with pytest.raises(DataError, match="no image can be held out: every class has a single training image"):
        plan_of(suite, registry_with(Ones, Net), datasets=["ones"], imbalance_factors=[1], held_out=0.5)


def test_the_order_of_techniques_and_seeds_is_in_no_identity(suite: Suite, own: Registry) -> None:
    names = ["cb_sampler", "mixup", "tta"]
    plans = [set(plan_of(suite, own, *order, seeds=[0, 1]).jobs) for order in itertools.permutations(names)]
    assert all(plan == plans[0] for plan in plans)
    assert set(plan_of(suite, own, *names, seeds=[1, 0]).jobs) == plans[0]


def test_what_cannot_influence_a_training_is_not_in_its_identity(suite: Suite, own: Registry) -> None:
    fits = [{f.key for f in plan_of(suite, own, *names).of_kind("fit")} for names in ([], ["tta"])]
    assert fits[0] == fits[1]


def test_a_recipe_s_augmentation_is_that_of_rows_without_one(suite: Suite, own: Registry) -> None:
    recipe = msgspec.structs.replace(suite.recipe, augment="flip")
    plan = plan_of(suite, own, "cb_sampler", "cutout", "no_augment", recipe=recipe)
    fits = [job.spec for job in plan.jobs.values() if job.kind == "fit"]
    found = {
        (augment["name"], segment.get("augment_first", {}).get("name"))
        for fit in fits
        for segment in fit["segments"]
        for augment in [segment["augment"]]
    }
    assert found == {("flip", None), ("cutout", "flip"), ("no_augment", None)}
    assert {fit["recipe"]["augment"] for fit in fits} == {"flip"}


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        ("cutout", "'cutout' cannot be the default, because it follows the default"),
        ("flip[chance=0.5]", "has a shorter form"),
        ("flop", "unknown technique 'flop'"),
        ("flip[chance=2]", "chance"),
    ],
)
def test_an_augmentation_that_cannot_be_the_recipe_s_is_refused(
    suite: Suite, own: Registry, augment: str, message: str
) -> None:
    recipe = msgspec.structs.replace(suite.recipe, augment=augment)
    with pytest.raises(LtbenchError, match=re.escape(message)):
        plan_of(suite, own, "cb_sampler", recipe=recipe)


def test_an_augmentation_that_is_the_default_anyway_is_noted(suite: Suite, own: Registry) -> None:
    class Padded(Few, frozen=True):
        name = "padded"
        augment = "crop_flip"

    registry = registry_with(Padded, Net)
    notes = [
        plan_of(
            suite, registry, datasets=["padded"], recipe=msgspec.structs.replace(suite.recipe, augment=augment)
        ).notes
        for augment in ("", "flip", "crop_flip")
    ]
    assert notes[0] == notes[1]
    assert [note for note in notes[2] if note not in notes[0]] == [
        "augment = crop_flip is the default of padded anyway; without it, trainings are shared with other suites"
    ]


def test_a_parameter_at_its_default_is_the_same_technique(suite: Suite, own: Registry) -> None:
    eps = own.parse("label_smooth").eps
    assert plan_of(suite, own, "label_smooth").jobs == plan_of(suite, own, f"label_smooth[eps={eps}]").jobs


def test_a_deferred_switch_resumes_from_the_plain_run(suite: Suite, own: Registry) -> None:
    plan = plan_of(suite, own, "late", "label_smooth")
    fits = plan.of_kind("fit")
    # Plain to 0.8, plain to the end, label smoothing from the start, label smoothing from 0.8 on.
    assert sorted((len(f.spec["segments"]), f.spec["segments"][-1]["until"]) for f in fits) == [
        (1, 0.8), (1, 1.0), (1, 1.0), (2, 1.0),
    ]  # fmt: skip
    (shared,) = [f for f in fits if f.keep_state]
    assert shared.spec["segments"][-1]["until"] == 0.8
    assert sum(f.parents == (shared.key,) for f in fits) == 2


def test_two_switching_times_share_up_to_the_earlier_one(suite: Suite, own: Registry) -> None:
    plan = plan_of(suite, own, "late[at=0.4,0.8]", "label_smooth")
    early = next(f for f in plan.of_kind("fit") if f.spec["segments"][-1]["until"] == 0.4)
    late = next(f for f in plan.of_kind("fit") if f.spec["segments"][-1]["until"] == 0.8)
    assert (early.parents, late.parents) == ((), (early.key,))


def test_a_switch_of_an_unpicked_technique_is_the_plain_run(suite: Suite, own: Registry) -> None:
    plan = plan_of(suite, own, "late")
    assert len(plan.of_kind("fit")) == 1


def test_a_decoupled_second_stage_resumes_from_the_plain_run_and_restarts_its_curve(
    suite: Suite, own: Registry
) -> None:
    plan = plan_of(suite, own, "decoupled", "cb_sampler")
    second = next(f for f in plan.of_kind("fit") if len(f.spec["segments"]) == 2 and _sampler(f, 1) == "cb_sampler")
    first = plan.jobs[second.parents[0]]
    assert (_sampler(first, 0), first.spec["segments"][0]["until"]) == ("shuffle", 0.5)
    assert second.spec["segments"][1]["restart"]


def test_an_average_restarts_with_the_second_stage_under_another_identity_than_one_that_went_on(
    suite: Suite, own: Registry
) -> None:
    plan = plan_of(suite, own, "decoupled", "cb_sampler", sweep={"ema": [0.9], "epochs": [20]})
    segments = [fit.spec["segments"] for fit in plan.of_kind("fit")]
    assert {(len(parts), parts[-1].get("average")) for parts in segments} == {(1, None), (2, "restart")}
    assert all("average" not in parts[0] for parts in segments)
    without = plan_of(suite, own, "decoupled", "cb_sampler")
    assert not any("average" in part for fit in without.of_kind("fit") for part in fit.spec["segments"])


@pytest.mark.parametrize(
    ("sampler", "notes"),
    [
        ("balanced_batch", []),
        ("balanced_batch[per_class=40]", [LARGER]),
        ("raising", []),
    ],
)  # fmt: skip
def test_a_row_with_larger_batches_says_so(suite: Suite, sampler: str, notes: list[str]) -> None:
    registry = registry_with(Few, Net, Raising)
    plan = plan_of(suite, registry, sampler)
    cells = {cell.extra["combination"]["sampler"]: cell.extra["notes"] for cell in plan.cells}
    assert cells == {None: [], sampler: notes}
    assert list(plan.notes) == notes


def test_a_phase_that_is_too_short_for_a_step_is_noted(suite: Suite, own: Registry) -> None:
    def notes(at: float, **recipe: object) -> list[str]:
        changes = {"recipe": {"steps": 10, "precision": "fp32", "batch_size": 64} | recipe}
        return list(plan_of(suite, own, f"late[at={at}]", "focal", **changes).notes)

    assert notes(0.94) == []
    assert notes(0.96) == ["late[at=0.96]: a phase has no step in a training of 10 steps, so it has no effect"]
    assert "of 5 steps" in notes(0.95, steps=None, epochs=1)[0]  # 278 images are five batches


def test_an_ensemble_of_one_member_is_noted(suite: Suite, own: Registry) -> None:
    plan = plan_of(suite, own, "bagging[threshold=60]", "pair", imbalance_factors=[1, 10])
    assert plan.notes == ()
    (note,) = plan_of(suite, own, "bagging[threshold=150]", "pair", imbalance_factors=[1, 10]).notes
    assert note == "bagging[threshold=150]: only one member at these class counts"


def test_a_note_is_told_with_the_first_part_that_has_it(suite: Suite, own: Registry) -> None:
    asked = changed(suite, techniques=["balanced_batch[per_class=40]", "mixup", "tta"])
    parts = list(plan_parts(asked, own, Path(), cells=2))
    assert len(parts) > 2
    assert [note for part in parts for note in part.notes] == [LARGER]


def _sampler(fit, segment: int) -> str:
    return fit.spec["segments"][segment]["sampler"]["name"]


def test_members_of_an_ensemble_are_other_cells_trainings(suite: Suite, own: Registry) -> None:
    plan = plan_of(suite, own, "pair", seeds=[0, 1])
    # Each pair is the single cell of its seed and one more training on the same subset.
    fits = plan.of_kind("fit")
    assert (len(plan.cells), len(fits), plan.trainings_naive) == (4, 4, 6)


def test_a_new_subset_seed_with_an_ensemble_keeps_its_subset(suite: Suite, own: Registry) -> None:
    plan = plan_of(suite, own, "pair", subset_seeds=[7])
    assert {f.spec["data"]["subset_seed"] for f in plan.of_kind("fit")} == {7}


def test_too_few_images_for_a_factor_is_an_error(suite: Suite, own: Registry) -> None:
    with pytest.raises(DataError, match="class 'c' would keep no training image") as error:
        plan_of(suite, own, imbalance_factors=[1000])
    assert list(suite.profiles) == ["exp"]
    assert error.value.fix == "a smaller imbalance factor, or --profiles natural, which keeps all images"
    assert plan_of(suite, own, profiles=["natural"], imbalance_factors=[1]).cells


# --- in parts ------------------------------------------------------------------------------------------------------------


def parts_of(suite: Suite, own: Registry, *techniques: str, cells: int = 1) -> list[Plan]:
    return list(plan_parts(changed(suite, techniques=techniques), own, Path(), cells=cells))


def test_a_later_part_resumes_from_a_state_that_an_earlier_part_foresaw(suite: Suite, own: Registry) -> None:
    parts = parts_of(suite, own, "label_smooth", "late")
    assert len(parts) == 3  # plain, label smoothing; `late` alone is the plain cell; both together
    (state,) = parts[0].foreseen
    late = next(fit for part in parts for fit in part.of_kind("fit") if len(fit.spec["segments"]) == 2)
    assert late.parents == (state,)
    assert parts[0].jobs[state].keep_state
    assert state in parts[-1].repeated
    # The plain training to 0.8, its rest, label smoothing from the start, and the late one's last fifth.
    fits = {fit.key for part in parts for fit in part.of_kind("fit")}
    assert fits >= {fit.key for fit in plan_of(suite, own, "label_smooth", "late").of_kind("fit")}


def test_the_parts_cost_as_much_as_the_whole(suite: Suite, own: Registry) -> None:
    techniques = ("label_smooth", "cb_sampler", "late", "decoupled", "tta")
    whole, parts = plan_of(suite, own, *techniques), parts_of(suite, own, *techniques, cells=2)
    assert sum(part.passes_naive for part in parts) == whole.passes_naive
    assert sum(part.passes_shared for part in parts) == pytest.approx(whole.passes_shared, rel=0.15)
    assert sum(part.passes_shared for part in parts) >= whole.passes_shared


def test_costs_by_hand(suite: Suite, own: Registry) -> None:
    plan = plan_of(suite, own, "label_smooth", "late", "tta", recipe={"epochs": 10})
    images = sum(own.parse("exp").counts([200] * 3, 10))
    test = 15
    training = 3 * 10 * images
    # Plain, smooth, late smooth, each as it is and with its mirror image; late alone is plain.
    assert plan.passes_naive == 6 * training + (3 + 3 * 2) * test
    assert plan.passes_shared == pytest.approx(2.2 * training + 3 * 2 * test)


def test_a_frozen_backbone_passes_unaugmented_images_once() -> None:
    plain = {"augment": None, "mix": None, "trainable": "all"}
    fit = {
        "recipe": {"epochs": 10},
        "segments": [plain | {"until": 0.5}, plain | {"until": 1.0, "trainable": "classifier"}],
    }
    assert training_passes(fit, images=100) == 3 * 5 * 100 + 100
    assert training_passes(fit, images=100, start=0.5) == 100


def test_branches_have_no_features_in_place_of_images_and_a_second_stream_passes_too() -> None:
    fixed = {"augment": None, "mix": None, "trainable": "classifier", "until": 1.0}
    fit = {"recipe": {"epochs": 10}, "segments": [fixed], "branches": {}}
    assert training_passes(fit, images=100) == 3 * 10 * 100
    assert training_passes(fit | {"stream": {}}, images=100) == 2 * 3 * 10 * 100


@pytest.mark.parametrize(
    ("segment", "images"),
    [
        ({}, 1),
        ({"auxiliary": {}}, 1),
        ({"auxiliary": {}, "views": [None, {}]}, 2),
        ({"auxiliary": {}, "views": [{}, {}]}, 3),
        ({"auxiliary": {}, "mix": {}}, 2),
        ({"auxiliary": {}, "mix": {}, "views": [None, {}]}, 3),
    ],
)
def test_every_view_of_an_auxiliary_passes_through_the_network(segment: dict, images: int) -> None:
    plain = {"augment": None, "mix": None, "trainable": "all", "until": 1.0}
    assert (
        training_passes({"recipe": {"epochs": 10}, "segments": [plain | segment]}, images=100) == 3 * 10 * 100 * images
    )


# --- without sharing -----------------------------------------------------------------------------------------------------


# --- fine-tuning, and what cannot be used with a model --------------------------------------------------------------


class OnlyHead(Finetune):
    """Train the classifier alone."""

    name = "only_head"
    trainable = "classifier"


class Choosy(Finetune):
    """Adapt networks with blocks."""

    name = "choosy"

    def unsuited_to(self, model: Technique) -> str:
        return "" if isinstance(model, Model) and model.has_blocks else "it has no blocks"


class Blocks(Model):
    name = "blocks_net"
    has_blocks = True


class Three(Branches):
    name = "three"

    def number(self) -> int:
        return 3


class Mixed(Ensemble):
    name = "both_nets"

    def members(self, counts: Sequence[int]) -> list[Member]:
        return [Member(model="some_net"), Member(model="blocks_net")]


@pytest.fixture
def tuned(own: Registry) -> Registry:
    return registry_with(Few, Net, OnlyHead, Choosy, Blocks, Three, Mixed)


def test_a_fine_tuning_of_the_classifier_costs_as_such_a_phase(suite: Suite, tuned: Registry) -> None:
    few = changed(suite, techniques=["only_head"], datasets=["few_images"], models=["some_net"], imbalance_factors=[10])
    specs = [job.spec for job in make_plan(few, tuned, Path()).of_kind("fit")]
    (alone,) = {s["finetune"]["name"]: s for s in specs if "finetune" in s}.values()
    assert [segment["trainable"] for segment in alone["segments"]] == ["classifier"]
    (plain,) = {s["segments"][0]["trainable"]: s for s in specs if "finetune" not in s}.values()
    assert "finetune" not in plain
    assert training_passes(alone, 100) == 100 < training_passes(plain, 100)


def left_out(suite: Suite, registry: Registry) -> dict[str, str]:
    plan = make_plan(suite, registry, Path())
    return {one.combination.label: one.reason for one in plan.left_out}


def test_what_suits_no_model_of_a_suite_is_left_out_with_the_reason(suite: Suite, tuned: Registry) -> None:
    few = changed(
        suite, techniques=["choosy", "three"], datasets=["few_images"], models=["some_net"], imbalance_factors=[10]
    )
    found = left_out(few, tuned)
    assert found["choosy"] == "choosy cannot be used with model some_net: it has no blocks"
    assert found["three"] == "three cannot be used with model some_net: its networks have no blocks()"
    assert combination_count(few, tuned, Path()) == 1


def test_what_suits_some_models_runs_with_those(suite: Suite, tuned: Registry) -> None:
    few = changed(
        suite, techniques=["choosy"], datasets=["few_images"], models=["some_net", "blocks_net"], imbalance_factors=[10]
    )
    plan = make_plan(few, tuned, Path())
    models = {job.spec["model"]["name"] for job in plan.of_kind("fit") if "finetune" in job.spec}
    assert models == {"blocks_net"}
    assert [one.combination.label for one in plan.left_out] == ["choosy"]


def test_models_of_members_count(suite: Suite, tuned: Registry) -> None:
    few = changed(
        suite,
        combinations=[["choosy", "both_nets"]],
        techniques=[],
        datasets=["few_images"],
        models=["blocks_net"],
        imbalance_factors=[10],
    )
    assert left_out(few, tuned) == {"choosy + both_nets": "choosy cannot be used with model some_net: it has no blocks"}


def test_without_sharing_every_cell_has_separate_trainings(suite: Suite, own: Registry) -> None:
    shared = plan_of(suite, own, "label_smooth", "late", "tta", "pair")
    alone = without_sharing(shared)
    fits = alone.of_kind("fit")
    assert len(alone.cells) == len(shared.cells)
    assert len(fits) == shared.trainings_naive
    assert not any(fit.parents for fit in fits)
    assert alone.passes_shared == pytest.approx(shared.passes_naive)
    assert {cell.extra["shared"] for cell in alone.cells} == {cell.key for cell in shared.cells}
    for job in alone.jobs.values():
        assert job.key == identity(job.spec)


@pytest.mark.parametrize("row", [["inside"], ["inside_late"], ["inside", "pair"]])
def test_a_mix_inside_the_network_is_left_out_for_a_model_without_blocks(
    suite: Suite, own: Registry, row: list[str]
) -> None:
    both = changed(suite, combinations=[row], models=["some_net", "net_of_blocks"], seeds=[0, 1])
    plan = make_plan(both, own, Path())
    models = [job.extra["setting"]["model"] for job in plan.cells if any(job.extra["combination"].values())]
    assert models == ["net_of_blocks"] * 2
    (out,) = plan.left_out
    assert out.reason == "inside cannot be used with model some_net: its networks have no blocks()"


def test_a_member_without_blocks_leaves_the_cell_out(suite: Suite, own: Registry) -> None:
    both = changed(suite, combinations=[["inside", "stacked"], ["stacked"]], models=["net_of_blocks"])
    plan = make_plan(both, own, Path())
    assert [out.combination.label for out in plan.left_out] == ["inside + stacked"]
