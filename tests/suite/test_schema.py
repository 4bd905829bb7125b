"""The reference of suite files, and the JSON schema for editors, are those of the code."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import import_path_env

from ltbench.errors import LtbenchError
from ltbench.suite.schema import TABLES, json_schema, key_meanings, key_table, schema_text
from ltbench.suite.suite import read_suite

ROOT = Path(__file__).parents[2]
SUITES = sorted(ROOT.glob("plugins/ltbench_plugins/suites/*.toml"))
GOOD = """
schema = 1
name = "mine"
title = "Mine"
question = "Which?"
datasets = ["cifar10"]
imbalance_factors = [10]
models = ["convnet"]
figures = ["bars", "bags[threshold=120]"]
subset_seeds = "seed"

[recipe]
epochs = 10

[sweep]
lr = [0.01, 0.1]
steps = [5, 6]

[[claims]]
text = "A beats B"
better = ["mixup"]
recipe = { batch_size = 32 }
"""


def test_generated_files_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "write_suite_schema.py", "--check"],
        env=import_path_env(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("table", TABLES)
def test_every_key_is_listed_with_its_meaning(table: str) -> None:
    kind = TABLES[table]
    assert set(key_meanings(kind)) == set(kind.__struct_fields__)
    lines = key_table(table)
    assert len(lines) == 2 + len(kind.__struct_fields__)
    assert all(line.count(" | ") == 3 for line in lines[2:])


def test_a_line_of_the_table_worked_by_hand() -> None:
    assert "| `batch_size` | int >= 2 and <= 10000000 | `128` | Images per optimiser step. |" in key_table("recipe")


def test_the_module_prints_the_schema() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ltbench.suite.schema"],
        env=import_path_env(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == schema_text()


@pytest.fixture(scope="module")
def accepts() -> Callable[[str], bool]:
    """Whether a file follows the JSON schema, as an editor judges it."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft7Validator.check_schema(json_schema())
    validator: Any = jsonschema.Draft7Validator(json_schema())
    return lambda text: bool(validator.is_valid(tomllib.loads(text)))


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_an_editor_accepts_every_suite(path: Path, accepts: Callable[[str], bool]) -> None:
    assert accepts(path.read_text())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("schema = 1", "schema = 2"),
        ("epochs = 10", "epochs = 0"),
        ("epochs = 10", "epochs = 10\nsteps = 10"),
        ("epochs = 10", "batch_size = 10"),
        ("epochs = 10", "epochs = 10\nlearning_rate = 0.1"),
        ("epochs = 10", 'epochs = 10\noptimizer = "lion"'),
        ("imbalance_factors", "imbalance_factor"),
        ("lr = [0.01, 0.1]", "lr = 0.01"),
        ("lr = [0.01, 0.1]", "rate = [0.01]"),
        ("lr = [0.01, 0.1]", "lr = [-0.01]"),
        ('"bars"', '"bar"'),
        ("[threshold=120]", ""),
        ("[threshold=120]", "[threshold=0]"),
        ('name = "mine"', 'name = "Mine!"'),
        ("batch_size = 32", "batch = 32"),
        ('datasets = ["cifar10"]', "datasets = []"),
        ('datasets = ["cifar10"]', 'datasets = "cifar10"'),
        ('better = ["mixup"]', ""),
        ('subset_seeds = "seed"', 'subset_seeds = "seeds"'),
    ],
)
def test_an_editor_and_a_run_judge_alike(old: str, new: str, accepts: Callable[[str], bool], tmp_path: Path) -> None:
    text = GOOD.replace(old, new) if old else GOOD
    assert old in GOOD
    (tmp_path / "mine.toml").write_text(text)
    try:
        read_suite(tmp_path / "mine.toml")
        read = True
    except LtbenchError:
        read = False
    assert accepts(text) == read == (not old)
