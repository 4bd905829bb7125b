"""The command line: one file per command, imported only when it is called.

The names of commands, such as `list`, hide builtins here once their files are imported.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import click

from ltbench import __version__
from ltbench.cli import completion
from ltbench.cli.examples import with_examples
from ltbench.cli.logs import with_log_options
from ltbench.cli.user_config import defaults_of
from ltbench.core.folders import docs_folder
from ltbench.core.one_look import one_look
from ltbench.core.signals import SIGNALS, StopNow
from ltbench.core.text_streams import open_standard_streams, printing_no_controls, spell_what_cannot_be_encoded
from ltbench.errors import (
    DONE,
    INTERRUPTED,
    PLUGIN_UNAVAILABLE,
    TRAINING,
    WRONG_USAGE,
    LtbenchError,
    MissingExtra,
    nearest,
    raised,
)

COMMANDS = {
    "run": "Run the missing cells of a suite and show its leaderboard.",
    "recommend": "Find out which techniques to use on your own images.",
    "search": "Find the best combinations of a suite without running all of them.",
    "plan": "Show what a run would do and how long it would take.",
    "status": "Show the active and recent runs of a store.",
    "list": "List the techniques by stage.",
    "show": "Describe a technique, executor or suite.",
    "check": "Check a technique against the requirements of its stage.",
    "leaderboard": "Print, check or render leaderboards from their records.",
    "report": "Write a leaderboard as one HTML file for a browser.",
    "publish": "Publish the leaderboard of runs on this machine.",
    "cache": "Show the contents of the store, and prune what is not needed.",
    "data": "Show where the data sets are, and download missing ones.",
    "plugins": "List the plugins and what each provides.",
    "new": "Create a package for a new technique.",
    "show-cell": "Show the record of a cell, and the command that reruns it.",
    "compare": "Compare two sets of records, or two combinations of techniques, cell by cell.",
    "export": "Export all numbers as CSV, JSON or Parquet, one row per cell and metric.",
    "export-model": "Write the trained model of a cell into a folder, for use anywhere.",
    "predict": "Classify images with a trained model.",
    "verify": "Verify records of other people, and rerun some of their cells.",
    "merge": "Merge records from other machines into a leaderboard.",
    "invalidate": "Withdraw the numbers of a cell from every page, and say why.",
    "doctor": "Check the installation and suggest fixes.",
}
"""The commands with their short help, so that `--help` imports none of them."""

_THREAD_SECONDS = 5.0
"""Seconds that threads may take to end once a command is done."""
_EXIT_SECONDS = 20.0
"""Seconds that functions registered with `atexit` may take."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"ltbench.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        if completion.is_asked():
            completion.add_completion(command)
        ctx.default_map = {cmd_name: defaults_of(command)}
        return with_log_options(with_examples(cmd_name, command))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            near = nearest(args[0], COMMANDS)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"unknown command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Documentation"):
            formatter.write_text(f"{docs_folder()} (docs/index.md is the first page)")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ltbench")
def group() -> None:
    """Benchmark techniques for long-tailed image classification, alone and in combination."""


with_log_options(group, hidden=False)


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with its code. An `LtbenchError` prints a message without a traceback.

    argv: the process's own by default; signals are then handled here until the process ends.
    """
    if sys.platform == "win32":
        sys.exit(
            "ltbench: Windows is not supported, because leases, locks and signals are those of POSIX\n  try: WSL, the Linux in Windows"
        )
    if argv is not None:
        sys.exit(_run(argv))
    if completion.is_asked():
        from ltbench.cli import shells

        shells.register()
        group.main(prog_name="ltbench")
    # Read when numpy is imported. The matrices of pages and searches are small, and the cores belong to the workers: beside
    # these, a second thread waits for its turn at every step, which takes 80 times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    open_standard_streams()
    # Done last, as it is registered first: Python then takes back the handlers, and a late signal would change the exit code.
    atexit.register(lambda: [signal.signal(number, signal.SIG_IGN) for number in SIGNALS])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends a command as Ctrl-C does
    try:
        code = _run(None)
    except KeyboardInterrupt:  # a second signal while the message about the first is printed
        code = INTERRUPTED
    _end(code)


def _end(code: int) -> NoReturn:
    """Exit with this code, whatever a technique has left running or to be done at the end."""

    def end_now(*_: object) -> NoReturn:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # closed, or full
                stream.flush()
        os._exit(code)

    for number in SIGNALS:  # a late signal must not change the exit code
        signal.signal(number, end_now)
    # Python would wait for such threads for ever.
    left = [one for one in threading.enumerate() if not one.daemon and one is not threading.current_thread()]
    until = time.monotonic() + _THREAD_SECONDS
    for thread in left:
        thread.join(max(until - time.monotonic(), 0.0))
    if any(thread.is_alive() for thread in left):
        _say("a technique has left a thread that does not end; it is stopped with this command")
        end_now()

    def end_late() -> None:
        time.sleep(_EXIT_SECONDS)
        _say("what a technique has left to be done at the end does not end; it is stopped with this command")
        end_now()

    threading.Thread(target=end_late, daemon=True).start()
    sys.exit(code)


def _run(argv: list[str] | None) -> int:
    spell_what_cannot_be_encoded()
    with printing_no_controls():
        return _exit_code(argv)


def _exit_code(argv: list[str] | None) -> int:
    try:
        return _run_command([*(sys.argv[1:] if argv is None else argv)])
    except LtbenchError as error:
        _say(str(error))
        return error.exit_code
    except click.ClickException as error:
        error.show()
    except (click.Abort, EOFError, KeyboardInterrupt, StopNow):  # EOFError: no answer to a question
        _say("interrupted; the same command continues from here")
        return INTERRUPTED
    except SystemExit as error:
        _say(f"a plugin has ended the command: {raised(error)}")
        return PLUGIN_UNAVAILABLE
    except OSError as error:
        # A disk, a folder or an output that fails; what a command knows to go wrong is an `LtbenchError`.
        _say(str(_explained(error)))
    return WRONG_USAGE


def _run_command(arguments: list[str]) -> int:
    # Not `group.main`, which ends with code 1 if the reader of the output leaves, and nothing then tells why.
    try:
        with one_look(), group.make_context("ltbench", arguments) as context:
            code = group.invoke(context)
        return code if isinstance(code, int) else DONE
    except click.exceptions.Exit as error:  # of --help and --version
        return error.exit_code
    except BrokenPipeError:  # the reader has what it wants, as `head` does
        _drop_output()
        return DONE
    except ModuleNotFoundError as error:
        if (package := (error.name or "").partition(".")[0]) not in TRAINING:
            raise
        raise MissingExtra.for_training("this command", package) from None


def _drop_output() -> None:
    """Send what is still to be written to stdout nowhere, so that Python does not fail when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _explained(error: OSError) -> LtbenchError:
    why = error.strerror or raised(error)
    if error.filename is not None:
        return LtbenchError(f"{os.fsdecode(error.filename)} cannot be used", why=why)
    try:
        Path.cwd()
    except OSError:
        return LtbenchError(
            "the folder that the command was started in no longer exists", fix="start it in another one"
        )
    return LtbenchError("something cannot be read or written", why=why, fix="check the disk, and where the output goes")


def _say(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # stderr fails, too
        click.echo(f"ltbench: {text}", err=True)
