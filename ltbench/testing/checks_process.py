"""What every technique has to hold beyond this process: import, pickling, a fresh start."""

from __future__ import annotations

import pickle

from ltbench.testing import fresh_process
from ltbench.testing.check import per_technique
from ltbench.testing.finding import Skip
from ltbench.testing.flat_values import difference
from ltbench.testing.subject import Subject, failed

_TOLERANCE = 1e-5
"""Between processes sums may be split differently among threads."""


@per_technique
def imports_nothing_heavy(on: Subject) -> None:
    """Importing its module imports neither torch, torchvision, timm, numpy nor pandas.

    `ltbench --help`, `list` and `plan` import every plugin, and start in a fifth of a second. Tried in a fresh process.
    """
    answer = fresh_process.imported(type(on.technique))
    if answer.error:
        raise failed(answer.error, "that its module can be imported alone", "import what the module needs")
    for library, where in answer.heavy.items():
        raise failed(
            f"its module imports {library}{where and f' ({where})'}", "light modules alone",
            f"import {library} inside of the methods that need it, or under `if TYPE_CHECKING:` for types",
        )  # fmt: skip


@per_technique
def survives_pickling(on: Subject) -> None:
    """It is the same after pickling and unpickling.

    Executors carry techniques to other processes and machines.
    """
    fix = "define the class at the top of its module, and give it fields of plain values"
    try:
        again = pickle.loads(pickle.dumps(on.technique))  # noqa: S301 - what was pickled right here
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise failed(f"it cannot be pickled: {error}", "that it can", fix) from None
    if again != on.technique or type(again) is not type(on.technique):
        raise failed(f"pickling makes {again!r} of it", repr(on.technique), fix)


@per_technique
def is_the_same_in_a_fresh_process(on: Subject) -> None:
    """It gives the same result in a process that has just begun, with another seed of Python's hashes.

    Jobs run in other processes and on other machines. Sums may differ by 1e-5, as other numbers of threads split them.
    """
    here = on.usual
    if place := difference(here, on.outcome()):
        raise Skip(f"{place} differs from call to call in this process, too")
    try:
        pickle.dumps(on.technique)
    except Exception as error:  # noqa: BLE001 - another check's business
        raise Skip(f"it cannot be pickled: {error}") from None
    answer = fresh_process.outcome(on.technique)
    fix = "nothing that differs between processes: hash() of text, the order of a set, id(), the process id, the clock"
    if answer.error:
        raise failed(
            f"in a fresh process it raised {answer.error}", "a result", f"nothing that only this process has; {fix}"
        )
    if place := difference(here, answer.outcome, tolerance=_TOLERANCE):
        raise failed(f"{place} differs in a fresh process", "the same", fix)


CHECKS = (imports_nothing_heavy, survives_pickling, is_the_same_in_a_fresh_process)
