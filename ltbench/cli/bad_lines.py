"""Commands that only read records use all good lines, and say which ones they skipped."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from ltbench.core.words import counted
from ltbench.errors import CELLS_FAILED, DONE

if TYPE_CHECKING:
    from ltbench.errors import RecordError

_SHOWN = 3


def skips_bad_lines(function: Callable[..., Any]) -> Callable[..., int]:
    """Have a command skip malformed lines of records; its exit code is then 1, and stderr names them once."""

    @functools.wraps(function)
    def command(*args: Any, **kwargs: Any) -> int:
        from ltbench.records.lines import skipping_bad_lines

        with skipping_bad_lines() as skipped:
            code: int | None = function(*args, **kwargs)
        print_skipped(skipped)
        return code or (CELLS_FAILED if skipped else DONE)

    return command


def print_skipped(skipped: Mapping[str, RecordError]) -> None:
    """Print the malformed lines that were skipped, by file and line, to stderr; nothing if there are none."""
    if not skipped:
        return
    click.echo(f"skipped {counted(len(skipped), 'malformed line')}, which should be restored or removed:", err=True)
    for where, error in list(skipped.items())[:_SHOWN]:
        click.echo(f"  {where}: {error.what}" + (f" ({error.why})" if error.why else ""), err=True)
    if len(skipped) > _SHOWN:
        click.echo(f"  and {len(skipped) - _SHOWN:,} more", err=True)
