"""Helpers of several test modules: plugin packages, fresh processes, environments."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tomllib
import types
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ltbench.core.plugins import PluginSource
from ltbench.errors import LtbenchError
from ltbench.executor import DEFAULTS
from ltbench.hookspecs import hookimpl
from ltbench.registry.registry import Registry
from ltbench.stages import STAGES

LOSS = '''
"""A loss for tests."""
from ltbench import Loss, hookimpl


class Mine(Loss):
    """Cross-entropy by another name. Source: none."""

    name = "{name}"
    {body}

    def per_sample(self, logits, labels, counts):
        return {result}


@hookimpl
def ltbench_losses():
    return [Mine]
'''


def suite_source(name: str, recipe: Mapping[str, object], **fields: object) -> str:
    """Return a suite file with one data set, factor and model and no figure, or with `fields`, and with further ones."""
    required = {
        "schema": 1, "name": name, "title": name.title(), "question": "Does it run?", "datasets": ["fashion_mini"],
        "imbalance_factors": [10], "models": ["convnet"],
        "figures": [],
    }  # fmt: skip
    lines = [f"{key} = {json.dumps(value)}" for key, value in (required | fields).items()]
    return "\n".join([*lines, "", "[recipe]", *(f"{key} = {json.dumps(value)}" for key, value in recipe.items()), ""])


def loss_source(
    name: str, result: str = "-logits.log_softmax(1).gather(1, labels[:, None])[:, 0]", body: str = ""
) -> str:
    """Return the source of a plugin with one loss."""
    return LOSS.format(name=name, result=result, body=body)


def registry_with(*techniques: type, distribution: str = "own", version: str = "1") -> Registry:
    """Return a registry with techniques of one more plugin."""
    plugin = types.ModuleType("own_module")

    def offer(stage: str) -> Callable[[], list[type]]:
        return hookimpl(lambda: [technique for technique in techniques if technique.stage == stage])

    for stage in {technique.stage for technique in techniques}:
        setattr(plugin, STAGES[stage].hook, offer(stage))
    registry = Registry.load()
    source = PluginSource(plugin="own", distribution=distribution, version=version)
    assert registry.add(source, lambda: plugin) is None
    return registry


def install(folder: Path, distribution: str, version: str, modules: dict[str, str]) -> Path:
    """Write an installed distribution whose modules are all plugins; returns the folder to put on the import path."""
    _write_info(folder, distribution, version, {name: f"{name}_module" for name in modules})
    for name, source in modules.items():
        (folder / f"{name}_module.py").write_text(source)
    return folder


def import_path_env(*folders: Path) -> dict[str, str]:
    """Return the environment in which a fresh process imports from these folders, then from where this process does."""
    return {"PYTHONPATH": os.pathsep.join([*map(str, folders), *filter(None, sys.path)])}


def install_package(package: Path, folder: Path) -> list[Path]:
    """Write the metadata of an editable install; returns the folders to put on the import path."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    info = _write_info(folder, project["name"], project["version"], project["entry-points"]["ltbench"])
    (info / "direct_url.json").write_text(
        json.dumps({"url": package.resolve().as_uri(), "dir_info": {"editable": True}})
    )
    return [folder, package / "src"]


def _write_info(folder: Path, distribution: str, version: str, points: Mapping[str, str]) -> Path:
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    lines = [f"{name} = {module}" for name, module in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[ltbench]", *lines, ""]))
    return info


def run_own_tests(*packages: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the own tests of packages in a fresh process, with warnings as errors."""
    return subprocess.run(
        [sys.executable, *OWN_TESTS, *map(str, packages)],
        capture_output=True,
        text=True,
        env=_without_pytest() | env,
        cwd=packages[0].parent,
        check=False,
    )


OWN_TESTS = ("-m", "pytest", "-v", "-W", "error", "-p", "no:cacheprovider")


def _without_pytest() -> dict[str, str]:
    """Return the environment without the variables by which pytest and its plugins would recognise an outer run."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


class VirtualEnvironment:
    """A virtual environment in which pip installs packages, with this environment's packages importable, too."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = folder / "bin" / "python"
        (site,) = folder.glob("lib/python*/site-packages")
        shared = [path for path in sys.path if path.endswith("site-packages")]
        (site / "shared.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in shared))

    def run(self, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run its Python; assert success."""
        completed = subprocess.run(
            [self.python, *args], capture_output=True, text=True, env=_without_pytest(), cwd=cwd, check=False
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed

    def install(self, *packages: Path, editable: bool = False) -> None:
        """Build and install packages with pip, without dependencies and without a network."""
        flags = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
        for package in packages:
            self.run("-m", "pip", "install", *flags, *(["-e"] if editable else []), str(package))


def ltbench(*args: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a fresh process."""
    return subprocess.run(
        [sys.executable, "-m", "ltbench", *args],
        capture_output=True,
        text=True,
        env=os.environ | (env or {}),
        cwd=cwd,
        check=False,
    )


def main_result(capsys, *args: object) -> tuple[int, str, str]:
    """Run the command line in this process, as a shell sees it; return exit code, stdout and stderr."""
    from ltbench.cli import main

    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def call(*args: object, width: int = 100) -> Result:
    """Run the command line in this process, in a window of this width; raises what a command raises."""
    from ltbench.cli import group

    result = CliRunner().invoke(group, [str(arg) for arg in args], env={"COLUMNS": str(width)}, standalone_mode=False)
    if isinstance(result.exception, LtbenchError):
        raise result.exception
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def python(code: str, *args: object) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process that imports from where this one does; assert success."""
    completed = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        capture_output=True, text=True, env=os.environ | import_path_env(), check=False,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed


def imported(*args: object, cwd: Path | None = None) -> set[str]:
    """Return the modules that a command imports in a fresh process."""
    done = ltbench(*map(str, args), env={"PYTHONPROFILEIMPORTTIME": "1"}, cwd=cwd)
    assert done.returncode == 0, done.stderr[-2000:]
    return {line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}


def records_of(folder: Path) -> list[dict]:
    """Return the records that a run has published in the folder of a suite."""
    return [json.loads(line) for line in (folder / "records.jsonl").read_text().splitlines()]


def bytecode_cache_env(folder: Path) -> dict[str, str]:
    """Return the environment in which Python caches compiled modules, as on a user's machine, in `folder`."""
    return {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}


def child_cpu_seconds(call: Callable[[], object]) -> float:
    """Return the CPU seconds of the processes that the call starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def flip(path: Path, text: bytes) -> None:
    """Change the first digit after the first occurrence of a text."""
    content = bytearray(path.read_bytes())
    position = content.index(text) + len(text)
    while not chr(content[position]).isdigit():
        position += 1
    content[position] = ord("0") + (content[position] - ord("0") + 1) % 10
    path.write_bytes(content)


def make_executor(text, context, terms=DEFAULTS):
    """Return the executor written in `text`."""
    return context.registry.executor(text).make(context, terms)
