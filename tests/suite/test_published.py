from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from support import suite_source

from ltbench.errors import SuiteError
from ltbench.registry.registry import Registry
from ltbench.suite.published import parse_figure
from ltbench.suite.suite import Suite, changed, find_suite, read_suite

GOOD = (
    suite_source("mine", {"epochs": 2}, figures=["bars", "bags[threshold=120]"])
    + """
[[reported]]
source = "Table 1"
techniques = ["mixup", "cb_sampler"]
imbalance_factor = 10
value = 0.8422
recipe = { batch_size = 32 }
[[reported]]
source = "Table 2"
imbalance_factor = 10
per_class = [0.5, 0.7, 0.9]
[[claims]]
text = "Mixup helps"
better = ["mixup"]
[[claims]]
text = "It does not matter which"
better = ["ins"]
worse = ["isns"]
sign = "="
within = 0.01
"""
)


def read(tmp_path: Path, text: str) -> Suite:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return read_suite(path)


def test_a_suite_holds_the_numbers_and_claims_of_its_report(tmp_path: Path) -> None:
    suite = read(tmp_path, GOOD)
    first, second = suite.reported
    assert (first.techniques, first.number, first.metric) == (("mixup", "cb_sampler"), 0.8422, "top1")
    assert second.number == pytest.approx(0.7)
    assert second.techniques == ()
    assert [(c.better, c.worse, c.imbalance_factors, c.sign) for c in suite.claims] == [
        (("mixup",), (), "all", "+"),
        (("ins",), ("isns",), "all", "="),
    ]


def test_a_suite_without_a_report_shows_the_default_figures(tmp_path: Path) -> None:
    suite = read(tmp_path, GOOD[: GOOD.index("[[reported]]")].replace("figures", "#"))
    assert (suite.reported, suite.claims, suite.figures) == (
        (),
        (),
        ("head_to_tail", "bars", "cost", "effects", "interactions", "critical_difference"),
    )


def test_numbers_and_claims_survive_a_change_of_the_suite_and_json(tmp_path: Path) -> None:
    suite = read(tmp_path, GOOD)
    assert changed(suite, seeds=[1]).claims == suite.claims
    assert msgspec.json.decode(msgspec.json.encode(suite), type=Suite) == suite


BAD = {
    "unknown key of a number": ("value =", "valeu =", "did you mean reported[0].value?"),
    "unknown key of a claim": ("within", "witin", "did you mean claims[1].within?"),
    "unknown field of the recipe": ("batch_size = 32", "batchsize = 32", "did you mean batch_size?"),
    "a percentage": ("0.8422", "84.22", "0.8422"),
    "a percentage of a class": ("[0.5,", "[50,", "per_class"),
    "neither value nor classes": ("value = 0.8422", "", "neither value nor per_class"),
    "classes of another metric": ("per_class", 'metric = "macro_f1"\nper_class', "per_class"),
    "a technique twice": ('"mixup", "cb_sampler"', '"mixup", "mixup"', "twice"),
    "a claim about nothing": ('better = ["mixup"]', "better = []", "with itself"),
    "no difference without a margin": ("within = 0.01", "", "within missing"),
    "a margin for a difference": ('sign = "="', 'sign = "+"', "within set"),
    "nothing but itself and all": ('worse = ["isns"]', 'worse = "every"', "claims[1].worse"),
    "no difference to all": ('worse = ["isns"]', 'worse = "all"', "name one of them"),
    "a size of all": (
        'better = ["mixup"]',
        'better = ["mixup"]\nworse = "all"\ndifference = 0.1',
        "difference, but compares with all others",
    ),
    "two sizes": (
        'better = ["mixup"]',
        'better = ["mixup"]\nat_least = 0.1\ndifference = 0.1',
        "the one that the report states",
    ),
    "a size of the other sign": ('better = ["mixup"]', 'better = ["mixup"]\ndifference = -0.1', "the same sign"),
    "two margins": ("within = 0.01", "within = 0.01\nat_least = 0.1", "use within"),
    "unknown sign": ('sign = "="', 'sign = "<"', "sign"),
    "a factor below one": ("imbalance_factor = 10\nvalue", "imbalance_factor = 0.1\nvalue", "imbalance_factor"),
    "an unknown figure": ('"bars"', '"bar"', "did you mean bars?"),
    "a figure twice": ('"bars"', '"bars", "bars"', "named twice"),
    "a threshold for nothing": ('"bars"', '"bars[threshold=3]"', "takes no threshold"),
    "no threshold": ("bags[threshold=120]", "bags", "needs a threshold"),
    "a broken threshold": ("bags[threshold=120]", "bags[threshold=x]", "unknown figure"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_mistake_in_numbers_or_claims_names_file_and_key(kind: str, tmp_path: Path) -> None:
    old, new, expected = BAD[kind]
    assert old in GOOD
    with pytest.raises(SuiteError) as error:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert expected in str(error.value)
    assert "mine.toml" in str(error.value)


def test_a_figure_is_written_like_a_technique() -> None:
    assert parse_figure("bags[threshold=120]") == ("bags", 120)
    assert parse_figure("head_to_tail") == ("head_to_tail", None)


def test_the_suites_of_ltbench_name_existing_techniques_in_numbers_and_claims(registry: Registry) -> None:
    for name in registry.suites:
        suite = find_suite(name, registry)
        sides = [suite.highlight or (), *(r.techniques for r in suite.reported)]
        sides += [side for claim in suite.claims for side in (claim.better, claim.worse) if side != "all"]
        for technique in {technique for side in sides for technique in side}:
            assert registry.parse_all(technique), (name, technique)
