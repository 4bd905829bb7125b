from __future__ import annotations

from pathlib import Path

import pytest
from support import suite_source

from ltbench.cli.asked_suite import asked_suite
from ltbench.cli.running.reproduce_command import suite_command
from ltbench.errors import LtbenchError, SuiteError, UnknownName, UsageError
from ltbench.planning.parts import make_plan
from ltbench.planning.plan import Plan
from ltbench.registry.registry import Registry
from ltbench.suite.recipe import Recipe, sweep_recipe
from ltbench.suite.suite import Suite, changed, read_suite


def written(folder: Path, sweep: str = "", **fields: object) -> Suite:
    path = folder / "mine.toml"
    path.write_text(suite_source("mine", {"steps": 2}, **fields) + sweep)
    return read_suite(path)


def labels(plan: Plan) -> list[str]:
    return [
        " + ".join(label for label in cell.extra["combination"].values() if label) or "baseline" for cell in plan.cells
    ]


def asked(registry: Registry, file: Path, **options: object) -> Suite:
    nothing = dict.fromkeys(
        ("plugins", "strategy", "max_techniques", "datasets", "profiles", "models", "imbalance_factors", "seeds")
    )
    given = nothing | {"suite_name": str(file), "everything": False, "settings": ()} | options
    return asked_suite(registry, **given)  # type: ignore[arg-type]


# --- sweeps of the recipe ---------------------------------------------------------------------------------------


def test_a_sweep_crosses_its_fields_and_leaves_the_others_as_they_are() -> None:
    recipes = sweep_recipe(Recipe(epochs=3, weight_decay=0.0), {"lr": [0.01, 0.1], "batch_size": [32, 64]})
    assert [(r.lr, r.batch_size) for r in recipes] == [(0.01, 32), (0.01, 64), (0.1, 32), (0.1, 64)]
    assert {(r.epochs, r.weight_decay) for r in recipes} == {(3, 0.0)}
    assert sweep_recipe(Recipe(epochs=3), {}) == [Recipe(epochs=3)]


def test_a_swept_length_replaces_the_other_kind_of_length() -> None:
    assert sweep_recipe(Recipe(epochs=3), {"steps": [5, 6]}) == [Recipe(steps=5), Recipe(steps=6)]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("lr = [0.0]", "lr"),
        ("lr = [0.1, 0.1]", "is empty or repeats a value"),
        ("lr = []", "is empty or repeats a value"),
        ("lrr = [0.1]", "did you mean lr"),
        ('lr = ["fast"]', "lr"),
        ("lr = 0.1", "sweep"),
        ("steps = [1]\nepochs = [1]", "in either epochs or steps"),
    ],
)
def test_a_bad_sweep_names_file_and_field(table: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SuiteError) as error:
        written(tmp_path, f"[sweep]\n{table}")
    assert said in str(error.value)
    assert "mine.toml" in str(error.value)


def test_every_value_of_a_sweep_is_a_separate_recipe_in_fits_and_cells(tmp_path: Path, registry: Registry) -> None:
    suite = written(tmp_path, "[sweep]\nlr = [0.01, 0.1]\nbatch_size = [32, 64]", techniques=["mixup", "tta"])
    plan = make_plan(suite, registry, tmp_path)
    assert (len(plan.cells), len(plan.of_kind("fit"))) == (16, 8)
    for cell in plan.cells:
        (fit,) = cell.spec["members"]
        assert plan.jobs[fit].spec["recipe"] == cell.extra["recipe"]
        assert cell.extra["fits"] == [plan.jobs[fit].spec]


def test_one_value_of_a_sweep_is_the_same_cell_as_without_a_sweep(tmp_path: Path, registry: Registry) -> None:
    suite = written(tmp_path, techniques=["mixup"])
    sweep = changed(suite, sweep={"lr": [0.01, 0.1]})
    alone = changed(suite, recipe={"steps": 2, "lr": 0.01})
    assert make_plan(alone, registry, tmp_path).jobs.items() <= make_plan(sweep, registry, tmp_path).jobs.items()


def test_a_setting_of_the_command_line_replaces_a_sweep(tmp_path: Path, registry: Registry) -> None:
    written(tmp_path, "[sweep]\nlr = [0.01, 0.1]\nsteps = [1, 2]")
    suite = asked(registry, tmp_path / "mine.toml", settings=("lr=0.5", "epochs=3"))
    assert suite.recipes() == [Recipe(epochs=3, lr=0.5)]


# --- listed combinations ----------------------------------------------------------------------------------------


def test_a_list_of_combinations_is_run_beside_the_baseline(tmp_path: Path, registry: Registry) -> None:
    suite = written(tmp_path, combinations=[["mixup", "cb_sampler", "tta"], ["cb_sampler"], ["cb_sampler", "cutmix"]])
    plan = make_plan(suite, registry, tmp_path)
    assert labels(plan) == ["baseline", "cb_sampler", "cb_sampler + cutmix", "cb_sampler + mixup + tta"]
    assert suite.techniques == ("mixup", "cb_sampler", "tta", "cutmix")
    assert len(make_plan(changed(suite, max_techniques=1), registry, tmp_path).cells) == 2


def test_a_sweep_in_a_listed_combination_is_several(tmp_path: Path, registry: Registry) -> None:
    suite = written(tmp_path, combinations=[["label_smooth[eps=0.1,0.3]", "mixup[alpha=0.2,1]"]])
    assert len(make_plan(suite, registry, tmp_path).cells) == 1 + 4


def test_a_listed_combination_that_makes_no_sense_is_left_out_with_the_reason(
    tmp_path: Path, registry: Registry
) -> None:
    plan = make_plan(written(tmp_path, combinations=[["mixup", "drw"]]), registry, tmp_path)
    assert labels(plan) == ["baseline"]
    (left,) = plan.left_out
    assert "drw needs" in left.reason


def test_options_that_a_list_of_combinations_makes_pointless_are_refused(tmp_path: Path, registry: Registry) -> None:
    for option in ({"strategy": "each"}, {"techniques": ["tta"]}):
        with pytest.raises(SuiteError, match="have no effect"):
            written(tmp_path, combinations=[["mixup"]], **option)
    with pytest.raises(UsageError, match="a listed combination has at most one technique per stage"):
        make_plan(written(tmp_path, combinations=[["mixup", "cutmix"]]), registry, tmp_path)
    with pytest.raises(LtbenchError):
        written(tmp_path, combinations=[[]])


@pytest.mark.parametrize(
    ("options", "cells"),
    [({"plugins": "mixup,tta"}, 4), ({"strategy": "each"}, 3), ({"max_techniques": 0}, 1), ({}, 2)],
)
def test_the_command_line_overrides_a_list(
    options: dict[str, object], cells: int, tmp_path: Path, registry: Registry
) -> None:
    written(tmp_path, combinations=[["mixup", "tta"]])
    suite = asked(registry, tmp_path / "mine.toml", **options)
    assert len(make_plan(suite, registry, tmp_path).cells) == cells


def test_a_page_names_the_command_that_leaves_a_list_for_a_strategy(tmp_path: Path, registry: Registry) -> None:
    own = written(tmp_path, combinations=[["mixup", "tta"]])
    asked_for = changed(own, combinations=[], strategy="all")
    assert suite_command(asked_for, own, registry) == "ltbench run --suite mine --strategy all"
    assert suite_command(own, own, registry) == "ltbench run --suite mine"


def test_a_page_names_the_command_that_leaves_a_sweep_for_one_value(tmp_path: Path, registry: Registry) -> None:
    written(tmp_path, combinations=[["mixup", "tta"]])
    swept = tmp_path / "swept.toml"
    swept.write_text((tmp_path / "mine.toml").read_text() + "\n[sweep]\nlr = [0.1, 0.2]\n")
    own = read_suite(swept)
    assert own.recipe.lr == 0.1
    assert suite_command(asked(registry, swept, settings=("lr=0.1",)), own, registry).endswith("--set lr=0.1")


def test_an_unknown_field_of_a_sweep_is_a_wrong_name() -> None:
    with pytest.raises(UnknownName):
        sweep_recipe(Recipe(steps=1), {"nothing": [1]})
