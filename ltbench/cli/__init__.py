"""The command line: one file per command, imported when it is called."""

from __future__ import annotations

import importlib
import os
import signal
import sys

import click

from ltbench import __version__
from ltbench.core.signals import SIGNALS, StopNow
from ltbench.errors import INTERRUPTED, WRONG_USAGE, LtbenchError, nearest

COMMANDS = {
    "run": "Train what is missing of a suite and publish its leaderboard.",
    "plan": "Show what a run would do, before anything runs.",
    "status": "Show what is running on a store, and how the last runs ended.",
    "list": "List the techniques by stage.",
    "show": "Explain a technique or a suite.",
    "check": "Examine a technique against what its stage demands.",
    "leaderboard": "Print, check or render leaderboards from their records.",
    "report": "Make one HTML file of a leaderboard, for a browser.",
    "cache": "Show what the store holds, and remove what nobody needs.",
    "data": "Show where the data sets are and what is missing.",
    "plugins": "List the plugins and what each offers.",
    "new": "Write a package for a technique of your own.",
    "show-cell": "Show all that is known of one cell, and the command that runs it again.",
    "compare": "Compare two sets of records, or two combinations of techniques, cell by cell.",
    "export": "Write every number as CSV, JSON or Parquet, one row per cell and metric.",
    "verify": "Examine records that somebody else made, and train some of their cells again.",
    "merge": "Take records of other machines into a leaderboard.",
    "invalidate": "Withdraw the numbers of a cell from every page, with the reason.",
    "doctor": "Examine the installation and say how to mend what is wrong.",
}
"""Every command with its one line of help, so that `--help` imports none of them."""


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
            ctx.fail(f"there is no command '{args[0]}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="ltbench")
def group() -> None:
    """Find out which technique for long-tailed image classification really helps, alone and in combination."""


def main(argv: list[str] | None = None) -> None:
    """Run the command line and exit with its code; a deliberate error is a message, never a traceback.

    argv: by default what the process was given, and then its signals are this function's, to the very end.
    """
    if argv is not None:
        sys.exit(_run(argv))
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends a command as Ctrl-C does
    try:
        code = _run(None)
    except KeyboardInterrupt:  # another one while the first was told
        code = INTERRUPTED
    for number in SIGNALS:  # the command is over; what comes now must not change how it ended
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)


def _run(argv: list[str] | None) -> int:
    try:
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
        # Whoever read the output has seen enough; closing stdout again at exit would raise once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0
