"""Every command that is printed runs, in bash and in zsh, in a fresh store."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import call, import_path_env, loss_source, main_result, suite_source

from ltbench.cli import COMMANDS
from ltbench.core.plugins import PluginSource
from ltbench.errors import LtbenchError
from ltbench.leaderboard.publish import read_folder
from ltbench.records.agreement import result_digest
from ltbench.registry.registry import Registry

TINY = {"steps": 1, "batch_size": 8, "lr": 0.1, "precision": "fp32"}
FAST = ("--executor", "inline", "--set", "steps=1", "--imbalance-factors", "100", "--seeds", "0")
SHELLS = [name for name in ("bash", "zsh") if shutil.which(name)]
ODD = 'it\'s, [odd] "ü" = 1 + $x'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a store and data of its own."""
    monkeypatch.setenv("LTBENCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("LTBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def in_shell(shell: str, command: str, place: Path, program: str) -> str:
    """Run a command in a shell in which `ltbench` is this program, with a store that is empty; return what it says."""
    path = place / "programs" / "ltbench"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)
    env = {"LTBENCH_STORE": str(place / f"store-of-{shell}"), "HOME": str(place),
           "PATH": f"{path.parent}{os.pathsep}{os.environ['PATH']}"}  # fmt: skip
    done = subprocess.run(
        [shell, "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
        env=os.environ | import_path_env() | env,
    )  # fmt: skip
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture
def typed(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Return a function that runs a command as a reader does, with a store that is empty, and returns what it says.

    Shells only read the command, as a process of its own takes seconds to start: all have to make the same words of it,
    and those run in this process.
    """

    def run(command: str) -> str:
        read = {in_shell(shell, command, place, "printf '%s\\0' \"$@\"").removesuffix("\0") for shell in SHELLS}
        (words,) = read
        with monkeypatch.context() as patched:
            patched.setenv("LTBENCH_STORE", str(place / "store-of-a-reader"))
            code, out, err = main_result(capsys, *words.split("\0"))
        assert code == 0, f"$ {command}\n{out}{err}"
        return out + err

    return run


def own_suite() -> list[str]:
    folder = Path(ODD)
    folder.mkdir()
    (folder / "My suite.toml").write_text(suite_source("mine", TINY, techniques=["mixup[alpha=0.5]"]))
    return ["--suite", str(folder / "My suite.toml"), "--executor", "inline"]


def photos() -> list[str]:
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 2)):
        for name in ("cat", "dog"):
            folder = Path(os.environ["LTBENCH_DATA"], ODD, split, name)
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    path = ODD.replace("\\", "\\\\").replace('"', '\\"')
    return [
        "--datasets",
        f'image_folder[path="{path}"]',
        "--plugins",
        "tta",
        *FAST[:4],
        "--imbalance-factors",
        "1",
        "--seeds",
        "0",
    ]


def photos_elsewhere() -> list[str]:
    options = photos()
    Path(os.environ["LTBENCH_DATA"]).rename("my data")
    return [*options, "--data-root", "my data"]


def plugin_file() -> list[str]:
    folder = Path("my plug-ins")
    folder.mkdir()
    (folder / "mine.py").write_text(loss_source("my_loss"))
    return ["--plugin-file", "my plug-ins/mine.py", "--plugins", "my_loss", *FAST]


def suite_of_a_plugin_file() -> list[str]:
    Path("own_suite.toml").write_text(suite_source("own_suite", TINY))
    Path("suites.py").write_text("from pathlib import Path\nfrom ltbench import hookimpl\n\n@hookimpl\ndef ltbench_suites():\n"
                                 '    return [Path(__file__).with_name("own_suite.toml")]\n')  # fmt: skip
    return ["--plugin-file", "suites.py", "--suite", "own_suite", "--executor", "inline"]


def edited_copy() -> list[str]:
    Path("quick.toml").write_text(call("show", "quick").stdout.replace("epochs = 20", "steps = 1").replace("[0, 1, 2]", "[0]")
                                  .replace("[10, 50, 100]", "[100]"))  # fmt: skip
    return ["--suite", "quick.toml", "--plugins", "tta,mixup[alpha=0.5]", "--executor", "inline"]


RUNS: dict[str, Callable[[], list[str]]] = {
    "a suite of one's own at an odd place": own_suite,
    "photos at an odd place": photos,
    "photos under another data root": photos_elsewhere,
    "a plugin file in a folder": plugin_file,
    "a suite of a plugin file": suite_of_a_plugin_file,
    "an edited copy of a suite": edited_copy,
    "sweeps and a schedule": lambda: ["--plugins", "mixup[alpha=0.5,1],step", *FAST, "--set", "schedule=multistep",
                                      "--set", "milestones=[0.5]"],
    "leaderboards elsewhere": lambda: [*own_suite(), "--leaderboards", f"../{ODD}"],
    "an absolute path": lambda: [*own_suite(), "--leaderboards", str(Path.cwd().parent / "boards")],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", RUNS)
def test_the_command_of_a_page_makes_its_records(place: Path, typed: Callable[[str], str], kind: str) -> None:
    options = RUNS[kind]()
    assert call("run", *options).return_value == 0
    (page,) = [path for path in place.rglob("local/*/README.md") if "store" not in path.parts]
    said = page.read_text()
    command = re.search(r"```sh\n(.*?)\n```", said, re.DOTALL)[1]
    outcomes = {record.id: result_digest(record) for record in read_folder(page.parent)[1].records}
    leaderboards = page.parents[2]
    shutil.rmtree(page.parent / "figures", ignore_errors=True)
    for name in ("records.jsonl", "README.md"):
        (page.parent / name).unlink()
    more = "" if leaderboards == Path.cwd() / "leaderboards" else " --leaderboards " + _quoted(leaderboards)
    typed(f"{command} --executor inline{more}")
    assert {record.id: result_digest(record) for record in read_folder(page.parent)[1].records} == outcomes
    assert page.read_text() == said


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["photos at an odd place", "leaderboards elsewhere"])
def test_the_commands_that_a_reader_is_told_run(place: Path, typed: Callable[[str], str], kind: str) -> None:
    """That of `show-cell`, that of a run that is up to date, and that of a stale page; once in processes of their own."""
    options = RUNS[kind]()
    call("run", *options)
    again = call("run", *options).stderr
    (page,) = [path for path in place.rglob("local/*/README.md") if "store" not in path.parts]
    at = ["--leaderboards", str(page.parents[2])]
    cell = read_folder(page.parent)[1].records[-1].id
    rerun = call("show-cell", cell, *at).stdout.splitlines()[-1].strip()
    shown = re.search(r"to print it: (ltbench leaderboard .*)", again)[1]
    real = f'exec "{sys.executable}" -m ltbench "$@"'
    for shell in SHELLS if kind == "photos at an odd place" else [""]:
        run = partial(in_shell, shell, place=place, program=real) if shell else typed
        assert "All numbers are bit-identical." in run(f"{rerun} --executor inline")
        shutil.rmtree(f"rerun-{cell[:8]}")
        assert "baseline" in run(shown)


# --- what an error tells to try -------------------------------------------------------------------------------------

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(rf"ltbench (?:{'|'.join(COMMANDS)})(?= |$|\)|,)[^,()]*")


def told() -> dict[str, str]:
    """Return the commands that the code tells a reader to type, with {} for what is put in, and where they are.

    They are in a `fix`, or begin a text.
    """
    found: dict[str, str] = {}
    for path in (*sorted((ROOT / "ltbench").rglob("*.py")), *sorted((ROOT / "plugins").rglob("*.py"))):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        fixes = [node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "fix"]
        # Docstrings, and the pieces of a text with values in it.
        documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        documented |= {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
        begun = [node for node in ast.walk(tree) if isinstance(node, ast.Constant | ast.JoinedStr | ast.List)
                 and id(node) not in documented and any(map(COMMAND.match, _texts(node)))]  # fmt: skip
        for text in (text for node in (*fixes, *begun) for text in _texts(node)):
            for command in COMMAND.findall(text):
                found.setdefault(command.strip(), f"{path.relative_to(ROOT)}")
    return found


def _texts(node: ast.expr) -> Iterator[str]:
    """Yield the texts of an expression; a list of words that `shlex.join` takes is a text, too."""
    match node:
        case ast.JoinedStr():
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        case ast.Constant(value=str(text)):
            yield text
        case ast.List():
            yield " ".join(str(word.value) if isinstance(word, ast.Constant) else "{}" for word in node.elts)
        case _:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    yield from _texts(child)


def another_suite() -> None:
    Path("mine.toml").write_text(suite_source("mine", TINY))
    at = ("--leaderboards", ODD)
    call("run", "--suite", "mine.toml", "--executor", "inline", "--publish", *at)
    Path("mine.toml").write_text(suite_source("mine", TINY | {"steps": 2}))
    call("run", "--suite", "mine.toml", "--executor", "inline", *at)
    call("publish", "mine", *at)


def stale_page() -> None:
    call("run", "--plugins", "", "--name", "tiny", "--publish", *FAST, "--leaderboards", ODD)
    Path(ODD, "tiny", "README.md").write_text("changed")
    call("leaderboard", "--check", "--leaderboards", ODD, "--readme", "READ ME.md")


def stale_catalogue() -> None:
    Path("my list.md").write_text("<!-- ltbench:techniques -->\n<!-- /ltbench:techniques -->\n")
    call("list", "--no-plugins", "--check", "my list.md")


def broken_plugin() -> None:
    registry = Registry.load()

    def load() -> object:
        raise RuntimeError("'broken_one' is broken")

    registry.add(PluginSource(plugin="broken_one", distribution="somebody", version="1"), load)
    registry.entry("broken_one")


TOLD: dict[str, tuple[Callable[[], object], str, str]] = {
    "ltbench check NAME": (lambda: call("check"), "ltbench check NAME", "ltbench check tta"),
    "ltbench compare SUITE OTHER_SUITE": (
        lambda: call("compare", "quick"), "ltbench compare SUITE OTHER_SUITE", "ltbench compare SUITE SUITE"),
    'ltbench compare SUITE "a" "a + b"': (
        lambda: call("compare", "quick"), 'ltbench compare SUITE "a" "a + b"',
        'ltbench compare SUITE "cb_sampler" "cb_sampler + mixup"'),
    "ltbench export SUITE lists the ids of all cells": (
        lambda: call("show-cell", "xyz"), "ltbench export SUITE", "ltbench export SUITE"),
    "ltbench new {} {}": (lambda: call("new", "my_loss", "loss"), "ltbench new loss my_loss", ""),
    "ltbench new {} my_{}": (lambda: call("new", "loss"), "ltbench new loss my_loss", ""),
    "ltbench publish {} --replace {}": (another_suite, "ltbench publish mine --replace --leaderboards ", ""),
    "ltbench leaderboard --update{}": (stale_page, "ltbench leaderboard --update --leaderboards ", ""),
    "ltbench leaderboard --update --from-suites": (
        lambda: call("leaderboard", "--from-suites"), "ltbench leaderboard --update --from-suites",
        "ltbench leaderboard --update --from-suites"),
    "ltbench list {}--update {}": (stale_catalogue, "ltbench list --no-plugins --update 'my list.md'", ""),
    "ltbench show {} lists them": (lambda: call("plan", "--models", "timm"), "ltbench show timm", "ltbench show timm"),
    "ltbench list {}": (lambda: call("plan", "--plugins", "loss"), "ltbench list loss", ""),
    "ltbench list shows all": (lambda: call("plan", "--plugins", "xyzzy"), "ltbench list", "ltbench list"),
    "ltbench plugins lists the installed ones": (
        lambda: call("list", "-p", "xyzzy"), "ltbench plugins", "ltbench plugins"),
    "ltbench doctor": (broken_plugin, "ltbench doctor", "ltbench doctor"),
    "ltbench show {}": (lambda: call("plan", "--plugins", "label_smooth[eps=2]"), "ltbench show label_smooth",
                        "ltbench show label_smooth"),
    "ltbench data {} --download": (lambda: Registry.load().parse("cifar10").locate(Path("nowhere")), "ltbench data cifar10 --download",
                                   "ltbench data cifar10 --help"),
    "ltbench data '{}' --download": (lambda: Registry.load().parse("medmnist[size=64]").locate(Path("nowhere")),
                                     "ltbench data 'medmnist[size=64]' --download", "ltbench data 'medmnist[size=64]' --help"),
}  # fmt: skip
"""Each: what raises the error; the command in it; what is typed for it, where a word stands for another one or for
the whole line. Nothing is downloaded."""
ELSEWHERE = {
    "ltbench check names the technique": "'ltbench check NAME', for each technique that the error names",
    "ltbench run recomputes it": "the command that was run before, with its own options",
    "ltbench run --suite {}": "test_the_command_of_a_page_makes_its_records",
    "ltbench leaderboard {}": "test_the_commands_that_a_reader_is_told_run",
    "ltbench recommend {}": "tests/cli/test_recommend.py, by the function of this name",
    "ltbench run --cell {}": "test_the_commands_that_a_reader_is_told_run",
    "ltbench run": "tests/scaffold/test_package.py",
    "ltbench predict FOLDER photo.jpg": "docs/trained-models.md, with other names",
    "ltbench export-model CELL FOLDER makes one": "docs/trained-models.md, with other names",
    "ltbench run makes both": "the first command of README.md",
    "ltbench run --held-out 0.1 ...": "the command that was run before, with its own options",
    "ltbench run --rerun-stale trains again what was made by other versions": "tests/cli/test_rerun_stale.py",
}


def test_every_command_that_the_code_tells_is_tried() -> None:
    assert told().keys() == TOLD.keys() | ELSEWHERE.keys(), told()


@pytest.mark.slow
@pytest.mark.parametrize("skeleton", TOLD)
def test_the_command_that_an_error_tells_runs(place: Path, typed: Callable[[str], str], skeleton: str) -> None:
    raises, expected, line = TOLD[skeleton]
    shutil.copytree(ROOT / "leaderboards/quick", "leaderboards/quick")
    with pytest.raises(LtbenchError) as caught:
        raises()
    fix = caught.value.fix
    assert expected in fix
    typed((line or fix).replace("SUITE", "quick"))
    if skeleton == "ltbench leaderboard --update{}":
        call("leaderboard", "--check", "--leaderboards", ODD)
