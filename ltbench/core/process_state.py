"""The state of a process that code can leave changed, and that would change the numbers of whatever runs next.

A snapshot holds what Python, numpy and torch keep for the whole process or thread: `python_state`, `library_state` and
`patched_functions` of this package list it part by part. It takes a quarter of a millisecond, so it is taken around
every job and around the first call of each technique. States of random generators, and whether torch checks the
parameters of distributions, are put back, never compared.

Out of reach is what Python cannot ask for, or what nobody looks at: settings below Python (`setenv` of C, OpenMP);
functions and classes elsewhere than in the modules and packages of `patched_functions` (quantised and parallel networks
of torch, other libraries); plain values of a module or class, such as `math.pi`; what a function in C or a closure keeps;
what was replaced by the code that imported its library first; threads and processes that still run; options of other
libraries; and what a technique keeps in its own module. `ltbench check` finds some of that, as results that differ
between calls.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from ltbench.core import library_state, patched_functions, python_state
from ltbench.core.state_part import UNKNOWN, Part


class Change(msgspec.Struct, frozen=True):
    """A part of the state that is not as it was."""

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
        shown = [str(value) for value in (self.before, self.after)]
        if self.part.private or any(len(text) > 40 or " at 0x" in text for text in shown):
            return self.part.name
        return f"{self.part.name} from {shown[0]} to {shown[1]}"


class ProcessState:
    """A snapshot of the state of this process and thread."""

    def __init__(self, *, generators: bool = False) -> None:
        """Take a snapshot. generators: for a whole job, with the states of random generators."""
        self._modules = len(sys.modules)
        self._values = {part.name: _read(part) for part in _parts() if part.compared or generators}

    def changes(self) -> list[Change]:
        """Return what differs now, without what imports in between have added."""
        found = []
        for part in _parts():
            before = self._values.get(part.name, part.first)
            if not part.compared or before is UNKNOWN:
                continue
            after = _read(part)
            if not _equal(before, after) and not (part.imports_add and self._is_of_import(part, before, after)):
                found.append(Change(part, before, after))
        return found

    def _is_of_import(self, part: Part, before: Any, after: Any) -> bool:
        """Whether the change may be what the import of a library has added."""
        if len(sys.modules) == self._modules or not _only_adds(before, after):
            return False
        return not any(key in after and key not in before for key in part.never_added)

    def restore(self) -> Restored:
        """Put everything back that can be; return what had changed, and what of it still differs."""
        changed = []
        for part in _parts():
            before = self._values.get(part.name, part.first)
            if before is UNKNOWN:
                continue
            after = _read(part) if part.compared else UNKNOWN
            if _equal(before, after):
                continue
            is_of_import = part.imports_add and self._is_of_import(part, before, after)
            if part.compared and not is_of_import:
                changed.append(Change(part, before, after))
            if part.put is not None and not (is_of_import and part.keeps_added):
                with contextlib.suppress(Exception):  # what could not be put back is in the answer
                    part.put(before)
        return Restored(changed, self.changes() if changed else [])


class Restored(NamedTuple):
    """What had changed, and what of that could not be put back."""

    changed: list[Change]
    left: list[Change]


_watched: set[Hashable] = set()
"""The calls that were watched since the job began."""


def forget_calls() -> None:
    """Watch first calls again, as a job begins."""
    _watched.clear()


@contextlib.contextmanager
def unchanged(blame: Callable[[list[Change]], Exception], *, first: Hashable = None) -> Iterator[None]:
    """Put the state back and raise what `blame` returns where the block leaves it changed. An error in it goes first.

    first: names the call; in one job only the first one with that name is watched.
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
    yield patched_functions.PART
    # A library that is not imported has no state, and most commands import neither.
    if "numpy" in sys.modules:
        yield from library_state.numpy_parts()
    if "torch" in sys.modules:
        yield from library_state.torch_parts()


def _read(part: Part) -> Any:
    try:
        return part.get()
    except Exception as error:  # noqa: BLE001 - a technique may have put anything in the place of what is read
        return f"something that raises {type(error).__name__}"


def _text(key: object) -> str:
    return os.fsdecode(key) if isinstance(key, bytes) else str(key)


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001 - a plugin may have put anything there
        return False


def _same(one: Mapping[Any, Any], other: Mapping[Any, Any], key: Any) -> bool:
    return key in one and key in other and _equal(one[key], other[key])


def _only_adds(before: Any, after: Any) -> bool:
    """Whether everything in `before` is in `after`, in the same order."""
    if isinstance(before, Mapping):
        return isinstance(after, Mapping) and all(_same(before, after, key) for key in before)
    if not isinstance(after, list):
        return False
    rest = iter(after)
    return all(any(_equal(item, other) for other in rest) for item in before)
