"""Suites that no run could use, or that would take all memory, are refused by name before anything is planned."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import call, suite_source

from ltbench.errors import LtbenchError, SuiteError
from ltbench.suite import suite as module
from ltbench.suite.suite import read_suite

RECIPE = {"epochs": 1, "batch_size": 32, "lr": 0.1}


def changed(old: str, new: str, **fields: object) -> str:
    text = suite_source("s", RECIPE, **fields)
    assert old in text
    return text.replace(old, new)


CLAIM = '[[claims]]\ntext = "x"\nbetter = ["nonsense"]\n\n[recipe]'
SWEEP = "[sweep]\nlr = [{}]\n\n[recipe]".format(", ".join(f"0.{n:05d}1" for n in range(2000)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (changed("lr = 0.1", "lr = inf"), "recipe.lr"),
        (changed("lr = 0.1", "lr = nan"), "recipe.lr"),
        (changed("lr = 0.1", "lr = 0.1\nweight_decay = inf"), "recipe.weight_decay"),
        (changed("epochs = 1", "epochs = 1000000000000"), "recipe.epochs"),
        (changed("[recipe]", SWEEP), "2,000 recipes"),
        (suite_source("s", RECIPE, datasets=[""]), "datasets"),
        (suite_source("s", RECIPE, techniques=[" "]), "empty name"),
        (suite_source("s", RECIPE, seeds=[]), "seeds"),
        (suite_source("s", RECIPE, seeds=list(range(100_000))), "seeds"),
        (suite_source("s", RECIPE, seeds=list(range(1000)), subset_seeds=list(range(1000))), "1,000,000 pairs of seeds"),
        (suite_source("s", RECIPE, subset_seeds=[1, 1]), "subset_seeds of suite 's' has a duplicate"),
        (suite_source("s", RECIPE, title="a\x1b[31m"), "control characters"),
        (suite_source("a\nb", RECIPE), "name"),
        (suite_source("s", RECIPE, executor="nonsense"), "unknown executor 'nonsense'"),
        (suite_source("s", RECIPE, techniques=["resnet32"]), "'resnet32' is a model"),
        (suite_source("s", RECIPE, techniques=["classification"]), "'classification' is a metric"),
        (changed("[recipe]", CLAIM), "unknown technique 'nonsense'"),
        ("x = " + "[" * 20_000, "too many brackets"),
        ("x = " + "{a=" * 3_000, "too many brackets"),
    ],
    ids=lambda text: text[-40:],
)  # fmt: skip
def test_plan_refuses_a_suite_and_says_why(
    text: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTBENCH_STORE", str(tmp_path / "store"))
    path = tmp_path / "s.toml"
    path.write_text(text)
    with pytest.raises(LtbenchError) as error:
        call("plan", "--suite", path)
    assert expected in str(error.value)


def test_what_is_no_file_or_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for path in (tmp_path / "pipe.toml", Path("/dev/zero"), tmp_path):
        with pytest.raises(SuiteError, match="cannot be read"):
            read_suite(path)
    monkeypatch.setattr(module, "MOST_BYTES", 100)
    (tmp_path / "s.toml").write_text("#" * 101)
    with pytest.raises(SuiteError, match="cannot be read"):
        read_suite(tmp_path / "s.toml")
