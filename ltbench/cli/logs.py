"""Where log messages of a command go: nowhere, to stderr, to a file. What workers print is in the logs of the store."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from ltbench.cli.paths import PathOption
from ltbench.core.atomic_files import OTHER_TARGET, os_errors_as_store_errors


class _Stderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


def log_to(file: Path | None, *, is_shown: bool) -> None:
    """Write log messages of ltbench to stderr if they are to be shown, and append them to a file if there is one.

    Raises `StoreError` if the file cannot be written.
    """
    logger = logging.getLogger("ltbench")
    shown_already = any(isinstance(handler, _Stderr) for handler in logger.handlers)
    handlers: list[logging.Handler] = [_Stderr()] if is_shown and not shown_already else []
    if file is not None:
        with os_errors_as_store_errors(f"{file} cannot be written", file.parent, elsewhere=OTHER_TARGET):
            to_file = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
        to_file.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        handlers.append(to_file)
    for handler in handlers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def with_log_options(command: click.Command, *, hidden: bool = True) -> click.Command:
    """Return the command with the options for logs. hidden: not in its help, as for all but `ltbench` itself."""
    if all(parameter.name != "verbose" for parameter in command.params):
        command.params += [
            click.Option(["-v", "--verbose"], is_flag=True, hidden=hidden, expose_value=False,
                         help="Say on stderr what begins and ends.",
                         callback=lambda _context, _option, is_shown: log_to(None, is_shown=is_shown)),
            click.Option(["--log-file"], type=PathOption(dir_okay=False), hidden=hidden, expose_value=False,
                         metavar="FILE", help="Write it to a file, too, with the time.",
                         callback=lambda _context, _option, file: log_to(file, is_shown=False)),
        ]  # fmt: skip
    return command
