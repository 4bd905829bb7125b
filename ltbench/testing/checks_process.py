"""Checks of every stage in other processes: import, pickling, equal results."""

from __future__ import annotations

import pickle

from ltbench.testing import fresh_process
from ltbench.testing.check import per_technique
from ltbench.testing.finding import Skip
from ltbench.testing.flat_values import difference
from ltbench.testing.subject import Subject, failed

_TOLERANCE = 1e-5
"""Sums may be split among a different number of threads in another process."""


@per_technique
def imports_nothing_heavy(on: Subject) -> None:
    """The module of the technique imports neither torch, torchvision, timm, numpy nor pandas.

    `ltbench list` and `plan` import every plugin and start in a fifth of a second. Tested in a fresh process.
    """
    answer = fresh_process.imported(type(on.technique))
    if answer.error:
        raise failed(answer.error, "a module that can be imported by itself", "add the missing imports")
    for library, where in answer.heavy.items():
        raise failed(
            f"its module imports {library}{where and f' ({where})'}", "only light modules",
            f"import {library} in the methods that need it, or under `if TYPE_CHECKING:` for types",
        )  # fmt: skip


@per_technique
def survives_pickling(on: Subject) -> None:
    """Unpickling a pickled technique gives an equal one.

    Executors send techniques to other processes and machines.
    """
    fix = "define the class at module level, with fields of plain values"
    try:
        again = pickle.loads(pickle.dumps(on.technique))  # noqa: S301 - pickled in the same line
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise failed(f"pickling raised: {error}", "a technique that can be pickled", fix) from None
    if again != on.technique or type(again) is not type(on.technique):
        raise failed(f"unpickling gives {again!r}", repr(on.technique), fix)


@per_technique
def is_the_same_in_another_process(on: Subject) -> None:
    """Results are equal in a fresh process with another hash seed.

    Jobs run in other processes and on other machines. Sums may differ by 1e-5, because the number of threads may
    differ.
    """
    here = on.default_result
    if place := difference(here, on.result()):
        raise Skip(f"{place} differs between calls in this process, too")
    try:
        pickle.dumps(on.technique)
    except Exception as error:  # noqa: BLE001 - survives_pickling reports it
        raise Skip(f"it cannot be pickled: {error}") from None
    answer = fresh_process.result(on.technique)
    fix = "do not use what differs between processes: hash() of text, order of sets, id(), process id, clock"
    if answer.error:
        raise failed(
            f"in a fresh process it raised {answer.error}",
            "a result",
            f"do not depend on the state of this process; {fix}",
        )
    if place := difference(here, answer.result, tolerance=_TOLERANCE):
        raise failed(f"{place} differs in a fresh process", "equal results", fix)


CHECKS = (imports_nothing_heavy, survives_pickling, is_the_same_in_another_process)
