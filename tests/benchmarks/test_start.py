"""CPU time of starting a command, with and without 50 third-party plugins installed: the goal is at most 0.3 s.

Absolute, as it compares only with runs on the same machine; divide two rows for the cost of plugins.
"""

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
    env |= {"LTBENCH_STORE": str(packages / "none")}  # `plan` looks for stored jobs; there are none
    seconds = []

    def start() -> None:
        outputs: list[str] = []
        seconds.append(child_cpu_seconds(lambda: outputs.append(ltbench(*args, env=env).stdout)))
        if args == ["list"]:
            assert outputs[0].count("third_") == installed

    benchmark.pedantic(start, rounds=5, warmup_rounds=1)
    benchmark.extra_info["cpu_seconds"] = min(seconds)
