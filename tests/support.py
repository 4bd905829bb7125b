"""What several test modules share."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    points = [f"{name} = {name}_module" for name in modules]
    (info / "entry_points.txt").write_text("[ltbench]\n" + "\n".join(points) + "\n")
    for name, source in modules.items():
        (folder / f"{name}_module.py").write_text(source)
    return folder


def on_path(folder: Path) -> dict[str, str]:
    """Return the environment in which a fresh process finds what is installed in a folder, and what this one finds."""
    return {"PYTHONPATH": os.pathsep.join([str(folder), *filter(None, sys.path)])}


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
