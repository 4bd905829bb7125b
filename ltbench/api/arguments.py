"""Arguments of a call from Python, checked as the command of the same name checks its options."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

from ltbench.errors import UsageError, nearest

P = ParamSpec("P")
R = TypeVar("R")

_OWN: Final = {
    "techniques", "datasets", "profiles", "models", "imbalance_factors", "seeds", "recipe", "observe", "plugins", "plugin_files",
}  # fmt: skip
"""Arguments that take more than the text of an option: `ltbench.api.asked` reads them."""
_OPTIONS: Final = {"everything": "all"}
"""Options of another name than their argument."""
_TEXTS: Final = {"budget"}
"""Arguments that stay the text that they are, as the printed command has them."""


def checked_as(command: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a function check its arguments as this command does, before it does anything; None stands for a default."""

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as error:
                unknown = [name for name in kwargs if name not in signature.parameters]
                near = nearest(unknown[0], signature.parameters) if unknown else []
                hint = f"; did you mean '{near[0]}'?" if near else ""
                raise TypeError(f"{function.__name__}() {error}{hint}") from None
            defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
            options = _options(command)
            for name, value in bound.arguments.items():
                if value is None and defaults[name] is not inspect.Parameter.empty:
                    bound.arguments[name] = defaults[name]
                elif name not in _OWN and value is not defaults[name]:
                    bound.arguments[name] = _checked(name, value, options.get(_OPTIONS.get(name, name)))
            return function(*bound.args, **bound.kwargs)

        return checked

    return decorated


def _options(command: str) -> dict[str, Any]:
    """Return the options of a command by the name that an argument of Python has."""
    found = importlib.import_module(f"ltbench.cli.{command}").command
    return {
        text.removeprefix("--").replace("-", "_"): option
        for option in found.params for text in option.opts if text.startswith("--")
    }  # fmt: skip


def _checked(name: str, value: object, option: Any) -> Any:
    import click

    from ltbench.cli.option_values import option_value

    if option is None:
        if isinstance(value, str | os.PathLike):
            return value
        raise UsageError(f"{name} is {value!r}", fix="a name or a path")
    try:
        found = option_value(option, str(value) if name in _TEXTS else value)
        return value if name in _TEXTS else found
    except click.BadParameter as error:
        raise UsageError(f"{name} is {value!r}", why=error.message) from None
