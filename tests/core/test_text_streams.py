"""Output under encodings that lack characters of it: spelled with others, never an error."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import import_path_env

from ltbench.cli.output import print_json
from ltbench.core.text_streams import (
    printing_no_controls,
    spell_what_cannot_be_encoded,
    unfiltered,
    with_progress_bars,
)

SPOKEN = "1.0 ± 0.2, Δ −0.5 × 3 … ≈ é 日"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", SPOKEN),
        ("cp1252", "1.0 ± 0.2, diff. -0.5 × 3 … ~ é ?"),
        ("ascii", "1.0 +- 0.2, diff. -0.5 x 3 ... ~ e ?"),
        ("latin-1", "1.0 ± 0.2, diff. -0.5 × 3 ... ~ é ?"),
    ],
)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_an_encoding_lacks_is_spelled(stream, encoding, expected, monkeypatch) -> None:
    written = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, stream, written)
    spell_what_cannot_be_encoded()
    print(SPOKEN, end="", file=written, flush=True)
    assert written.buffer.getvalue().decode(encoding) == expected


def test_a_choice_of_the_user_how_to_write_them_stays(monkeypatch) -> None:
    written = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="xmlcharrefreplace")
    monkeypatch.setattr(sys, "stdout", written)
    spell_what_cannot_be_encoded()
    print("±", end="", flush=True)
    assert written.buffer.getvalue() == b"&#177;"


def test_json_keeps_every_character(monkeypatch) -> None:
    written = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", written)
    print_json({"ä 日": "😀\n±"})
    written.flush()
    assert json.loads(written.buffer.getvalue()) == {"ä 日": "😀\n±"}


@pytest.mark.parametrize(
    "env", [{"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}]
)
@pytest.mark.parametrize("command", ["leaderboard tiny", "list", "show quick", "data", "export --format csv"])
def test_commands_print_in_every_encoding(command: str, env: dict[str, str], trained: Path) -> None:
    options = {"leaderboard": ["--leaderboards", "leaderboards"], "export": ["leaderboards/tiny"]}
    words = command.split()
    done = subprocess.run(
        [sys.executable, "-m", "ltbench", *words, *options.get(words[0], [])],
        env=os.environ | import_path_env() | env, cwd=trained, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_control_characters_are_printed_as_escapes_whoever_prints_them(monkeypatch) -> None:
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    with printing_no_controls():
        print("a\x1b[2Jb\u202ec\td")
        print("\x9b31m", file=sys.stderr)
        sys.stdout.write_styled("\x1b[1mbold\x1b[0m\x1b[2J\n")  # type: ignore[union-attr]
        unfiltered(sys.stderr).write("\x1b[K")
    assert (sys.stdout, sys.stderr) == (streams["stdout"], streams["stderr"])
    for stream in streams.values():
        stream.flush()
    written = {name: stream.buffer.getvalue().decode() for name, stream in streams.items()}  # type: ignore[attr-defined]
    assert written["stdout"] == "a\\x1b[2Jb\\u202ec\td\n\x1b[1mbold\x1b[0m\\x1b[2J\n"
    assert written["stderr"] == "\\x9b31m\n\x1b[K"


def test_progress_bars_of_libraries_are_drawn_and_nothing_else_is(monkeypatch) -> None:
    from tqdm import tqdm

    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stderr", stream)
    with printing_no_controls():
        with with_progress_bars():
            for _ in tqdm(range(2), desc="a\x1b[2J"):
                pass
            print("\x1b[A", file=sys.stderr, end="")
        print("\rafter", file=sys.stderr)
    stream.flush()
    written = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert written.startswith("\ra\\x1b[2J:   0%|")
    assert "\ra\\x1b[2J: 100%|" in written
    assert written.endswith("\x1b[A\\rafter\n")


def test_a_command_prints_no_control_character_of_its_arguments(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "ltbench", "show", "a\x1b]0;b\u202e"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert "\x1b" not in found.stdout + found.stderr
    assert "a\\x1b]0;b\\u202e" in found.stderr
