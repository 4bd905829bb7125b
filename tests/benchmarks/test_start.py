"""CPU time until a command answers, with 50 plugins of third parties installed and without: at most 0.3 s."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from support import install, loss_source, on_path

PLUGINS = 50


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    for number in range(PLUGINS):
        body = "temperature: Annotated[float, Meta(gt=0)] = 1.0"
        source = loss_source(f"third_{number}", body=body)
        source = source.replace("import Loss", "import Loss, Meta").replace(
            "\nfrom", "\nfrom typing import Annotated\nfrom", 1
        )
        install(folder, f"third-{number}", "1.0", {f"third_{number}": source})
    return folder


@pytest.mark.parametrize("installed", [0, PLUGINS], ids="{} plugins".format)
@pytest.mark.parametrize("args", [["--help"], ["list"], ["plan"]], ids=" ".join)
def test_start(benchmark, args: list[str], installed: int, packages: Path, tmp_path_factory) -> None:
    env = os.environ | (on_path(packages) if installed else {})
    # As on a user's machine, modules are compiled once.
    env |= {
        "PYTHONPYCACHEPREFIX": str(tmp_path_factory.getbasetemp() / "compiled"),
        "LTBENCH_STORE": str(packages / "none"),
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    seconds = []

    def start() -> None:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "ltbench", *args], env=env, capture_output=True, text=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if args == ["list"]:
            assert done.stdout.count("third_") == installed

    benchmark.pedantic(start, rounds=5, warmup_rounds=1)
    benchmark.extra_info["cpu_seconds"] = min(seconds)
