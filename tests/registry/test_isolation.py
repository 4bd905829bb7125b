"""Plugins that misbehave, clash, or are switched off: nothing else is touched, and it is said what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support import import_path_env, install, loss_source, ltbench, suite_source

from ltbench.cli import group
from ltbench.cli.options import VARIABLE
from ltbench.core.spec import Job
from ltbench.errors import PluginError, SuiteError
from ltbench.executors.version_check import versions
from ltbench.registry.discovery import PluginSelection
from ltbench.registry.registry import Registry
from ltbench.registry.requirements import check_required, pins
from ltbench.suite.suite import find_suite

Install = Callable[..., Registry]


def call(*args: object) -> Result:
    return CliRunner().invoke(group, list(map(str, args)), standalone_mode=False)


def write_suite(folder: Path, requirement: str) -> None:
    (folder / "needy.toml").write_text(suite_source("needy", {"epochs": 1}, required_plugins=[requirement], seeds=[0]))


def techniques(*args: object) -> set[str]:
    done = call("list", "loss", "--json", *args)
    assert done.exception is None, done.exception
    return {row["technique"] for row in json.loads(done.stdout)}


# --- a plugin that misbehaves --------------------------------------------------------------------------------------


def test_a_plugin_that_ends_the_process_is_off(third_party: Install) -> None:
    registry = third_party("bad-pkg", "1", bad="raise SystemExit(3)", good=loss_source("good_loss"))
    assert [broken.error for broken in registry.broken] == ["SystemExit: 3"]
    assert "good_loss" in registry.entries


def test_output_of_a_plugin_goes_to_stderr(tmp_path: Path) -> None:
    folder = install(tmp_path, "loud-pkg", "1", {"loud": "print('HELLO')\n" + loss_source("loud_loss")})
    done = ltbench("list", "loss", "--json", env=import_path_env(folder))
    assert "loud_loss" in {row["technique"] for row in json.loads(done.stdout)}
    assert "HELLO" in done.stderr


def test_a_plugin_with_a_duplicate_name_is_off(third_party: Install) -> None:
    registry = third_party("bad-pkg", "1", bad=loss_source("twin").replace("[Mine]", "[Mine, Mine]"))
    assert [broken.error for broken in registry.broken] == ["it provides two techniques named 'twin'"]


@pytest.mark.parametrize(("hook", "base"), [("observer", "ObserverOffer"), ("executor", "ExecutorOffer")])
def test_a_plugin_with_two_offers_of_one_name_is_off(hook: str, base: str, third_party: Install) -> None:
    source = f"""
from ltbench import {base}, hookimpl

class First({base}):
    name = "twin"

class Second({base}):
    name = "twin"

@hookimpl
def ltbench_{hook}s():
    return [First, Second]
"""
    registry = third_party("bad-pkg", "1", bad=source)
    assert [broken.error for broken in registry.broken] == [f"it provides two {hook}s named 'twin'"]


def test_a_check_of_parameters_that_changes_the_process_is_an_error(third_party: Install) -> None:
    import torch

    check = """    def check(self):
        if self.x == 2:
            import torch
            torch.set_default_dtype(torch.float64)
"""
    source = loss_source("changes_all").replace("    name =", "    x: int = 1\n    name =", 1)
    registry = third_party("bad-pkg", "1", bad=source.replace("    def ", check + "    def ", 1))
    assert registry.parse("changes_all[x=3]").label == "changes_all[x=3]"
    with pytest.raises(PluginError, match="loss 'changes_all' of bad-pkg 1 changes torch's default dtype from"):
        registry.parse("changes_all[x=2]")
    assert torch.get_default_dtype() == torch.float32


def test_a_suite_cannot_take_the_name_of_a_built_in_one(third_party: Install, tmp_path: Path) -> None:
    (tmp_path / "quick.toml").write_text("")
    source = (
        f"from ltbench import hookimpl\n@hookimpl\ndef ltbench_suites():\n    return [{str(tmp_path / 'quick.toml')!r}]"
    )
    registry = third_party("bad-pkg", "1", bad=source)
    assert "its suite 'quick' has the same name as a built-in" in registry.broken[0].error
    assert find_suite("quick", registry).title


def test_a_slow_plugin_is_reported_with_its_time(tmp_path: Path) -> None:
    source = "import time; time.sleep(0.5)\n" + loss_source("slow_loss")
    env = import_path_env(install(tmp_path, "slow-pkg", "1", {"slow": source}))
    rows = json.loads(ltbench("plugins", "--times", "--json", env=env).stdout)["plugins"]
    (slow,) = [row for row in rows if row["plugin"] == "slow"]
    assert slow["slow"]
    assert slow["milliseconds"] > 500
    times = [row["milliseconds"] for row in rows]
    assert times == sorted(times, reverse=True)
    assert "slow: import heavy modules where they are used" in ltbench("plugins", "--times", env=env).stdout
    assert "slow-pkg: it takes" in ltbench("doctor", env=env).stdout


# --- clashes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def clash(third_party: Install) -> Registry:
    third_party("one-pkg", "1.5", one=loss_source("same"))
    return third_party("two-pkg", "2.5", two=loss_source("same"), more=loss_source("other_loss"))


def test_a_clashing_name_is_off_and_other_techniques_are_on(clash: Registry) -> None:
    assert "same" not in clash.entries
    assert "same" not in clash.of("loss")
    assert "other_loss" in clash.entries
    with pytest.raises(
        PluginError, match=r"provided by one-pkg 1\.5 and two-pkg 2\.5, so the name is ambiguous"
    ) as caught:
        clash.parse("same")
    assert caught.value.fix == "write one-pkg/same or two-pkg/same, or leave one out with -p no:two"
    assert caught.value.exit_code == 4


def test_a_clashing_name_is_on_once_it_is_written_with_its_distribution(clash: Registry) -> None:
    one, two = clash.parse_all("one-pkg/same,two-pkg/same")
    assert [t.label for t in (one, two)] == ["one-pkg/same", "two-pkg/same"]
    assert clash.spec(two) == {"name": "same", "distribution": "two-pkg", "revision": 1, "params": {}}
    assert clash.build(clash.spec(two)) == two
    assert clash.provenance(one)["version"] == "1.5"
    with pytest.raises(PluginError):
        clash.parse("three-pkg/same")


def test_identity_does_not_depend_on_whether_a_name_clashes(third_party: Install) -> None:
    registry = third_party("one-pkg", "1.5", one=loss_source("same"))
    alone = registry.spec(registry.parse("same"))
    assert registry.parse("one-pkg/same").label == "same"
    registry = third_party("two-pkg", "2.5", two=loss_source("same"))
    assert registry.spec(registry.parse("one-pkg/same")) == alone


def test_both_techniques_of_a_clash_can_be_planned(clash: Registry, tmp_path: Path) -> None:
    options = ["--imbalance-factors", "10", "--seeds", "0", "--store", tmp_path, "--cells"]
    done = call("plan", "--plugins", "one-pkg/same,two-pkg/same", *options)
    assert done.exception is None, done.exception
    lines = {line.rpartition("  ")[2] for line in done.stdout.splitlines()}
    assert lines >= {"baseline", "one-pkg/same", "two-pkg/same"}


def test_both_techniques_of_a_clash_are_run_kept_and_verified(clash: Registry, tmp_path: Path) -> None:
    suite = suite_source(
        "clashing", {"steps": 2, "batch_size": 16}, models=["convnet[width=4]"], seeds=[0],
        techniques=["one-pkg/same", "two-pkg/same"],
    )  # fmt: skip
    (tmp_path / "clashing.toml").write_text(suite)
    places = ["--store", tmp_path / "store", "--leaderboards", tmp_path / "boards"]
    words = ["run", "--suite", tmp_path / "clashing.toml", "--executor", "inline", *places]
    first = call(*words)
    assert first.exception is None, first.exception
    assert "damaged" not in first.stderr
    again = call(*words)
    assert "3 cells, 3 of them done" in again.stderr
    assert "made by other versions" not in again.stderr
    assert call("verify", tmp_path / "boards" / "local" / "clashing").return_value == 0


def test_workers_compare_the_versions_of_both_techniques_of_a_clash(clash: Registry) -> None:
    specs = [clash.spec(clash.parse(name)) for name in ("one-pkg/same", "two-pkg/same")]
    found = versions([Job(key="fit", kind="fit", spec={"segments": specs}, parents=())], clash)
    assert [found[name][0] for name in ("one-pkg/same", "two-pkg/same")] == ["one-pkg", "two-pkg"]


def test_a_clash_ends_when_one_plugin_is_off(clash: Registry) -> None:
    assert "same" in Registry.load(PluginSelection(words=("no:two",)).origin()).entries
    assert "same" in techniques("-p", "no:one-pkg")


def test_every_command_warns_of_a_clash_and_doctor_suggests_a_fix(clash: Registry) -> None:
    assert "warning: technique 'same' is disabled: one-pkg and two-pkg both provide it" in call("list").stderr
    done = call("doctor")
    assert "wrong  technique same: is disabled because both one-pkg 1.5 and two-pkg 2.5 provide it" in done.stdout
    assert "try: write one-pkg/same or two-pkg/same, or leave one out with -p no:two" in done.stdout
    assert "same (disabled: several plugins provide it)" in call("plugins").stdout


# --- which are on --------------------------------------------------------------------------------------------------


def test_no_plugins_leaves_built_in_and_named_ones(third_party: Install) -> None:
    third_party("one-pkg", "1", one=loss_source("one_loss"), two=loss_source("two_loss"))
    assert {"one_loss", "two_loss", "focal"} <= techniques()
    assert techniques("--no-plugins").isdisjoint({"one_loss", "two_loss"})
    assert {"two_loss", "focal"} <= techniques("--no-plugins", "-p", "two") - {"one_loss"}
    assert {"one_loss", "two_loss"} <= techniques("--no-plugins", "-p", "one-pkg")
    assert "one_loss" not in techniques("-p", "no:one")


def test_a_module_and_a_file_are_loaded_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lying_about.py").write_text(loss_source("lying_loss"))
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry.load(PluginSelection(words=("lying_about",)).origin())
    assert registry.provenance(registry.parse("lying_loss"))["distribution"] == "module:lying_about"
    assert "lying_loss" in Registry.load(registry.origin).entries
    assert "lying_loss" in techniques("--no-plugins", "-p", tmp_path / "lying_about.py")


def test_the_environment_asks_for_plugins_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(loss_source("mine_loss"))
    monkeypatch.setenv(VARIABLE, f"{tmp_path / 'mine.py'}, no:focal")
    assert "mine_loss" in techniques()
    assert "focal" not in techniques()


@pytest.mark.parametrize("word", ["no:focl", "focl", "no:", "nowhere/focl.py"])
def test_an_unknown_plugin_is_an_error_with_the_nearest_name(word: str) -> None:
    done = call("list", "-p", word)
    assert isinstance(done.exception, PluginError)
    assert done.exception.exit_code == 4
    if word.endswith("focl"):
        assert done.exception.fix == "did you mean focal?"


# --- versions ------------------------------------------------------------------------------------------------------


def test_requirements_are_what_pip_reads(third_party: Install, tmp_path: Path) -> None:
    third_party("one-pkg", "1.5", one=loss_source("one_loss"))
    (tmp_path / "mine.py").write_text(loss_source("mine_loss"))
    lines = call("plugins", "--requirements", "--plugin-file", tmp_path / "mine.py").stdout.splitlines()
    assert lines[0].startswith("ltbench==")
    assert lines[1] == "one-pkg==1.5"
    assert lines[2].startswith("# file:mine ")
    assert pins(Registry.load(PluginSelection(words=("no:one",)).origin()))[1:] == []


@pytest.mark.parametrize(
    ("requirement", "says", "fix"),
    [
        ("none-pkg", "requires none-pkg, which is not installed", "pip install 'none-pkg'"),
        ("one-pkg>=2", "requires one-pkg>=2, but one-pkg 1.5 is installed", "pip install 'one-pkg>=2'"),
        ("bad-pkg", "requires bad-pkg", "ltbench doctor"),
    ],
)
def test_a_missing_requirement_of_a_suite_is_an_error(
    requirement: str, says: str, fix: str, third_party: Install, tmp_path: Path
) -> None:
    third_party("one-pkg", "1.5", one=loss_source("one_loss"))
    third_party("bad-pkg", "1", bad="raise ValueError('no luck')")
    write_suite(tmp_path, requirement)
    done = call("plan", "--suite", tmp_path / "needy.toml", "--store", tmp_path / "store")
    assert isinstance(done.exception, PluginError)
    assert says in done.exception.what
    assert done.exception.fix == fix
    assert done.exception.exit_code == 4


def test_a_suite_with_met_requirements_is_planned(third_party: Install, tmp_path: Path) -> None:
    registry = third_party("one-pkg", "1.5", one=loss_source("one_loss"))
    check_required(["one-pkg>=1.2,<2", "ltbench>=0.1"], "it", registry)
    with pytest.raises(PluginError, match="whose plugins are disabled"):
        check_required(["one-pkg"], "it", Registry.load(PluginSelection(words=("no:one",)).origin()))
    write_suite(tmp_path, "one-pkg>=1.2")
    done = call("plan", "--suite", tmp_path / "needy.toml", "--store", tmp_path / "store")
    assert done.exception is None, done.exception


def test_an_invalid_requirement_is_an_error(tmp_path: Path, registry: Registry) -> None:
    write_suite(tmp_path, "one pkg >> 2")
    with pytest.raises(SuiteError, match="cannot parse the required plugin 'one pkg >> 2'"):
        find_suite(tmp_path / "needy.toml", registry)
