"""Names of pages, which are also names of folders."""

from __future__ import annotations

import re
from typing import Any

import click

from ltbench.errors import UsageError
from ltbench.records.locations import LOCAL

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
"""Valid names of pages."""


class PageName(click.ParamType[str]):
    """The name of a page of a command, refused before the command reads or writes anything."""

    name = "name"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return checked_name(str(value))


def checked_name(name: str) -> str:
    """Return the name of a page. Raises `UsageError` for one that is no name of a folder, or leads out of the leaderboards."""
    if not NAME.fullmatch(name):
        raise UsageError(f"'{name}' is not a valid name of a page", why="the name is used for a folder",
                         fix="use at most 100 letters a-z, digits, - and _")  # fmt: skip
    if name == LOCAL:
        raise UsageError(f"'{name}' is not a valid name of a page", why="that folder contains the local pages",
                         fix="--name OTHER")  # fmt: skip
    return name
