"""CPU time until a command answers, with 50 plugins of third parties installed and without: at most 0.3 s."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import bytecode_cache_env, child_cpu_seconds, import_path_env, install, loss_source, ltbench

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
    env = (import_path_env(packages) if installed else {}) | bytecode_cache_env(tmp_path_factory.getbasetemp())
    env |= {"LTBENCH_STORE": str(packages / "none")}
    seconds = []

    def start() -> None:
        done: list[str] = []
        seconds.append(child_cpu_seconds(lambda: done.append(ltbench(*args, env=env).stdout)))
        if args == ["list"]:
            assert done[0].count("third_") == installed

    benchmark.pedantic(start, rounds=5, warmup_rounds=1)
    benchmark.extra_info["cpu_seconds"] = min(seconds)
