"""The functions of `import ltbench` give what the commands give."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from support import call, import_path_env, loss_source

import ltbench
from ltbench.errors import Interrupted, PluginError, UnknownName, UsageError
from ltbench.leaderboard.export import encode_table

LABELS = ("cb_sampler", "tta")


@pytest.fixture
def at(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder in which a suite was run, as the working directory."""
    shutil.copytree(trained, tmp_path / "at")
    monkeypatch.chdir(tmp_path / "at")
    monkeypatch.setenv("LTBENCH_STORE", str(tmp_path / "at/store"))
    monkeypatch.delenv("LTBENCH_PLUGINS", raising=False)
    return tmp_path / "at"


def decoded(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_an_import_brings_neither_numpy_nor_torch_nor_click() -> None:
    code = "import sys, ltbench; dir(ltbench); print([m for m in ('numpy', 'torch', 'pandas', 'click', 'msgspec') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_is_public_is_what_is_listed() -> None:
    assert dir(ltbench) == sorted(ltbench.__all__)
    functions = {
        "plan",
        "run",
        "search",
        "recommend",
        "verify",
        "render",
        "load",
        "compare",
        "techniques",
        "long_tailed",
    }
    assert functions <= set(dir(ltbench))
    assert all(getattr(ltbench, name) is not None for name in dir(ltbench))
    # A package of that name would take the place of the function once it is imported.
    assert all(callable(getattr(ltbench, name)) for name in functions)
    assert not [name for name in dir(ltbench) if [*Path(ltbench.__file__).parent.glob(f"{name}/*.py")]]


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ([], {}),
        (["--seeds", "0", "--cells"], {"seeds": 0, "cells": True}),
        (
            ["--plugins", "mixup[alpha=0.2],ens", "--imbalance-factors", "10,50", "--seeds", "0,3", "--set", "steps=5", "--set", "optimizer=adam"],
            {"techniques": ["mixup[alpha=0.2]", "ens"], "imbalance_factors": [10, 50], "seeds": [0, 3], "recipe": {"steps": 5, "optimizer": "adam"}},
        ),
        (["--all", "--max-techniques", "1"], {"everything": True, "max_techniques": 1}),
        (["--models", "convnet[width=4]", "--held-out", "0.1"], {"models": "convnet[width=4]", "held_out": 0.1}),
    ],
)  # fmt: skip
def test_a_plan_is_that_of_the_command(options: list[str], arguments: dict[str, object], at: Path) -> None:
    found = ltbench.plan("tiny.toml", **arguments)
    assert decoded(found.facts) == json.loads(call("plan", "--suite", "tiny.toml", *options, "--json").stdout)
    assert f"{found}\n" == call("plan", "--suite", "tiny.toml", *options, width=10_000).stdout
    assert "<pre>suite tiny" in found._repr_html_()


def test_a_run_writes_the_bytes_of_the_command(at: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_python, by_command = tmp_path / "python", tmp_path / "command"
    for folder in (by_command, by_python):
        folder.mkdir()
        (folder / "tiny.toml").write_bytes((at / "tiny.toml").read_bytes())
    monkeypatch.chdir(by_python)
    ran = ltbench.run("tiny.toml", techniques=LABELS, executor="inline")
    monkeypatch.chdir(by_command)
    done = call("run", "--suite", "tiny.toml", "--plugins", ",".join(LABELS), "--executor", "inline", "--json")
    monkeypatch.chdir(by_python)
    facts = json.loads(done.stdout)
    assert facts["executed"] == {"features": 0, "fit": 0, "predict": 0, "cell": 0}, "the store has what Python has run"
    files = {path.relative_to(by_python): path.read_bytes() for path in by_python.rglob("*") if path.is_file()}
    assert files == {p.relative_to(by_command): p.read_bytes() for p in by_command.rglob("*") if p.is_file()}
    assert len(files) > 5
    assert set(ran.facts) == set(facts)
    assert ran.facts["cells"] == facts["cells"] == len(ran.records["cell"].unique())
    assert ran.page.read_text().startswith("# ")
    assert {ran.page.parent / name for name in ("README.md", "table.csv")} <= set(ran.leaderboard.files)
    assert "cb_sampler + tta" in str(ran)
    assert "<table>" in ran._repr_html_()


def test_a_search_writes_the_bytes_of_the_command(at: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_python, by_command = tmp_path / "python", tmp_path / "command"
    for folder in (by_python, by_command):
        folder.mkdir()
        (folder / "tiny.toml").write_bytes((at / "tiny.toml").read_bytes())
    monkeypatch.chdir(by_python)
    found = ltbench.search("tiny.toml", budget="6cells", techniques=LABELS, executor="inline")
    monkeypatch.chdir(by_command)
    done = call(
        "search", "tiny.toml", "--budget", "6cells", "--plugins", ",".join(LABELS), "--executor", "inline", "--json"
    )
    monkeypatch.chdir(by_python)
    facts = json.loads(done.stdout)
    assert facts["executed"] == {"features": 0, "fit": 0, "predict": 0, "cell": 0}, "the store has what Python has run"
    files = {path.relative_to(by_python): path.read_bytes() for path in by_python.rglob("*") if path.is_file()}
    assert files == {p.relative_to(by_command): p.read_bytes() for p in by_command.rglob("*") if p.is_file()}
    assert found.facts["cells"] == facts["cells"] > 0
    assert found.page.parent.name.endswith("-search")
    assert "--budget 6cells --plugins cb_sampler,tta" in found.page.read_text()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"on": "train"}, "'train' is not one of 'held_out', 'test'"), ({"budget": 5}, "'5' is no amount such as 10m")],
)
def test_a_search_on_other_images_or_without_a_unit_is_an_error(
    at: Path, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        ltbench.search("tiny.toml", **wrong)


def test_a_search_without_held_out_images_is_an_error(at: Path) -> None:
    with pytest.raises(UsageError, match="nothing to compare rows by"):
        ltbench.search("tiny.toml", held_out=0)


def test_a_verification_is_that_of_the_command(at: Path) -> None:
    words = ["verify", "tiny", "--rerun", "1", "--seed", "3", "--dry", "--executor", "inline"]
    found = ltbench.verify("tiny", rerun=1, seed=3, dry=True, executor="inline")
    printed = json.loads(call(*words, "--json").stdout)
    assert decoded(found.facts) == printed
    assert f"{found}\n" == call(*words, width=10_000).stdout
    assert (found.failed, found.verified) == (False, True)
    assert "<pre>records" in found._repr_html_()
    assert not (at / "leaderboards" / "tiny" / "verified.json").exists()


def test_a_verification_says_what_is_wrong(at: Path, tmp_path: Path) -> None:
    lines = (at / "leaderboards" / "tiny" / "records.jsonl").read_text().splitlines()
    (tmp_path / "records.jsonl").write_text("\n".join([lines[0].replace('"seed":0', '"seed":1'), *lines[1:]]) + "\n")
    found = ltbench.verify(tmp_path / "records.jsonl")
    assert (found.failed, found.verified) == (True, False)
    assert "NOT VERIFIED" in str(found)
    assert repr(found).endswith("failed)")


def test_a_leaderboard_is_that_of_the_command(at: Path) -> None:
    board = ltbench.render("tiny")
    assert str(board) == call("leaderboard", "tiny", width=160).stdout
    on_disk = {path: path.read_text() for path in board.files}
    assert board.files == on_disk
    assert set(board.table["techniques"]) >= set(LABELS)
    html = board._repr_html_()
    assert "<td>cb_sampler</td>" in html.replace(' style="text-align:left"', "")
    assert 'src="data:image/svg+xml;base64,' in html
    assert (
        str(ltbench.render("leaderboards/tiny", metric="macro_f1"))
        == call("leaderboard", "tiny", "--metric", "macro_f1", width=160).stdout
    )


def test_a_table_is_what_is_exported(at: Path) -> None:
    for options, arguments in (([], {}), (["--per-class"], {"per_class": True})):
        exported = call("export", "tiny", *options).stdout
        assert encode_table(ltbench.load("tiny", **arguments), "csv").decode() == exported
    assert set(ltbench.load(at / "store")["cell"]) >= set(ltbench.load("tiny")["cell"])


def test_a_comparison_is_that_of_the_command(at: Path) -> None:
    found = ltbench.compare("tiny", *LABELS)
    assert str(found) == call("compare", "tiny", *LABELS, width=160).stdout
    assert decoded(found.comparison) == json.loads(call("compare", "tiny", *LABELS, "--json").stdout)
    (line,) = found.table.to_dict("records")
    assert line["difference"] == pytest.approx(line["b"] - line["a"])
    assert line["runs"] == 2
    assert "<pre>A  cb_sampler" in found._repr_html_()
    assert ltbench.compare("tiny", "leaderboards/tiny").comparison.same


def test_techniques_are_those_of_the_command(at: Path) -> None:
    for stage in (None, "loss", "method"):
        rows = json.loads(call("list", *([stage] if stage else []), "--json").stdout)
        frame = ltbench.techniques(stage)
        assert [row["technique"] for row in rows] == list(frame["technique"])
        assert decoded(frame["parameters"].tolist()) == [row["parameters"] for row in rows]
    with pytest.raises(UnknownName, match="unknown stage 'los'"):
        ltbench.techniques("los")


def test_plugin_files_are_loaded(at: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(loss_source("mine"))
    assert "mine" in set(ltbench.techniques("loss", plugin_files=tmp_path / "mine.py")["technique"])
    assert ltbench.plan("tiny.toml", techniques="mine", plugin_files=[tmp_path / "mine.py"]).facts["cells"] == 4


def test_techniques_in_the_descriptions_of_functions_exist(registry) -> None:
    texts = [inspect.getdoc(getattr(ltbench, name)) or "" for name in dir(ltbench) if name.islower()]
    named = [text for each in texts for text in re.findall(r"`(\w+\[[^`]*\])`", each)]
    assert named
    assert all(registry.parse(text) for text in named)


@pytest.mark.parametrize(
    "arguments",
    [
        {"techniques": (name for name in LABELS), "seeds": np.arange(2), "imbalance_factors": np.float32(50), "recipe": {"steps": np.int64(3)}},
        {"techniques": pd.Series(LABELS), "seeds": pd.Series([0, 1]), "imbalance_factors": 50, "recipe": {"steps": 3, "nesterov": np.bool_(True)}},
        {"techniques": np.array(LABELS), "seeds": range(2), "imbalance_factors": 50, "recipe": {"steps": 3}, "max_techniques": np.int64(2)},
        {"techniques": LABELS, "seeds": {0, 1}, "imbalance_factors": [50], "recipe": {"steps": 3}, "held_out": np.float64(0), "workers": None},
        {"techniques": "cb_sampler,tta", "seeds": [0, 1], "imbalance_factors": 50, "recipe": {"steps": 3}, "plugins": None, "metric": None},
    ],
)  # fmt: skip
def test_arguments_may_be_of_any_library(arguments: dict[str, object], at: Path) -> None:
    plain = ltbench.plan("tiny.toml", techniques=LABELS, seeds=[0, 1], imbalance_factors=50, recipe={"steps": 3})
    assert ltbench.plan(Path("tiny.toml"), **arguments).facts == plain.facts


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"techniques": [3]}, UsageError, "techniques has 3, which is no technique"),
        ({"techniques": ["mixupp"]}, PluginError, "unknown technique 'mixupp'"),
        ({"seeds": "0,1"}, UsageError, "seeds are '0,1'"),
        ({"seeds": []}, UsageError, r"seeds are \[\]"),
        ({"imbalance_factors": [True]}, UsageError, "imbalance_factors are"),
        ({"recipe": {"epoch": 2}}, UnknownName, "unknown field of the recipe 'epoch'"),
        ({"everything": True, "techniques": "tta"}, UsageError, "cannot be combined"),
        ({"suite": "nowhere"}, UsageError, "unknown suite 'nowhere'"),
        ({"suite": {"name": "x"}}, UsageError, "suite is {'name': 'x'}"),
        ({"techniques": 3}, UsageError, "techniques has 3, which is no technique"),
        ({"seeds": object()}, UsageError, "seeds are <object"),
        ({"recipe": [("steps", 3)]}, UsageError, r"recipe is \[\('steps', 3\)\]"),
        ({"recipe": {"steps": None}}, UsageError, "steps of the recipe is None"),
        ({"recipe": {"steps": object()}}, UsageError, "steps of the recipe is <object"),
        ({"workers": 0}, UsageError, "workers is 0"),
        ({"workers": 1.5}, UsageError, "workers is 1.5"),
        ({"workers": True}, UsageError, "workers is True"),
        ({"per_gpu": 0}, UsageError, "per_gpu is 0"),
        ({"strategy": "alll"}, UsageError, "strategy is 'alll'"),
        ({"max_techniques": -1}, UsageError, "max_techniques is -1"),
        ({"held_out": float("nan")}, UsageError, "held_out"),
        ({"plugin_files": 3}, UsageError, "3 is neither a name nor a path"),
        ({"store": 3}, UsageError, "store is 3"),
        ({"technique": "tta"}, TypeError, "argument 'technique'; did you mean 'techniques'"),
    ],
)
def test_wrong_arguments_are_errors_of_ltbench(arguments: dict, error: type[Exception], says: str, at: Path) -> None:
    for function in (ltbench.plan, ltbench.run):
        with pytest.raises(error, match=says):
            function(**{"suite": "tiny.toml", **arguments})


@pytest.mark.parametrize(
    ("function", "arguments", "says"),
    [
        (ltbench.run, {"timeout": -1}, "timeout is -1"),
        (ltbench.run, {"timeout": float("nan")}, "timeout is nan"),
        (ltbench.run, {"memory": True}, "memory is True"),
        (ltbench.run, {"memory": 0}, "memory is 0"),
        (ltbench.run, {"retries": -1}, "retries is -1"),
        (ltbench.run, {"budget": 10}, "budget is 10"),
        (ltbench.run, {"observe": 3}, "3 is neither a name nor a path"),
        (ltbench.run, {"name": "../x"}, "'../x' is not a valid name of a page"),
        (ltbench.search, {"on": "heldout"}, "on is 'heldout'"),
        (ltbench.recommend, {"photos": None}, "photos is None"),
        (ltbench.recommend, {"photos": ".", "folds": 1}, "folds is 1"),
        (ltbench.recommend, {"photos": ".", "budget": 10}, "budget is 10"),
        (ltbench.recommend, {"photos": ".", "test": "nowhere"}, "test is 'nowhere'"),
        (ltbench.verify, {"records": "tiny", "rerun": 1.5}, "rerun is 1.5"),
        (ltbench.verify, {"records": "tiny", "tolerance": -1}, "tolerance is -1"),
        (ltbench.verify, {"records": "tiny", "seed": "a"}, "seed is 'a'"),
        (ltbench.load, {"records": ["tiny"]}, r"records is \['tiny'\]"),
        (ltbench.render, {"page": None}, "page is None"),
        (ltbench.compare, {"records": "tiny", "first": "baseline", "second": 3}, "second is 3"),
        (ltbench.techniques, {"stage": ["loss"]}, r"stage is \['loss'\]"),
    ],
)  # fmt: skip
def test_arguments_are_checked_as_options_of_the_command_are(function, arguments: dict, says: str, at: Path) -> None:
    with pytest.raises(UsageError, match=says):
        function(**arguments)


class Scaled(ltbench.Posthoc):
    """Multiplies."""

    name = "scaled"
    factor = 1.0

    def adjust(self, logits, counts):
        return logits * self.factor


def test_a_class_without_a_name_or_changed_after_its_definition_is_refused(
    at: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    suite = at / "tiny.toml"

    class Nameless(ltbench.Posthoc):
        """No name."""

        def adjust(self, logits, counts):
            return logits

    with pytest.raises(UsageError, match="techniques has the class Nameless, which has no name"):
        ltbench.plan(suite, techniques=Nameless)
    assert ltbench.plan(suite, techniques=Scaled).facts
    monkeypatch.setattr(Scaled, "factor", 2.0)
    with pytest.raises(UsageError, match="'factor' of Scaled is not as its source says"):
        ltbench.plan(suite, techniques=Scaled)


def test_a_budget_is_an_amount(at: Path) -> None:
    with pytest.raises(UsageError, match="'soon' is no amount such as 10m"):
        ltbench.run("tiny.toml", budget="soon")


def test_an_interrupted_run_raises(at: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ltbench.running import runner

    def stopped(*args: object, **kwargs: object) -> None:
        raise Interrupted("stopped")

    monkeypatch.setattr(runner, "run", stopped)
    with pytest.raises(Interrupted, match="stopped"):
        ltbench.run("tiny.toml", techniques="mixup", executor="inline", leaderboards=tmp_path)


SCRIPT = """
import ltbench
from ltbench import Loss

class Mine(Loss):
    '''Cross-entropy. Source: none.'''
    name = "mine"
    factor: float = 1.0

    def per_sample(self, logits, labels, counts):
        return -self.factor * logits.log_softmax(1).gather(1, labels[:, None])[:, 0]

print("begin", __name__)
ran = ltbench.run("tiny.toml", techniques=[Mine, Mine(factor=0.5), "tta"], seeds=0, strategy="each", workers=2, leaderboards="boards")
print("end", ran.facts["done"], ran.facts["failed"])
"""


@pytest.mark.slow
def test_a_script_without_a_guard_runs_once_and_its_technique_in_workers(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    (tmp_path / "tiny.toml").write_bytes((trained / "tiny.toml").read_bytes())
    env = os.environ | import_path_env() | {"LTBENCH_STORE": str(tmp_path / "store")}
    shutil.copytree(trained / "store", tmp_path / "store")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "begin __main__\nend 4 []\n"
    (page,) = (tmp_path / "boards" / "local").glob("*/README.md")
    (source,) = (tmp_path / "boards" / "local" / "_sources").rglob("mine.py")
    assert f"--plugin-file {source.relative_to(tmp_path)}" in page.read_text()
    made = [json.loads(line) for line in (page.parent / "records.jsonl").read_text().splitlines()]
    (of_mine, *_) = [each for record in made for each in record["plugins"] if each["name"] == "mine"]
    assert of_mine["distribution"] == "file:mine"
    assert of_mine["source"].startswith("code:")
