"""What a shell completes, defaults of a user, and where log messages go."""

from __future__ import annotations

import contextlib
import logging
import os
import pty
import shutil
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path

import pytest
from support import call, suite_source

from ltbench.cli import run, user_config
from ltbench.cli.completion import techniques
from ltbench.cli.user_config import defaults_of
from ltbench.errors import StoreError, UnknownName, UsageError
from ltbench.registry.registry import Registry
from ltbench.stages import STAGES

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("ltbench")


def tiny_run(folder: Path) -> list[object]:
    """Return the words of a run of one cell, with store and page in a folder."""
    suite = folder / "s.toml"
    recipe = {"steps": 1, "batch_size": 8, "precision": "fp32"}
    suite.write_text(suite_source("s", recipe, imbalance_factors=[100], models=["convnet[width=2]"], seeds=[0]))
    places = ("--store", folder / "store", "--leaderboards", folder / "boards")
    return ["run", "--suite", suite, *places, "--executor", "inline"]


def completed(words: str, folder: Path = ROOT) -> list[str]:
    """Return what the command offers to bash for these words, of which the last is incomplete."""
    env = {**os.environ, "_LTBENCH_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run([COMMAND], env=env, cwd=folder, capture_output=True, text=True, check=True)
    assert not done.stderr
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "some"),
    [
        ("ltbench lead", {"leaderboard"}),
        ("ltbench run --plugins mix", {"mixup"}),
        ("ltbench run --plugins cb_sampler,tau_norm[", {"cb_sampler,tau_norm[tau="}),
        ("ltbench run --models resn", {"resnet32"}),
        ("ltbench run --datasets cifar1", {"cifar10", "cifar100"}),
        ("ltbench run --suite pro", {"probe"}),
        ("ltbench run --set mom", {"momentum="}),
        ("ltbench run --executor da", {"dask"}),
        ("ltbench show logit_adjust_", {"logit_adjust_posthoc"}),
        ("ltbench show loca", {"local"}),
        ("ltbench show pro", {"probe", "progressive", "product"}),
        ("ltbench check mixu", {"mixup"}),
        ("ltbench list los", {"loss"}),
        ("ltbench new sam", {"sampler"}),
        ("ltbench run --observe tens", {"tensorboard"}),
        ("ltbench compare qui", {"quick"}),
        ("ltbench compare quick cb_sam", {"cb_sampler"}),
        ("ltbench export qui", {"quick"}),
        ("ltbench verify qui", {"quick"}),
    ],
)  # fmt: skip
def test_names_are_completed(words: str, some: set[str]) -> None:
    assert set(completed(words)) >= some


def test_parameters_that_are_given_are_not_offered_again() -> None:
    registry = Registry.load()
    assert techniques(registry, STAGES, "crop_flip[padding=4,flip=true,") == []
    assert techniques(registry, STAGES, "nonsense[") == []
    assert "tta,mixup[alpha=1,per_batch=" in techniques(registry, STAGES, "tta,mixup[alpha=1,")
    assert all(one.startswith("ens,cut") for one in techniques(registry, STAGES, "ens,cut"))


def test_cells_are_completed_from_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call(*tiny_run(tmp_path))
    (cell,) = [path.stem for path in (tmp_path / "store" / "records").rglob("*.json")]
    monkeypatch.setenv("LTBENCH_STORE", str(tmp_path / "store"))
    assert completed(f"ltbench show-cell {cell[:5]}") == [cell]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_take_the_script(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    env = {**os.environ, "_LTBENCH_COMPLETE": f"{shell}_source"}
    script = subprocess.run([COMMAND], env=env, capture_output=True, text=True, check=True).stdout
    ask = {
        "bash": 'COMP_WORDS=(ltbench lead); COMP_CWORD=1; _ltbench_completion ltbench lead ltbench; echo "${COMPREPLY[*]}"',
        "zsh": "whence -w _ltbench_completion",
    }[shell]
    start = "autoload -Uz compinit; compinit -u -D\n" if shell == "zsh" else ""
    done = subprocess.run(
        [shell, "-c", f"{start}{script}\n{ask}"], capture_output=True, text=True, check=True,
        env={**os.environ, "PATH": f"{COMMAND.parent}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert {"bash": "leaderboard", "zsh": "_ltbench_completion: function"}[shell] in done.stdout


def typed(shell: str, line: str, folder: Path) -> str:
    """Return what stands on the line of a shell once the tabulator key was pressed behind a text."""
    here, there = pty.openpty()
    tty.setraw(there)
    env = {
        **os.environ,
        "PATH": f"{COMMAND.parent}:{os.environ['PATH']}",
        "PS1": "",
        "TERM": "dumb",
        "HOME": str(folder),
    }
    quiet = {"bash": ["bash", "--norc", "--noprofile", "-i"], "zsh": ["zsh", "-f", "-i"]}[shell]
    # What is completed is shown by the command itself, as a terminal shows other things, too.
    start = "autoload -Uz compinit; compinit -u -D; unsetopt prompt_cr prompt_sp; " if shell == "zsh" else ""
    script = f'{start}eval "$(_LTBENCH_COMPLETE={shell}_source ltbench)"; ltbench() {{ printf "<%s>" "$@" > typed; }}\n'
    with subprocess.Popen(
        quiet, stdin=there, stdout=there, stderr=there, env=env, cwd=folder, start_new_session=True
    ) as process:
        os.close(there)
        reader = threading.Thread(target=_drain, args=(here,), daemon=True)
        reader.start()
        os.write(here, script.encode())
        os.write(here, f"{line}\t".encode())
        until = time.monotonic() + 100
        os.write(here, b"X\nexit\n")
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        process.kill()
    return (folder / "typed").read_text()


def _drain(terminal: int) -> None:
    with contextlib.suppress(OSError):
        while os.read(terminal, 65_536):
            pass


@pytest.mark.parametrize(
    ("shell", "line", "then"),
    [
        ("bash", "ltbench run --plugins mixup[alpha=1,per_b", "<run><--plugins><mixup[alpha=1,per_batch=X>"),
        ("bash", "ltbench run --plugins=mixu", "<run><--plugins=mixup><X>"),
        ("bash", "ltbench run --set mome", "<run><--set><momentum=X>"),
        ("bash", "ltbench run --suite literature-qu", "<run><--suite><literature-quick><X>"),
        ("zsh", "ltbench run --set mome", "<run><--set><momentum=X>"),
        ("zsh", "ltbench run --suite literature-qu", "<run><--suite><literature-quick><X>"),
    ],
)
def test_a_key_completes_in_the_place_of_what_was_typed(shell: str, line: str, then: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert typed(shell, line, tmp_path) == then


# --- defaults of a user ---------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("LTBENCH_CONFIG", str(path))
    monkeypatch.delenv("LTBENCH_STORE", raising=False)
    return path


def test_values_of_the_file_are_defaults(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text(f'store = "{tmp_path / "mine"}"\nleaderboards = "{tmp_path / "boards"}"\n')
    call("cache", "show")
    shown = call("cache", "show").stdout
    assert str(tmp_path / "mine") in shown
    assert str(tmp_path / "other") in call("cache", "show", "--store", tmp_path / "other").stdout
    monkeypatch.setenv("LTBENCH_STORE", str(tmp_path / "set"))
    assert str(tmp_path / "set") in call("cache", "show").stdout


def test_an_option_that_a_command_lacks_is_left_alone(config: Path) -> None:
    config.write_text("workers = 2\n")
    call("list", "loss")


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("seeds = [0]", UnknownName, "seeds"),
        ("storre = 'x'", UnknownName, "did you mean store"),
        ("workers = 'many'", UsageError, "workers of the user's configuration is not valid"),
        ("workers = 0", UsageError, "workers of the user's configuration is not valid"),
        ("store = {a = 1}", UsageError, "store of the user's configuration is not valid"),
        ("store = ", UsageError, "no TOML"),
        ("store = 3", UsageError, "3 is no path"),
        ("store = ''", UsageError, "'' is no path"),
        ("workers = 1.5", UsageError, "'1.5' is not a valid integer"),
        ("workers = true", UsageError, "True is neither text nor a number"),
        ("\x00", UsageError, "no TOML"),
    ],
)
def test_a_wrong_file_is_named(config: Path, text: str, error: type[Exception], says: str) -> None:
    config.write_text(text)
    with pytest.raises(error) as raised:
        call("plan")
    assert says in str(raised.value)
    assert config.name in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("timeout = -5.0", "'-5.0' is not a duration"),
        ("memory = -5", "'-5' is not a size"),
        ("memory = true", "True"),
        ("observe = [{}]", "{}"),
    ],
)
def test_a_limit_in_the_file_is_checked(config: Path, text: str, says: str) -> None:
    config.write_text(text)
    with pytest.raises(UsageError, match="of the user's configuration is not valid") as raised:
        call("run")
    assert says in raised.value.why


def test_numbers_and_one_name_in_the_file_are_values(config: Path) -> None:
    config.write_text('timeout = 60\nmemory = 4000000000\nobserve = "tensorbord"\nstore = "~/mine"\n')
    found = defaults_of(run.command)
    assert (found["timeout"], found["memory"], found["observed"]) == (60.0, 4000000000, ("tensorbord",))
    assert found["store_path"] == Path("~/mine").expanduser()


@pytest.mark.parametrize("words", [("plan",), ("run", "--suite", "quick")])
def test_more_workers_than_a_machine_can_have_are_an_error(
    words: tuple[str, ...], config: Path, tmp_path: Path
) -> None:
    config.write_text(
        f"workers = 99999999999\nstore = '{tmp_path / 'store'}'\nleaderboards = '{tmp_path / 'boards'}'\n"
    )
    with pytest.raises(UsageError, match="99,999,999,999 workers are too many for a machine"):
        call(*words)


def test_a_file_that_is_named_has_to_be_there(config: Path) -> None:
    with pytest.raises(UsageError, match="there is no such configuration"):
        call("list", "loss")


def test_every_option_of_the_file_is_one_of_a_command() -> None:
    from ltbench.cli import COMMANDS, group

    with group.make_context("ltbench", ["list"]) as context:
        there = {
            opt.removeprefix("--")
            for name in COMMANDS
            for p in group.get_command(context, name).params
            for opt in p.opts
        }
    assert set(user_config.OPTIONS) <= there


# --- log messages ---------------------------------------------------------------------------------------------------


@pytest.fixture
def quiet_again() -> None:
    yield
    logger = logging.getLogger("ltbench")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    logger.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("quiet_again")
@pytest.mark.parametrize("before", [0, 1, 3])
def test_jobs_are_logged_on_request_before_or_after_the_command(tmp_path: Path, before: int) -> None:
    options = ("-v", "--log-file", tmp_path / "log")
    after = options if before < len(options) else ()
    said = call(*options[:before], *tiny_run(tmp_path), *after).stderr
    assert said.count("done: cell ") == 1
    log = (tmp_path / "log").read_text()
    for text in (said, log):
        assert "begun: fit " in text
        assert "done: cell " in text
    assert "ltbench.running.runner" in log


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        call("--log-file", tmp_path / "no" / "log", "list")


def test_colours_are_left_out_on_request() -> None:
    script = "import rich.console as c; print(c.Console(force_terminal=True).no_color)"
    env = {**os.environ, "NO_COLOR": "1"}
    assert (
        subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True).stdout
        == "True\n"
    )
