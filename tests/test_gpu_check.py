"""The script that checks a GPU runs, on the processor, through all its checks."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "scripts" / "gpu_check.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("gpu_check", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_every_check_passes_on_a_processor(script, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.md"
    options = ["--device", "cpu", "--steps", "2", "--batch-size", "4", "--heads", "3", "--markdown", str(table)]
    assert script.main(options) == 0
    text = table.read_text()
    assert text == capsys.readouterr().out
    assert len(re.findall(r"\| ok \|$", text, re.MULTILINE)) == 6
    assert "8 at once, CUDA graphs, fp32" in text
    assert "180 trainings, extrapolated" in text


def test_a_check_that_raises_fails_and_the_others_run(script, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def broken(_bench: object) -> None:
        raise RuntimeError("no kernel | image")

    for name in ("agreement", "stacks", "resuming", "speeds"):
        monkeypatch.setattr(script, name, broken)
    monkeypatch.setattr(script, "heads", lambda _bench, _number: [script.Row("heads", "some", True)])
    assert script.main(["--device", "cpu", "--batch-size", "4"]) == 1
    out = capsys.readouterr().out
    assert out.count("| RuntimeError | no kernel / image | **FAILED** |") == 4
    assert "| heads | some | ok |" in out


def test_without_a_gpu_it_says_so(script, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert script.main([]) == 2
    assert "torch sees no GPU" in capsys.readouterr().err
