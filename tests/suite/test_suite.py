from __future__ import annotations

from pathlib import Path

import pytest
from support import suite_source

from ltbench.errors import SuiteError, UnknownName
from ltbench.registry.registry import Registry
from ltbench.suite.schema import json_schema
from ltbench.suite.suite import changed, find_suite, read_suite

GOOD = suite_source("mine", {"epochs": 2}, techniques=["mixup"])


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_a_users_own_suite_is_read(tmp_path: Path) -> None:
    suite = read_suite(write(tmp_path, GOOD))
    assert (suite.name, suite.seeds, suite.profiles, suite.recipe.epochs) == ("mine", (0,), ("exp",), 2)


@pytest.mark.parametrize(
    "encoded",
    [
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n").encode(),
        b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode(),
    ],
)
def test_a_suite_of_an_editor_on_windows_is_the_same_suite(encoded: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(encoded)
    assert read_suite(path) == read_suite(write(tmp_path, GOOD))


def test_a_suite_in_another_encoding_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(GOOD.encode("utf-16"))
    with pytest.raises(SuiteError, match="is not valid TOML") as refused:
        read_suite(path)
    assert refused.value.fix == "save it with the encoding UTF-8"


BAD = {
    "unknown key": ("imbalance_factors", "imbalance_factor", "did you mean imbalance_factors?"),
    "unknown key of the recipe": ("epochs = 2", "epochs = 2\nbatchsize = 3", "did you mean recipe.batch_size?"),
    "imbalance factor 0": ("[10]", "[0]", "imbalance factor 0 is invalid"),
    "imbalance factor NaN": ("[10]", "[nan]", "imbalance factor nan is invalid"),
    "imbalance factor infinite": ("[10]", "[inf]", "imbalance factor inf is invalid"),
    "no imbalance factor": ("[10]", "[]", "imbalance_factors"),
    "a factor twice": ("[10]", "[10, 10.0]", "has a duplicate"),
    "a wrong type": ('["mixup"]', '"mixup"', "techniques"),
    "no length": ("epochs = 2", "lr = 0.1", "exactly one"),
    "two lengths": ("epochs = 2", "epochs = 2\nsteps = 3", "exactly one"),
    "milestones for nothing": ("epochs = 2", "epochs = 2\nmilestones = [0.5]", "no effect"),
    "a learning rate of zero": ("epochs = 2", "epochs = 2\nlr = 0.0", "lr"),
    "another schema": ("schema = 1", "schema = 2", "schema"),
    "a name that is a path": ('"mine"', '"../mine"', "name"),
    "not TOML": ("[recipe]", "[recipe", "is not valid TOML"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_suite_names_file_and_key(kind: str, tmp_path: Path) -> None:
    old, new, expected = BAD[kind]
    assert old in GOOD
    with pytest.raises(SuiteError) as error:
        read_suite(write(tmp_path, GOOD.replace(old, new, 1)))
    assert expected in str(error.value)
    assert "mine.toml" in str(error.value)


@pytest.mark.parametrize("name", ["mine\n", "\nmine", "mine\r", "mi\nne", "mine ", ""])
def test_the_name_of_a_suite_is_one_word_to_its_end(name: str, tmp_path: Path) -> None:
    """A `$` of Python would let a line end pass, which then is in the name of a folder."""
    with pytest.raises(SuiteError, match="does not follow the schema") as caught:
        read_suite(write(tmp_path, suite_source(name, {"epochs": 1})))
    assert "name" in str(caught.value)
    pattern = json_schema()["$defs"]["Suite"]["properties"]["name"]["pattern"]
    assert pattern == "^[a-z0-9][a-z0-9_-]*$"  # JSON Schema has no \Z


def test_an_unknown_suite_names_the_nearest(registry: Registry) -> None:
    with pytest.raises(UnknownName) as error:
        find_suite("quik", registry)
    assert "quick" in error.value.fix
    with pytest.raises(SuiteError, match="cannot be read"):
        find_suite("nowhere.toml", registry)


def test_seeds_are_crossed_or_paired(tmp_path: Path) -> None:
    suite = read_suite(write(tmp_path, GOOD))
    crossed = changed(suite, seeds=[0, 1], subset_seeds=[5, 6])
    assert crossed.seed_pairs() == [(5, 0), (6, 0), (5, 1), (6, 1)]
    assert changed(suite, seeds=[0, 1], subset_seeds="seed").seed_pairs() == [(0, 0), (1, 1)]


def test_a_change_is_validated_like_a_file(tmp_path: Path) -> None:
    suite = read_suite(write(tmp_path, GOOD))
    with pytest.raises(SuiteError, match="is invalid"):
        changed(suite, imbalance_factors=[0.5])


def test_every_suite_that_comes_with_ltbench_can_be_planned(registry: Registry, tmp_path: Path) -> None:
    from ltbench.planning.parts import make_plan

    for name in registry.suites:
        suite = find_suite(name, registry)
        # Patches of tissue are counted where they are, and they come with nobody's test machine.
        if not suite.datasets[0].startswith("breast_histopathology"):
            assert make_plan(suite, registry, tmp_path).cells, name
