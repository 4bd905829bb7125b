"""Every value of every field of a recipe: another identity is another training, or the plan says that it is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import msgspec
import pytest
from engine.world import context_of, digest, fit_job

from ltbench.core.spec import canonical
from ltbench.engine.fit import fit
from ltbench.errors import UsageError
from ltbench.suite.recipe import Recipe, recipe_spec
from ltbench.suite.recipe_notes import recipe_notes
from ltbench.technique import fields
from ltbench.testing.parameter_values import values_of

IMAGES = 57
SHORT = Recipe(steps=12, batch_size=8, lr=0.05, precision="fp32")
STEPPED = {"schedule": "multistep", "milestones": (0.5,), "warmup": 0.25}
BASES: dict[str, Recipe] = {
    name: msgspec.structs.replace(SHORT, **changes)
    for name, changes in {
        "sgd": {}, "epochs": {"epochs": 2, "steps": None}, "adam": {"optimizer": "adam", "lr": 0.01},
        "adamw": {"optimizer": "adamw", "lr": 0.01}, "rmsprop": {"optimizer": "rmsprop", "lr": 0.001},
        "no momentum": {"momentum": 0.0}, "steps of the rate": STEPPED, "line": {"schedule": "linear", "warmup": 0.25, "final_lr": 0.2}, "average": {"ema": 0.6},
        "average beyond its limit": {"ema": 0.999}, "average without limit": {"ema": 0.6, "ema_warmup": False},
    }.items()
}  # fmt: skip
MORE: dict[str, tuple[object, ...]] = {
    "warmup": (0.01, 0.1, 0.99), "ema": (0.81, 0.99, 0.999, 0.9999), "batch_size": (57, 58, 400), "decay": (1.0,),
    "milestones": ((0.01,), (0.1,), (0.99,), (0.5, 0.5), (0.8, 0.5), (0.5, 0.8)),
}  # fmt: skip
"""Values that may be too small, too large or the same, beside those that follow from the type of a field."""
LARGEST = {"epochs": 100, "steps": 100, "batch_size": 1000, "lr": 10.0, "weight_decay": 10.0}
"""Larger values are allowed, and take days or end at infinity."""

FIELDS = [field for field in Recipe.__struct_fields__ if field not in {"augment", "kernels"}]
"""Those of the engine: a plan turns `augment` into the augmentation of segments. `kernels` are of a GPU."""
NAMED = {"milestones": "milestone "}
"""How a note begins that names a field, where not with the field."""


@cache
def weights_of(folder: Path, recipe: Recipe) -> str:
    job = fit_job(recipe=msgspec.to_builtins(recipe) | {"milestones": list(recipe.milestones)})
    context = context_of(folder)
    fit(job, context)
    return digest(context, job)


def other_values(base: Recipe, field: str) -> Iterator[Recipe]:
    kind = next(one.type for one in fields(Recipe) if one.name == field)
    for value in (*values_of(kind, getattr(base, field)), *MORE.get(field, ())):
        if isinstance(value, int | float) and value > LARGEST.get(field, value):
            continue
        try:
            yield msgspec.convert(msgspec.to_builtins(base) | {field: msgspec.to_builtins(value)}, Recipe)
        except (msgspec.ValidationError, UsageError):
            continue


def assert_lawful(folder: Path, one: Recipe, other: Recipe, field: str) -> bool:
    """Assert the law for two recipes that differ in a field; return whether the field made another training."""
    one, other = one.resolved(), other.resolved()
    same_identity = canonical(recipe_spec(one)) == canonical(recipe_spec(other))
    same_weights = weights_of(folder, one) == weights_of(folder, other)
    assert same_weights or not same_identity, f"{field}: two trainings under one identity\n{one}\n{other}"
    if same_weights and not same_identity:
        noted = [*recipe_notes(one, [IMAGES]), *recipe_notes(other, [IMAGES])]
        assert any(note.startswith(NAMED.get(field, f"{field} = ")) for note in noted), (
            f"{field} changes the identity alone\n{one}\n{other}"
        )
    return not same_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recipes")


@pytest.mark.parametrize("name", BASES)
def test_another_identity_is_another_training_or_the_plan_says_so(name: str, folder: Path) -> None:
    for field in FIELDS:
        tried = [BASES[name], *other_values(BASES[name], field)]
        for number, one in enumerate(tried):
            for other in tried[:number]:
                assert_lawful(folder, one, other, field)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_makes_another_training_somewhere(field: str, folder: Path) -> None:
    pairs = [(base, other) for base in BASES.values() for other in other_values(base, field)]
    assert any(assert_lawful(folder, *pair, field) for pair in pairs)


def test_kernels_of_a_gpu_are_no_part_of_a_training_on_a_cpu() -> None:
    fastest = msgspec.structs.replace(SHORT, kernels="fastest")
    assert recipe_spec(fastest.trained_on("cpu")) == recipe_spec(SHORT.trained_on("cpu"))
    assert recipe_spec(fastest.trained_on("cuda:0"))["kernels"] == "fastest"


def test_the_law_finds_a_value_that_the_plan_is_silent_about(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "recipe_notes", lambda recipe, images: [])
    pair = [msgspec.structs.replace(SHORT, ema=ema) for ema in (0.99, 0.999)]
    with pytest.raises(AssertionError, match="ema changes the identity alone"):
        assert_lawful(folder, *pair, "ema")
