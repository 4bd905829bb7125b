"""The state of a process that code can change, with effects on the results of later jobs.

A snapshot holds what Python, numpy and torch keep for the whole process or thread, and the functions and constants of
modules that jobs use: `python_state`, `library_state`, `torch_state` and `watched_code` of this package list its parts. It
takes a millisecond around a job, and half of one around the first call of each technique, where only what numbers are computed
with is compared: of other changes the job names all its techniques. States of random generators, and whether torch checks the
parameters of distributions, are restored but not compared.

Not covered: settings of libraries in C that no function of Python reads (OpenMP); functions and classes outside the
modules and packages of `watched_code` (quantised and parallel networks of torch, other libraries, helper modules of techniques);
contents of lists and dictionaries of a module; the state of C functions and closures; functions replaced by the code that
first imported their library; operators that `torch.library` overrides; threads and processes that still run; calls at the end
of the process (`atexit`), which libraries add for good reasons; options of other libraries; and state in the module of a
technique. `ltbench check` finds some of these, as results that differ between calls.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from ltbench.core import library_state, patched_functions, python_state, torch_state
from ltbench.core.state_part import UNKNOWN, Part
from ltbench.errors import class_name


class Change(msgspec.Struct, frozen=True):
    """A part of the state that has changed."""

    part: Part
    before: Any
    after: Any

    def __str__(self) -> str:
        if isinstance(self.before, Mapping) and isinstance(self.after, Mapping):
            keys = sorted(
                {_text(key) for key in {**self.before, **self.after} if not _same(self.before, self.after, key)}
            )
            more = f" and {len(keys) - 4} more" if len(keys) > 4 else ""
            return f"{self.part.name} {', '.join(keys[:4])}{more}"
        shown = [_text(value) for value in (self.before, self.after)]
        if self.part.private or any(len(text) > 40 or " at 0x" in text for text in shown):
            return self.part.name
        return f"{self.part.name} from {shown[0]} to {shown[1]}"


class ProcessState:
    """A snapshot of the state of this process and thread."""

    def __init__(self, *, of_job: bool = False) -> None:
        """Take a snapshot. of_job: for a whole job, with states of random generators and what takes long to read."""
        self._modules = len(sys.modules)
        self._of_job = of_job
        self._values = {_key(part): _read(part) for part in self._parts() if part.compared or of_job}

    def _parts(self) -> Iterator[Part]:
        return (part for part in _parts() if self._of_job or not part.of_jobs)

    def changes(self) -> list[Change]:
        """Return what has changed since, without additions by imports."""
        found = []
        for part in self._parts():
            before = self._values.get(_key(part), part.first)
            if not part.compared or before is UNKNOWN:
                continue
            after = _read(part)
            if not _equal(before, after) and not (part.imports_add and self._is_of_import(part, before, after)):
                found.append(Change(part, before, after))
        return found

    def _is_of_import(self, part: Part, before: Any, after: Any) -> bool:
        """Whether the change may be an addition by the import of a library."""
        if len(sys.modules) == self._modules or not _only_adds(before, after):
            return False
        return not any(key in after and key not in before for key in part.never_added)

    def restore(self) -> Restored:
        """Restore what can be restored; return what had changed, and what still differs."""
        changed = []
        for part in self._parts():
            before = self._values.get(_key(part), part.first)
            if before is UNKNOWN:
                continue
            after = _read(part) if part.compared else UNKNOWN
            if _equal(before, after):
                continue
            is_of_import = part.imports_add and self._is_of_import(part, before, after)
            if part.compared and not is_of_import:
                changed.append(Change(part, before, after))
            if part.put is not None and not (is_of_import and part.keeps_added):
                with contextlib.suppress(BaseException):  # failures are part of the result
                    part.put(before)
        return Restored(changed, self.changes() if changed else [])


class Restored(NamedTuple):
    """What had changed, and what could not be restored."""

    changed: list[Change]
    left: list[Change]


_watched: set[Hashable] = set()
"""The calls watched since the job began."""


def forget_calls() -> None:
    """Watch first calls again, as a job begins."""
    _watched.clear()


@contextlib.contextmanager
def unchanged(blame: Callable[[list[Change]], Exception], *, first: Hashable = None) -> Iterator[None]:
    """Restore the state, and raise the error from `blame` if the block has changed it, unless the block raised.

    first: names the call; within a job only the first call with that name is watched.
    """
    if first is not None and first in _watched:
        yield
        return
    _watched.add(first)
    before = ProcessState()
    yield
    if changes := before.changes():
        before.restore()
        raise blame(changes)


def written(changes: list[Change]) -> str:
    """Return the changes as part of a sentence: `torch's default dtype from torch.float32 to torch.float64`."""
    return ", ".join(map(str, changes))


def _parts() -> Iterator[Part]:
    yield from python_state.PARTS
    yield from patched_functions.PARTS
    yield from library_state.parts()
    if "torch" in sys.modules:  # a library that is not imported has no state
        yield from torch_state.torch_parts()


def _key(part: Part) -> tuple[str, bool]:
    return part.name, part.of_jobs


def _read(part: Part) -> Any:
    try:
        return part.get()
    except BaseException as error:  # noqa: BLE001 - a technique may have put anything in the place of what is read
        return f"a value that raises {class_name(error)}"


def _text(value: object) -> str:
    try:
        return os.fsdecode(value) if isinstance(value, bytes) else str(value)
    except BaseException as error:  # noqa: BLE001 - as above
        return f"a value that raises {class_name(error)}"


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return bool(one == other)
    except BaseException:  # noqa: BLE001 - a plugin may have put anything there
        return False


def _same(one: Mapping[Any, Any], other: Mapping[Any, Any], key: Any) -> bool:
    return key in one and key in other and _equal(one[key], other[key])


def _only_adds(before: Any, after: Any) -> bool:
    """Whether `after` contains everything in `before`, in the same order."""
    if isinstance(before, Mapping):
        return isinstance(after, Mapping) and all(_same(before, after, key) for key in before)
    if not isinstance(after, list):
        return False
    rest = iter(after)
    return all(any(_equal(item, other) for other in rest) for item in before)
