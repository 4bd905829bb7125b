"""The errors that ltbench raises deliberately, with their exit codes.

An error says what is wrong, where, why, and how to fix it. Any other exception is a bug in ltbench or in the plugin
that the message names.
"""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Callable, Iterable, Mapping
from functools import partial, wraps
from typing import Any, cast

DONE = 0
CELLS_FAILED = 1
WRONG_USAGE = 2
PLUGIN_UNAVAILABLE = 4
OUT_OF_DATE = 5
INTERRUPTED = 6
TRAINING = ("torch", "torchvision", "timm", "pebble")
"""The packages of the extra `train`, as they are imported: everything but training and prediction does without."""


class LtbenchError(Exception):
    """Base class of all deliberate errors.

    `what` is one sentence; `where`, `why` and `fix` are optional short lines below it.
    """

    exit_code = WRONG_USAGE

    def __init__(self, what: str, *, where: str = "", why: str = "", fix: str = "") -> None:
        self.what, self.where, self.why, self.fix = what, where, why, fix
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"  {label}: {text}" for label, text in (("where", self.where), ("why", self.why)) if text]
        if self.fix:
            lines.append(f"  try: {self.fix}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        return partial(type(self), where=self.where, why=self.why, fix=self.fix), (self.what,)


class UsageError(LtbenchError):
    """An invalid command line, suite or parameter (exit code 2)."""


class UnknownName(UsageError):
    """An unregistered name; the message lists the nearest registered ones."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str], *, where: str = "") -> UnknownName:
        known = sorted(set(known))
        near = nearest(name, known)
        fix = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known) or 'none'}"
        return cls(f"unknown {kind} '{name}'", where=where, fix=fix)


class ParameterError(UsageError):
    """A hyper-parameter that is unknown, of a wrong type or out of range."""


class SuiteError(UsageError):
    """A suite file that violates the schema or cannot be run."""


class DataError(LtbenchError):
    """A data set that is missing, corrupt, empty or too small (exit code 2)."""


class NoTestImages(DataError):
    """A data set of a user's images without test images, which could be divided (exit code 2)."""


class StoreError(LtbenchError):
    """A store that cannot be read or written: read-only, full, or damaged (exit code 2)."""


class RecordError(LtbenchError):
    """A record that is malformed or was modified after it was made (exit code 2)."""


class PluginError(LtbenchError):
    """A requested plugin that is missing or broken (exit code 4)."""

    exit_code = PLUGIN_UNAVAILABLE


class MissingExtra(LtbenchError):
    """A missing package that an optional feature needs (exit code 2)."""

    @classmethod
    def of(cls, what: str, package: str, extra: str) -> MissingExtra:
        return cls(
            f"{what} needs the package {package}, which is not installed",
            why=f"it comes with the extra '{extra}'",
            fix=f"pip install 'ltbench[{extra}]'",
        )

    @classmethod
    def for_training(cls, what: str, package: str) -> MissingExtra:
        return cls.of(what, package, "train")


def check_can_train(what: str) -> None:
    """Raise `MissingExtra` if a package of the extra `train` is not installed. what: who needs it."""
    for package in TRAINING:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra.for_training(what, package)


class JobFailed(LtbenchError):
    """A job that failed: non-finite values, wrong shapes, an exception in a plugin (exit code 1 for the run)."""

    exit_code = CELLS_FAILED


class StateChanged(JobFailed):
    """A technique that changed the state of its process, which would change the results of later jobs."""

    @classmethod
    def by(cls, who: str, changed: str, *, where: str = "", left: str = "") -> StateChanged:
        """Return the error. changed: the changes, in words; left: those that cannot be undone."""
        return cls(
            f"{who} changed {changed}",
            where=where,
            why="it would change the results of later jobs in this process"
            + (f"; cannot be undone: {left}" if left else ""),
            fix="restore it before the method returns (with, or try and finally), or avoid the change",
        )


class CheckFailed(LtbenchError):
    """A technique that violates a check of `ltbench.testing` (exit code 1).

    `what` is the observation and `why` the expectation.
    """

    exit_code = CELLS_FAILED


class OutOfDate(LtbenchError):
    """A generated file that does not match its records (exit code 5)."""

    exit_code = OUT_OF_DATE


class Interrupted(LtbenchError):
    """A run that was stopped before its end; the message says how to continue (exit code 6)."""

    exit_code = INTERRUPTED


class ClusterError(LtbenchError):
    """A cluster that cannot be reached, has no workers, or cannot be started (exit code 2)."""


class WorkerRefused(LtbenchError):
    """A worker that must not run the jobs of a command, such as one with another version of ltbench (exit code 2)."""


class SchedulerLost(Interrupted):
    """A cluster that lost its scheduler during a run; the same command continues (exit code 6)."""


def lacking(who: str, requires: Mapping[str, str]) -> str:
    """Return which package `who` lacks, and how to install it; empty if it lacks none. requires: package -> how."""
    for package, how in requires.items():
        if importlib.util.find_spec(package) is None:
            return f"{who} needs the package {package}, which is not installed: {how}"
    return ""


def class_name(error: BaseException) -> str:
    """Return the name of the class of an exception, whatever its metaclass does."""
    return cast("str", type.__dict__["__name__"].__get__(type(error)))[:120]  # a name may have megabytes


def raised(error: BaseException) -> str:
    """Return class and message of an exception of somebody's code, whose own methods may raise or return anything.

    >>> raised(ValueError("no")), raised(KeyError())
    ('ValueError: no', 'KeyError')

    Of a method that a technique has to define and does not, it returns the name.
    """
    text = message_of(error) or _undefined(error)
    return f"{class_name(error)}: {text}" if text else class_name(error)


def _undefined(error: BaseException) -> str:
    """Name the method that a technique has to define and does not, as the one of its base class says only that."""
    at = error.__traceback__ if type(error) is NotImplementedError else None
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return f"method '{at.tb_frame.f_code.co_name}' is not defined" if at is not None else ""


def message_of(error: BaseException) -> str:
    """Return the text of an exception, or that it has none that can be read."""
    try:
        return str.__str__(str(error))  # a plain text, also where it is of a class derived from `str`
    except BaseException as again:  # noqa: BLE001 - a technique may raise anything there
        return f"a message that cannot be read, as its __str__ raises {class_name(again)}"


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return the known names closest to `name`, best first; empty if none is close."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=n, cutoff=0.6)
    folded = name.lower().replace("-", "_")
    within = sorted(k for k in known if folded and (folded in k.lower() or k.lower() in folded))
    return list(dict.fromkeys([*close, *within]))[:n]


def did_you_mean(name: str, known: Iterable[str], otherwise: str, place: str = "") -> str:
    """Return a question with the known name closest to `name`, written after `place`; `otherwise` if none is close."""
    near = nearest(name, known, n=1)
    return f"did you mean {place}{near[0]}?" if near else otherwise


def naming_the_technique(method: Callable[[Any], None]) -> Callable[[Any], None]:
    """Have the errors of a technique's own code name it: a `ValueError` refuses its values, any other is a mistake in it."""

    @wraps(method)
    def named(self: Any) -> None:
        try:
            method(self)
        except LtbenchError:
            raise
        except ValueError as error:
            raise ParameterError(
                f"{self.stage} '{self.name}' does not accept its parameters together: {error}",
                fix=f"other values (ltbench show {self.name})",
            ) from None
        except Exception as error:
            raise PluginError(
                f"{self.stage} '{self.name}' fails on its parameters",
                why=raised(error),
                fix="fix the plugin; its check() raises ValueError for values that it does not accept",
            ) from error

    return named
