"""The example packages, installed as a third party's would be."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from support import OWN_TESTS, VirtualEnvironment, import_path_env, install_package, ltbench, records_of, run_own_tests

from ltbench.registry.registry import Registry

EXAMPLES = Path(__file__).parents[1] / "examples"
PACKAGES = sorted(path.parent for path in EXAMPLES.glob("*/pyproject.toml"))


def projects() -> list[dict]:
    return [tomllib.loads((package / "pyproject.toml").read_text())["project"] for package in PACKAGES]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders from which all of them are imported."""
    site = tmp_path_factory.mktemp("site")
    return [folder for package in PACKAGES for folder in install_package(package, site)]


def test_they_cover_what_is_published_most(installed: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in installed:
        monkeypatch.syspath_prepend(str(folder))
    registry = Registry.load()
    assert not registry.broken
    ours = [entry for entry in registry.entries.values() if entry.distribution.startswith("ltbench-")]
    assert {entry.technique.stage for entry in ours} == {"loss", "dataset", "regime", "ensemble", "metric"}
    assert "shapes_lt" in registry.suites
    assert not any(loaded.notes for loaded in registry.loaded)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_each_example_is_complete_and_names_its_sources(package: Path) -> None:
    for name in ("README.md", "LICENSE", ".gitignore", ".github/workflows/test.yml"):
        assert (package / name).is_file()
    texts = [path.read_text() for path in package.rglob("*") if path.suffix in {".py", ".toml", ".md"}]
    assert not any("FILL IN" in text for text in texts)
    modules = sorted(path.stem for path in (package / "src").rglob("[a-z]*.py"))
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert sorted(project["entry-points"]["ltbench"]) == modules
    assert sorted(path.stem for path in (package / "tests").glob("*.py")) == [f"test_{name}" for name in modules]


def test_their_own_tests_pass(installed: list[Path]) -> None:
    done = run_own_tests(EXAMPLES, env=import_path_env(*installed))
    assert done.returncode == 0, done.stdout


def test_the_suite_of_one_takes_techniques_of_the_others(installed: list[Path], tmp_path: Path) -> None:
    at = ["--store", str(tmp_path / "store"), "--leaderboards", str(tmp_path / "boards")]
    plugins = ["--plugins", "gce,cb_sampler,late_sampler,log_pool[size=2]", "--strategy", "cumulative"]
    short = ["--seeds", "0", "--set", "steps=10", "--executor", "inline"]
    done = ltbench("run", "--suite", "shapes_lt", *plugins, *short, *at, env=import_path_env(*installed), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "boards" / "local").glob("shapes_lt-*")
    records = records_of(folder)
    assert len(records) == 5
    assert all(0 <= record["metrics"]["gmean"] <= record["metrics"]["top1"] for record in records)
    makers = {made["distribution"] for record in records for made in record["plugins"]}
    assert makers == {"ltbench", *(project["name"] for project in projects())}
    page = (folder / "README.md").read_text()
    assert "log_pool" in page
    assert any("worst |" in line and line.endswith("G-mean |") for line in page.splitlines())


def test_a_regime_that_defers_nothing_is_left_out_with_the_reason(installed: list[Path], tmp_path: Path) -> None:
    asked = ["--suite", "shapes_lt", "--plugins", "late_sampler", "--store", str(tmp_path)]
    done = ltbench("plan", *asked, env=import_path_env(*installed), cwd=tmp_path)
    assert "late_sampler needs a technique of stage sampler: there is nothing to defer without a sampler" in done.stdout


@pytest.mark.slow
def test_installed_by_pip_they_pass_their_tests_and_the_suite_runs_to_a_leaderboard(tmp_path: Path) -> None:
    env = VirtualEnvironment(tmp_path / "venv")
    env.install(*PACKAGES)
    for package in PACKAGES:
        env.run(*OWN_TESTS, str(package))
    found = json.loads(env.run("-m", "ltbench", "plugins", "--json").stdout)
    assert {project["name"] for project in projects()} <= {one["distribution"] for one in found["plugins"]}
    at = ["--store", str(tmp_path / "store"), "--leaderboards", str(tmp_path / "boards")]
    env.run("-m", "ltbench", "run", "--suite", "shapes_lt", *at, cwd=tmp_path)
    scores = [record["metrics"]["top1"] for record in records_of(tmp_path / "boards" / "local" / "shapes_lt")]
    assert len(scores) == 8
    assert min(scores) > 1.5 / 6, "a network has learnt next to nothing"
