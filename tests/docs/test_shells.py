"""Every command of the documentation means the same in bash and in zsh, where an unquoted bracket is a pattern."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from pages import PAGES, ROOT, blocks

PROGRAMS = ("ltbench", "pip", "pytest", "dask", "srun", "python", "python3", "sphinx-build")
INLINE = re.compile(r"`((?:ltbench|pip) [^`]+)`")
MARKED = re.compile(r"SUITE|NAME|FILE|FOLDER|PATH|TIME|SIZE|DIR|<[^>]*>|\.\.\.|\[--?[a-z]|\[[A-Z]|\n")
"""What stands for something else, so that it is no command as it is."""
READMES = sorted((ROOT / "examples").glob("*/README.md"))


def texts() -> dict[str, str]:
    """Return all commands by the place where they are written: blocks, sessions, and what is printed in a line of text."""
    found: dict[str, str] = {}
    for page in PAGES:
        for block in blocks(page):
            if block.language == "bash":
                found[block.at] = block.text
            elif block.language == "console":
                found[block.at] = "\n".join(re.findall(r"^\$ (.*)$", block.text, re.MULTILINE))
    for path in (*PAGES.values(), *READMES):
        for number, command in enumerate(INLINE.findall(path.read_text(encoding="utf-8"))):
            if not MARKED.search(command):
                found[f"{path.relative_to(ROOT)}, inline {number}"] = command
    return found


def heard(shell: str, text: str, folder: Path) -> str:
    """Return the arguments that programs get when a shell runs a text; the programs do nothing."""
    programs, log = folder / "programs", folder / "log"
    programs.mkdir(parents=True)
    for name in PROGRAMS:
        (programs / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@" --- >> {log}\n')
        (programs / name).chmod(0o755)
    for name in ("cat", "grep", "sort", "head"):  # other words of pipelines
        (programs / name).symlink_to(shutil.which(name))
    log.touch()
    # Each line on its own: a virtual environment that is not there stops no other line.
    joined = text.replace("\\\n", " ")
    for line in joined.splitlines():
        subprocess.run([shutil.which(shell), "-c", line], cwd=folder, env={"PATH": str(programs), "HOME": str(folder)},
                       capture_output=True, stdin=subprocess.DEVNULL, check=False)  # fmt: skip
    return log.read_text().replace(str(folder), "FOLDER")


def test_every_command_has_the_same_arguments_in_bash_and_zsh(tmp_path: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed (apt-get install zsh)")
    both = "\n".join(texts().values())
    assert both.count("ltbench ") > 80
    unlike = {
        at: (bash, zsh)
        for number, (at, text) in enumerate(texts().items())
        if (bash := heard("bash", text, tmp_path / f"bash{number}"))
        != (zsh := heard("zsh", text, tmp_path / f"zsh{number}"))
    }
    assert unlike == {}


def test_a_bracket_without_quotes_is_found(tmp_path: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed (apt-get install zsh)")
    text = "ltbench run --plugins mixup[alpha=1]"
    assert heard("bash", text, tmp_path / "bash") != heard("zsh", text, tmp_path / "zsh")
