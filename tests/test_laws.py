"""The laws of docs/architecture.md that a test can hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HARNESS = sorted((ROOT / "ltbench").rglob("*.py"))
PLUGINS = sorted((ROOT / "plugins").rglob("*.py"))
PRIVATE = re.compile(r"_(?!_init__\.py)")


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


def offenders(paths: Iterable[Path], offence: Callable[[Path], object]) -> list[str]:
    return [f"{path.relative_to(ROOT)}: {what}" for path in paths if (what := offence(path))]


def test_the_harness_names_no_plugin() -> None:
    assert offenders(HARNESS, lambda path: {"ltbench_plugins"} & imports(path, top_only=False)) == []


def test_only_the_engine_imports_torch_at_its_top() -> None:
    others = [path for path in HARNESS if path.parent.name != "engine"]
    assert offenders(others, lambda path: {"torch", "torchvision", "timm"} & imports(path, top_only=True)) == []


def test_a_plugin_module_imports_nothing_heavy_at_its_top() -> None:
    heavy = {"torch", "torchvision", "timm", "numpy", "scipy", "pandas", "PIL", "rich", "matplotlib"}
    public = [path for path in PLUGINS if not any(map(PRIVATE.match, path.relative_to(ROOT).parts))]
    assert offenders(public, lambda path: heavy & imports(path, top_only=True)) == []


def test_no_module_is_much_over_300_lines() -> None:
    limits = {"stages.py": 400}  # the contract, mostly docstrings

    def too_long(path: Path) -> int | None:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        return lines if lines > limits.get(path.name, 320) else None

    assert offenders([*HARNESS, *PLUGINS], too_long) == []


def test_every_command_has_the_help_that_the_group_prints() -> None:
    import importlib

    from ltbench.cli import COMMANDS

    for name, line in COMMANDS.items():
        command = importlib.import_module(f"ltbench.cli.{name.replace('-', '_')}").command
        assert command.name == name
        assert command.help
        assert line.endswith(".")
