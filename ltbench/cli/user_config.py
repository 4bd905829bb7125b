"""Defaults of a user: a TOML file with values of options that cannot change a number.

    # ~/.config/ltbench/config.toml
    store = "/data/ltbench"
    workers = 4

A suite, seeds or a recipe are no defaults: the same command would make other numbers elsewhere.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import click

from ltbench.cli.option_values import option_value
from ltbench.errors import UnknownName, UsageError

VARIABLE: Final = "LTBENCH_CONFIG"
OPTIONS: Final = (
    "store", "data-root", "leaderboards", "executor", "workers", "device", "per-gpu", "retries", "timeout", "memory", "observe",
)  # fmt: skip
"""What may be set, as options are written without their dashes."""
_STRONGER: Final = {"store": "LTBENCH_STORE", "data-root": "LTBENCH_DATA"}
"""Options whose environment variable counts more than the file."""


def config_file() -> Path | None:
    """Return the file: `$LTBENCH_CONFIG`, else `config.toml` in the folder for settings of this system.

    None for a user without a home, who has no such folder.
    """
    if given := os.environ.get(VARIABLE):
        return Path(given)
    from platformdirs import user_config_path

    try:
        return user_config_path("ltbench", appauthor=False) / "config.toml"
    except RuntimeError:
        return None


def read_config(path: Path) -> dict[str, Any]:
    """Return the values of a file, by option; none without a file that was not asked for. Raises `UsageError` naming the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if not os.environ.get(VARIABLE):
            return {}
        raise UsageError(
            "there is no such configuration", where=str(path), why=f"${VARIABLE} names it", fix=f"unset {VARIABLE}"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("the user's configuration cannot be read", where=str(path), why=str(error)) from None
    import tomllib

    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError("the user's configuration is no TOML", where=str(path), why=str(error)) from None
    for option in values:
        if option not in OPTIONS:
            raise UnknownName.of(f"option of {path}", option, OPTIONS)
    return values


def defaults_of(command: click.Command) -> dict[str, Any]:
    """Return the values of the user's file for the options that a command has, by the names of its parameters.

    Raises `UsageError` naming the file for a value that an option does not take.
    """
    path = config_file()
    values = read_config(path) if path else {}
    found = {}
    for parameter in command.params:
        for name in (option.removeprefix("--") for option in parameter.opts):
            if name not in values or os.environ.get(_STRONGER.get(name, "")):
                continue
            try:
                found[parameter.name or ""] = option_value(parameter, values[name])
            except click.BadParameter as error:
                raise UsageError(
                    f"{name} of the user's configuration is not valid", where=str(path), why=error.message
                ) from None
    return found
