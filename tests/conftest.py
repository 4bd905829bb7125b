"""Fixtures for every test."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
# Of the terminal or of the workers of pytest-xdist; commands wrap their tables at it, in a pipe too.
os.environ.pop("COLUMNS", None)
# Defaults of whoever runs the tests are none of theirs.
os.environ["LTBENCH_CONFIG"] = os.devnull
if "PYTEST_XDIST_WORKER" in os.environ:
    # The other test workers use the remaining cores. torch and BLAS read this on import.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests start hundreds of processes, each of which would compile every module that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have one worker run all tests that share a fixture of their module or folder, or each would make its own."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        found = item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
        shared = [fixture[-1].baseid for fixture in found if fixture[-1].scope != "function"]
        below = [place for place in shared if "/" in place]  # others are of this file or of plugins
        if below and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(min(below, key=len)))


@pytest.fixture(scope="session")
def registry():
    from ltbench.registry.registry import Registry

    return Registry.load()


@pytest.fixture
def store(tmp_path: Path):
    from ltbench.store.store import Store

    return Store(tmp_path / "store")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The context of fake jobs, with a store in which the records of fake cells are accepted."""
    from fakes import accept_fake_records, context

    accept_fake_records(monkeypatch)
    return context(tmp_path / "store")


@pytest.fixture
def interrupts():
    """Handle an interrupt as Python does; a shell without job control starts commands with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory) -> Path:
    from support import call, suite_source

    folder = tmp_path_factory.mktemp("trained")
    tiny = suite_source(
        "tiny", {"steps": 20, "batch_size": 16, "lr": 0.1, "precision": "fp32"}, imbalance_factors=[100], seeds=[0, 1],
        models=["convnet[width=4]"], figures=["bars"],
        combinations=[["cb_sampler"], ["tta"], ["drw", "ens"], ["decoupling"], ["bagging[threshold=300]"]],
    )  # fmt: skip
    (folder / "tiny.toml").write_text(tiny)
    at = [f"--{option}={folder / name}" for option, name in (("store", "store"), ("leaderboards", "leaderboards"))]
    assert call("run", "--suite", folder / "tiny.toml", "--executor", "inline", "--publish", *at).return_value == 0
    return folder


@pytest.fixture
def trained(trained_once: Path):
    """A folder in which a suite was run: `leaderboards/tiny`, and its store. All tests share it: no one may write into it."""

    def content() -> set[Path]:
        return {path for name in ("store/records", "leaderboards") for path in (trained_once / name).rglob("*")}

    before = content()
    yield trained_once
    assert content() == before, "this test wrote into the folder that all tests share"


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that installs a distribution whose modules are plugins and returns a new registry."""
    import importlib

    from support import install

    from ltbench.registry.registry import Registry

    def install_plugins(distribution: str, version: str, **modules: str) -> Registry:
        folder = install(tmp_path / distribution, distribution, version, modules)
        monkeypatch.syspath_prepend(str(folder))
        for name in modules:  # an earlier test may have imported a module of that name
            monkeypatch.delitem(sys.modules, f"{name}_module", raising=False)
        importlib.invalidate_caches()
        return Registry.load()

    return install_plugins
