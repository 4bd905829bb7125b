"""The laws of docs/architecture.md that a test can hold."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HARNESS = sorted((ROOT / "ltbench").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))


def imports(path: Path, *, top_only: bool) -> set[str]:
    """Return the top-level packages that a module imports; with `top_only`, only what importing it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    deferred = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    found = set()
    for node in ast.walk(tree):
        if top_only and (id(node) in typing_only or id(node) in deferred):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", HARNESS, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_harness_names_no_plugin(path: Path) -> None:
    assert "ltbench_plugins" not in imports(path, top_only=False)


@pytest.mark.parametrize("path", HARNESS, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_engine_imports_torch_at_its_top(path: Path) -> None:
    heavy = {"torch", "torchvision", "timm"} & imports(path, top_only=True)
    assert not heavy or path.parent.name == "engine"


@pytest.mark.parametrize("path", PLUGINS, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_plugin_module_imports_nothing_heavy_at_its_top(path: Path) -> None:
    private = any(part.startswith("_") and part != "__init__.py" for part in path.relative_to(ROOT).parts)
    heavy = {"torch", "torchvision", "timm", "numpy", "scipy", "pandas", "PIL", "rich", "matplotlib"}
    assert private or not heavy & imports(path, top_only=True)


@pytest.mark.parametrize("path", HARNESS + PLUGINS, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_module_is_much_over_300_lines(path: Path) -> None:
    limit = 390 if path.name == "stages.py" else 320  # stages.py is the contract, mostly docstrings
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit


def test_every_module_of_the_harness_is_on_the_map() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    missing = [p.name for p in (ROOT / "ltbench").glob("*.py") if not p.name.startswith("_") and p.name not in text]
    assert missing == []


def test_every_command_has_the_help_that_the_group_prints() -> None:
    import importlib

    from ltbench.cli import COMMANDS

    for name, line in COMMANDS.items():
        command = importlib.import_module(f"ltbench.cli.{name.replace('-', '_')}").command
        assert command.name == name
        assert command.help
        assert line.endswith(".")
