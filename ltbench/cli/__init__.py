"""The command line: one file per command, imported only when it is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys

import click

from ltbench import __version__
from ltbench.core.one_look import one_look
from ltbench.core.signals import SIGNALS, StopNow
from ltbench.core.text_streams import printing_no_controls, spell_what_cannot_be_encoded
from ltbench.errors import INTERRUPTED, WRONG_USAGE, LtbenchError, nearest

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


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"ltbench.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

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
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ltbench")
def group() -> None:
    """Benchmark techniques for long-tailed image classification, alone and in combination."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with its code. An `LtbenchError` prints a message without a traceback.

    argv: the process's own by default; signals are then handled here until the process ends.
    """
    if argv is not None:
        sys.exit(_run(argv))
    # Read when numpy is imported. The matrices of pages and searches are small, and the cores belong to the workers: beside
    # these, a second thread waits for its turn at every step, which takes 80 times as long.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends a command as Ctrl-C does
    try:
        code = _run(None)
    except KeyboardInterrupt:  # a second signal while the message about the first is printed
        code = INTERRUPTED
    for number in SIGNALS:  # a late signal must not change the exit code
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def _run(argv: list[str] | None) -> int:
    spell_what_cannot_be_encoded()
    with printing_no_controls():
        return _exit_code(argv)


def _exit_code(argv: list[str] | None) -> int:
    try:
        with one_look():
            code = group.main(argv, prog_name="ltbench", standalone_mode=False)
    except LtbenchError as error:
        click.echo(f"ltbench: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return WRONG_USAGE
    except (click.Abort, KeyboardInterrupt, StopNow):
        click.echo("ltbench: interrupted; the same command continues from here", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader closed the pipe, as `head` does. Flushing stdout at exit would raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0
