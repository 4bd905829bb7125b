from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import ltbench
from ltbench.engine import environment, measured_cost
from ltbench.engine.environment import environment as environment_of
from ltbench.engine.measured_cost import peak_memory, reset_peak_memory

CPU = torch.device("cpu")
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *args: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", "-C", str(folder), *identity, *args], check=True, capture_output=True)


def source_of(monkeypatch: pytest.MonkeyPatch, package: Path) -> dict[str, object]:
    monkeypatch.setattr(environment, "package_root", lambda: package)
    environment._commit.cache_clear()
    try:
        return environment._commit()
    finally:
        environment._commit.cache_clear()


def test_an_environment_has_versions_processor_and_threads() -> None:
    facts = environment_of(CPU)
    assert facts["torch"] == importlib.metadata.version("torch")
    assert facts["ltbench"] == ltbench.__version__
    assert facts["threads"] == torch.get_num_threads()
    assert facts["device"] == "cpu"
    assert facts["processor"]


def test_an_environment_has_no_paths() -> None:
    assert not any(str(value).startswith("/") for value in environment_of(CPU).values())


@needs_git
def test_a_checkout_has_its_commit_and_whether_it_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "ltbench"
    package.mkdir()
    (package / "__init__.py").touch()
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    clean = source_of(monkeypatch, package)
    assert len(str(clean["commit"])) == 40
    assert clean["dirty"] is False
    (package / "__init__.py").write_text("changed = True\n")
    assert source_of(monkeypatch, package) == clean | {"dirty": True}


@needs_git
def test_an_installed_copy_inside_another_repository_has_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")
    package = tmp_path / "site-packages" / "ltbench"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    assert source_of(monkeypatch, package) == {"commit": None, "dirty": None}


def test_peak_memory_is_measured_since_the_reset() -> None:
    reset_peak_memory(CPU)
    before = peak_memory(CPU)
    block = torch.ones(40_000_000)  # 160 MB
    assert peak_memory(CPU) - before > 100e6
    del block


def test_peak_memory_without_proc_is_since_the_start_of_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(measured_cost, "_PROC", tmp_path / "none")
    reset_peak_memory(CPU)
    assert peak_memory(CPU) > 10e6


def test_peak_memory_is_in_bytes_on_macos_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Linux and the BSDs count in kibibytes, macOS counts in bytes (getrusage(2))."""
    monkeypatch.setattr(measured_cost, "_PROC", tmp_path / "none")
    used = SimpleNamespace(ru_maxrss=123_000_000)
    monkeypatch.setattr(measured_cost.resource, "getrusage", lambda _: used)
    monkeypatch.setattr(measured_cost.sys, "platform", "darwin")
    assert peak_memory(CPU) == 123_000_000
    monkeypatch.setattr(measured_cost.sys, "platform", "freebsd14")
    assert peak_memory(CPU) == 123_000_000 * 1024
