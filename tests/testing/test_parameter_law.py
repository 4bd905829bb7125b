"""Every value of every parameter of every installed technique: another identity has other results.

Two techniques that differ in one parameter are compared by all that their methods return on the inputs of the kit; the
other parameters are at their defaults, and at up to two other values each.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator

import msgspec
import pytest
from testing.broken.manners import Clamped
from testing.test_built_ins import SLOW

from ltbench.errors import ParameterError
from ltbench.registry.registry import Registry
from ltbench.technique import Technique, fields
from ltbench.testing.flat_values import Flat, difference
from ltbench.testing.parameter_values import settings, variations, why_not_varied
from ltbench.testing.subject import Subject

INSTALLED = {name: entry.technique for name, entry in Registry.load().entries.items()}
PARAMETRIZED = [name for name, kind in INSTALLED.items() if fields(kind) and kind.stage != "dataset"]
MORE: dict[tuple[str, str], tuple[object, ...]] = {
    ("stacking", "models"): (("convnet", "resnet20"), ("resnet20", "convnet9")),
    ("distill", "teacher"): ("label_smooth", "focal,ens"),
    ("dive", "teacher"): ("label_smooth", "focal,ens"),
    ("min_cost", "costs"): ("0>*:5", "*>1:3+2>0:7"),
}
"""Values of parameters for which none can be derived from the type."""
NOT_VARIED = (
    "other values may read other files", "pretrained weights may need a network connection",
    "it has no effect beside the defaults of the others",
)  # fmt: skip
"""Why parameters are not varied by themselves; the tests of data sets, models and profiles do it."""
SAME_HERE = {
    ("bagging", "split"): "a threshold of 1 or 3 images makes so many bags that either rule copies all but the head",
    ("balanced", "like"): "linear and step keep as many images of an even number of classes",
    ("calibration", "bins"): "no probability of these inputs is in the lower of two bins",
    ("cmo", "alpha"): "boxes of 8 x 8 images have few sizes",
    ("cmo", "chance"): "with `per_batch` one number is drawn, and no two values are on both sides of it",
    ("cuda", "accept"): "no class is right in a share of the tests between 0.5 and 0.6",
    ("cuda", "chance"): "no draw for one of 12 images lies between two small chances",
    ("cuda", "tests"): "a network that tells classes by their brightness is as often right in 9 as in 23 tests",
    ("distill", "teacher"): "the kit hands over logits of a teacher that is not trained",
    ("dive", "teacher"): "the kit hands over logits of a teacher that is not trained",
    ("influence_balanced", "start"): "no step of the kit lies between two of these parts of a training",
    ("jiang_augment", "degrees"): "a turn by half a degree moves no pixel of 16 x 16",
    ("jiang_augment", "translate"): "a shift by a fortieth of 16 pixels is none",
    ("remix", "kappa"): "no pair of these 24 images has both a ratio of counts and a share between two values",
    ("remix", "tau"): "no pair of these 24 images has both a ratio of counts and a share between two values",
    ("ride_diversity", "at"): "no step of the kit lies between two of these parts of a training",
    ("ride_diversity", "gamma"): "before `at`, temperatures do not follow the counts",
    ("tail_cutmix", "alpha"): "boxes of 8 x 8 images have few sizes",
}
"""Parameters of which two values give the same results on the inputs of the kit and not on others, with the reason."""


def values(technique: Technique, parameter: str) -> list[Technique]:
    """Return the technique with each value of a parameter, its own first."""
    own: list[Technique] = []
    for value in MORE.get((technique.name, parameter), ()):
        with contextlib.suppress(ParameterError):
            own.append(msgspec.structs.replace(technique, **{parameter: value}))
    return [technique, *variations(technique, parameter), *own]


def marked(names: Iterable[str], *more: str) -> list[object]:
    """Return names as parameters of a test, those that take long marked as slow."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in {*SLOW, *more} else []) for name in names]


def same_results(contexts: list[Technique], parameter: str, results: dict[Technique, Flat]) -> Iterator[str]:
    """Yield the pairs that differ in a parameter and have the same results. results: a cache."""
    for context in contexts:
        tried = values(context, parameter)
        for technique in tried:
            if technique not in results:
                results[technique] = Subject(technique).result()
        for one, other in itertools.combinations(tried, 2):
            if one.label != other.label and not difference(results[one], results[other]):
                yield f"{one.label} and {other.label}"


def assert_lawful(kind: type[Technique], contexts: list[Technique]) -> None:
    results: dict[Technique, Flat] = {}
    for parameter in (field.name for field in fields(kind)):
        same = list(same_results(contexts, parameter, results))
        listed = (kind.name, parameter) in SAME_HERE
        assert listed or not same, f"the same results under two identities: {same}"
        assert same or not listed or len(contexts) == 1, f"{kind.name}, {parameter}: the exception is not needed"


@pytest.mark.parametrize("name", marked(PARAMETRIZED, "convnet", "jiang_augment"))
def test_no_two_values_of_a_parameter_have_the_same_results(name: str) -> None:
    """Beside the defaults of the other parameters, and beside other values of these."""
    technique = INSTALLED[name]()
    assert_lawful(INSTALLED[name], settings(technique) if len(fields(INSTALLED[name])) > 1 else [technique])


def test_exceptions_are_of_installed_techniques() -> None:
    for name, parameter in [*SAME_HERE, *MORE]:
        assert parameter in INSTALLED[name].__struct_fields__


def test_every_parameter_is_varied_but_those_that_say_why_not() -> None:
    left_out = {
        (name, field.name)
        for name, kind in INSTALLED.items()
        for field in fields(kind)
        if len(values(kind(), field.name)) == 1
    }
    assert {why_not_varied(INSTALLED[name](), parameter) for name, parameter in left_out} <= set(NOT_VARIED)


def test_the_law_finds_a_clamp() -> None:
    with pytest.raises(AssertionError, match=r"under two identities: .*gamma=4"):
        assert_lawful(Clamped, [Clamped()])
