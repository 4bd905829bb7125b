"""`ltbench recommend` against a plain script on the same photos: the table of docs/own-images.md in small."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from plugins.checks import available

from ltbench_plugins.datasets.breast_histopathology import BreastHistopathology

SCRIPT = Path(__file__).parents[2] / "scripts" / "compare_with_plain_script.py"


@pytest.mark.data
def test_recommending_against_a_plain_script(benchmark) -> None:
    """220 patches of two classes in ten seconds; worse than the plain script beyond noise fails."""
    pytest.importorskip("sklearn")
    available(BreastHistopathology())
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    what = script.Set("breast_histopathology", classes=2, largest=200, factor=10)
    found = benchmark.pedantic(script.compare, args=(what, "10s"), rounds=1)
    assert found.high >= 0
    benchmark.extra_info |= {
        "plain script, balanced accuracy": found.plain,
        "recommended, balanced accuracy": found.recommended,
        "difference, 95 % interval": [found.low, found.high],
        "plain script, seconds": found.plain_seconds,
        "recommended, seconds": found.seconds,
    }
