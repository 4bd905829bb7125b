"""What `ltbench new` writes works as it is: its own tests pass, and a run with it ends in a leaderboard."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import (
    OWN_TESTS,
    VirtualEnvironment,
    call,
    import_path_env,
    install_package,
    ltbench,
    records_of,
    run_own_tests,
    suite_source,
)

from ltbench.core.plugins import PluginOrigin
from ltbench.hookspecs import API_VERSION
from ltbench.registry.registry import Registry
from ltbench.scaffold.names import check_name, taken
from ltbench.scaffold.package import KINDS, NO_COMBINATION, Package, Part, write
from ltbench.stages import STAGES

ROOT = Path(__file__).parents[2]
# Names unlike those of the templates, so that one that is not replaced is noticed.
NAMES = {kind: f"quite_another_{kind}" for kind in KINDS}
SHORT = {"steps": 4, "batch_size": 16, "lr": 0.1, "precision": "fp32"}
BUILT_IN = {"dataset": "fashion_mini", "profile": "exp", "model": "convnet[width=4]"}


def generate(folder: Path, *kinds: str, name: str = "another") -> Path:
    """Write a package with something new of each kind."""
    package = Package(
        distribution=f"ltbench-{name}",
        module=f"ltbench_{name}",
        parts=tuple(Part(kind, NAMES[kind]) for kind in kinds),
        author="A. Uthor",
        year=2025,
    )
    write(package.files(), folder / package.distribution)
    return folder / package.distribution


def run(folder: Path, kinds: list[str], env: dict[str, str] | None = None) -> list[dict]:
    """Run a tiny suite with everything new, in a fresh process if an environment is given; return the records."""
    new = {kind: NAMES[kind] for kind in kinds}
    combinations = [[name] for kind, name in new.items() if kind in STAGES and STAGES[kind].role == "technique"]
    if {"regime", "mix", "dataset"} <= set(kinds):
        # The new data set has no augmentation of its own, so there is nothing but a mix to switch off.
        combinations[combinations.index([new["regime"]])].append(new["mix"])
    if {"branches", "model"} <= set(kinds):
        combinations.remove([new["branches"]])  # the new model does not name its blocks, so it is left out
    lists = {f"{stage}s": [new.get(stage, name)] for stage, name in BUILT_IN.items()}
    executor = f"{new['executor']}[pause=0]" if "executor" in kinds else "inline"
    fields = lists | {"imbalance_factors": [20], "combinations": combinations, "executor": executor, "figures": []}
    (folder / "tiny.toml").write_text(suite_source("tiny", SHORT, **fields))
    at = ["--store", str(folder / "store"), "--leaderboards", str(folder / "leaderboards")]
    words = ["run", "--suite", str(folder / "tiny.toml"), *at]
    seen = folder / "seen.txt"
    words += ["--observe", f"{new['observer']}[file={seen}]"] if "observer" in kinds else []
    if env is None:
        assert call(*words).return_value == 0
    else:
        done = ltbench(*words, env=env, cwd=folder)
        assert done.returncode == 0, done.stderr
    assert seen.is_file() == ("observer" in kinds)
    page = (folder / "leaderboards" / "local" / "tiny" / "README.md").read_text()
    assert all(name in page for names in combinations for name in names)
    records = records_of(folder / "leaderboards" / "local" / "tiny")
    assert len(records) == 1 + len(combinations)
    assert all(record["status"] == "ok" for record in records)
    return records


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A package with something new of every kind, and the environment in which it is installed."""
    folder = tmp_path_factory.mktemp("everything")
    package = generate(folder, *KINDS)
    return package, import_path_env(*install_package(package, folder / "site"))


def test_there_is_something_new_for_every_stage() -> None:
    assert set(KINDS) == {*STAGES, "method", "suite", "executor", "observer"}
    assert set(NO_COMBINATION) == {"metric", "suite", "executor", "observer"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_works_as_a_plugin_file_before_there_is_a_package(kind: str, tmp_path: Path) -> None:
    package = generate(tmp_path, kind)
    registry = Registry.load(
        PluginOrigin(plugin_files=(str(package / "src" / "ltbench_another" / f"{NAMES[kind]}.py"),))
    )
    offered = taken(registry)
    assert offered[NAMES[kind]].startswith(f"file:{NAMES[kind]} ")
    if kind in STAGES:
        technique = registry.parse(NAMES[kind], kind)
        assert len(technique.__struct_fields__) == 1
        assert "\n\n    Source: FILL IN (" in (type(technique).__doc__ or "")


def test_templates_are_written_for_the_hooks_of_today(tmp_path: Path) -> None:
    modules = sorted((generate(tmp_path, *KINDS) / "src" / "ltbench_another").glob("quite_*.py"))
    assert len(modules) == len(KINDS)
    stated = [re.findall(r"^LTBENCH_API = (\d+)", module.read_text(), re.MULTILINE) for module in modules]
    assert stated == [[str(API_VERSION)]] * len(KINDS)


def test_no_name_of_a_template_is_left(tmp_path: Path) -> None:
    package = generate(tmp_path, *KINDS)
    texts = {path: path.read_text() for path in package.rglob("*") if path.is_file()}
    assert {found for text in texts.values() for found in re.findall(r"\b[Mm]y_?[A-Za-z]\w*|\$\w+", text)} == set()
    assert "python-version: ${{ matrix.python }}" in texts[package / ".github" / "workflows" / "test.yml"]


def test_the_names_of_the_templates_can_be_taken(registry: Registry) -> None:
    for kind in KINDS:
        check_name(f"my_{kind}", kind, taken(registry))


def test_what_is_generated_is_lint_clean(tmp_path: Path) -> None:
    package = generate(tmp_path, *KINDS)
    config = ["--config", str(ROOT / "pyproject.toml"), "--config", 'src=["src"]', "--no-cache"]
    for check in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *check, *config, "."],
            cwd=package,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_tests_of_every_stage_pass(everything: tuple[Path, dict[str, str]]) -> None:
    package, env = everything
    done = run_own_tests(package, env=env)
    assert done.returncode == 0, done.stdout
    assert all(f"test_{name}.py" in done.stdout for name in NAMES.values())


def test_a_run_with_something_new_of_every_stage_ends_in_a_leaderboard(
    everything: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    records = run(tmp_path, list(KINDS), everything[1])
    assert all(0 <= record["metrics"][NAMES["metric"]] <= 1 for record in records)
    versions = {(made["name"], made["distribution"], made["version"]) for r in records for made in r["plugins"]}
    assert {(NAMES[kind], "ltbench-another", "0.1.0") for kind in STAGES if kind != "branches"} <= versions


@pytest.mark.slow
def test_packages_of_one_stage_pass_their_tests(tmp_path: Path) -> None:
    """In one process, as each would import torch; a package that is alone is installed by pip below."""
    packages = [generate(tmp_path, kind, name=f"new_{kind}") for kind in KINDS]
    places = [place for package in packages for place in install_package(package, tmp_path / "site" / package.name)]
    done = run_own_tests(*packages, env=import_path_env(*places))
    assert done.returncode == 0, done.stdout
    assert all(f"test_{name}.py" in done.stdout for name in NAMES.values())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_with_a_package_of_one_stage_ends_in_a_leaderboard(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in install_package(generate(tmp_path, kind, name=f"new_{kind}"), tmp_path / "site"):
        monkeypatch.syspath_prepend(place)
    monkeypatch.chdir(tmp_path)
    run(tmp_path, [kind])


@pytest.mark.slow
@pytest.mark.parametrize("editable", [True, False])
def test_a_package_that_pip_installs_passes_its_tests_and_is_found(editable: bool, tmp_path: Path) -> None:
    package = generate(tmp_path, "loss", "suite")
    env = VirtualEnvironment(tmp_path / "venv")
    env.install(package, editable=editable)
    env.run(*OWN_TESTS, str(package))
    found = json.loads(env.run("-m", "ltbench", "list", "loss", "--json").stdout)
    assert [f"{r['plugin']} {r['version']}" for r in found if r["technique"] == NAMES["loss"]] == [
        "ltbench-another 0.1.0"
    ]
    assert f'name = "{NAMES["suite"]}"' in env.run("-m", "ltbench", "show", NAMES["suite"]).stdout
