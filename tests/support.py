"""What several test modules share."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from ltbench.executor import DEFAULTS

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


def loss_source(
    name: str, result: str = "-logits.log_softmax(1).gather(1, labels[:, None])[:, 0]", body: str = ""
) -> str:
    """Return the source of a plugin with one loss."""
    return LOSS.format(name=name, result=result, body=body)


def install(folder: Path, distribution: str, version: str, modules: dict[str, str]) -> Path:
    """Lay out an installed distribution whose every module is a plugin; `folder` then goes onto the path."""
    _write_info(folder, distribution, version, {name: f"{name}_module" for name in modules})
    for name, source in modules.items():
        (folder / f"{name}_module.py").write_text(source)
    return folder


def on_path(*folders: Path) -> dict[str, str]:
    """Return the environment in which a fresh process finds what is installed in folders, and what this one finds."""
    return {"PYTHONPATH": os.pathsep.join([*map(str, folders), *filter(None, sys.path)])}


def install_package(package: Path, folder: Path) -> list[Path]:
    """Lay out an installed package, as `pip install -e` would; return the folders that then go onto the path."""
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


def own_tests(package: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the tests that a package brings, in a fresh process, with warnings as errors."""
    return subprocess.run(
        [sys.executable, *OWN_TESTS, str(package)],
        capture_output=True,
        text=True,
        env=_without_pytest() | env,
        cwd=package.parent,
        check=False,
    )


OWN_TESTS = ("-m", "pytest", "-v", "-W", "error", "-p", "no:cacheprovider")


def _without_pytest() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


class Environment:
    """A virtual environment that also has what this one has, for what pip installs."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = folder / "bin" / "python"
        (site,) = folder.glob("lib/python*/site-packages")
        shared = [path for path in sys.path if path.endswith("site-packages")]
        (site / "shared.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in shared))

    def run(self, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run its Python; it has to succeed."""
        done = subprocess.run(
            [self.python, *args], capture_output=True, text=True, env=_without_pytest(), cwd=cwd, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def install(self, *packages: Path, editable: bool = False) -> None:
        """Have pip build and install packages as they are, without a network."""
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


def compiled_once(folder: Path) -> dict[str, str]:
    """Return the environment in which modules are compiled once, as on a user's machine."""
    return {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}


def children_seconds(call: Callable[[], object]) -> float:
    """Return the CPU seconds of the processes that a call starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    call()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def flip(path: Path, text: bytes) -> None:
    """Change one digit behind the first occurrence of a text."""
    content = bytearray(path.read_bytes())
    at = content.index(text) + len(text)
    while not chr(content[at]).isdigit():
        at += 1
    content[at] = ord("0") + (content[at] - ord("0") + 1) % 10
    path.write_bytes(content)


def make_executor(text, context, terms=DEFAULTS):
    """Return the executor written in `text`."""
    return context.registry.executor(text).make(context, terms)
