"""The debugger: where a job raised first, on its own terms, and the run goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import context, make
from support import loss_source
from trial import SUITE

from ltbench.errors import StoreError, UsageError
from ltbench.executor import WORK, Terms
from ltbench.executors.debugger import chosen_work, debugged
from ltbench.executors.inline import Inline


def breaks(job, context):
    secret = 42
    try:
        raise KeyError(secret)
    except KeyError as error:
        raise ValueError("wrapped") from error


def test_it_opens_where_the_first_error_was_raised_and_the_job_fails_all_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", (tmp_path / "typed").open("w+"))
    sys.stdin.write("p secret + 1\nq\n")
    sys.stdin.seek(0)
    with Inline(context(tmp_path / "store"), Terms(work=debugged(breaks))) as executor:
        executor.submit([make("job1"), make("job2")])
        outcomes = executor.wait(0.0)
    sys.stdin.close()
    assert [o.status for o in outcomes] == ["failed", "failed"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "43" in err
    assert "ValueError: wrapped" in err
    assert "fit job2: 'q' continues" in err


def test_what_the_store_raises_opens_nothing(tmp_path, capsys):
    def work(job, context):
        raise StoreError("the store is full")

    with Inline(context(tmp_path / "store"), Terms(work=debugged(work))) as executor:
        executor.submit([make("job1")])
        assert [o.status for o in executor.wait(0.0)] == ["failed"]
    assert capsys.readouterr() == ("", "")


def test_it_needs_the_inline_executor():
    assert chosen_work("local", debug=False) == WORK
    with pytest.raises(UsageError, match="in this process"):
        chosen_work("local", debug=True)


@pytest.mark.slow
def test_the_command_stops_in_the_frame_of_a_plugin_that_raises(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(SUITE.replace("seeds = [0, 1]", "seeds = [0]").replace("[50, 100]", "[100]"))
    (tmp_path / "broken.py").write_text(loss_source("broken", result="1 / 0"))
    command = ["run", "--suite", "tiny.toml", "--plugin-file", "broken.py", "--plugins", "broken"]
    done = subprocess.run(
        [sys.executable, "-m", "ltbench", *command, "--executor", "inline", "--pdb", "--json"],
        cwd=tmp_path,
        env=os.environ | {"LTBENCH_STORE": str(tmp_path / "store")},
        input="w\np labels.shape\nq\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("{")
    assert "broken.py" in done.stderr
    assert "(Pdb) torch.Size([2])" in done.stderr
