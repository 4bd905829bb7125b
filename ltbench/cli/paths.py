"""Paths on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class PathOption(click.Path):
    """A path, but no empty text: that of a variable that is not set would be the working directory."""

    def __init__(self, **kinds: bool) -> None:
        """kinds: what `click.Path` takes, such as `file_okay=False`."""
        super().__init__(path_type=Path, **kinds)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if value == "":
            self.fail("an empty text is no path", param, ctx)
        return super().convert(value, param, ctx)
