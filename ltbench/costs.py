"""Costs of wrong decisions: from a file or a text, as a matrix for the classes of a data set, and the mean of test images.

The expected cost of a cell follows from its confusion matrix, so it is computed when it is asked for, also for cells of years
ago, and is in no record: records of a folder can be ranked by any costs. Costs are written `cat>dog:5+*>cat:2`, true class
first: taking a cat for a dog costs 5, taking anything else for a cat 2, and every other error 1. A later part counts more than an
earlier one; `*>*:3` is the cost of all other errors, and `cat|dog>*:3` that of all errors with a cat or a dog. A correct
decision costs nothing, unless `cat>cat:-1` says so. `*>*:none` demands a cost for every error.

Source: Elkan, The Foundations of Cost-Sensitive Learning, IJCAI 2001.
"""

from __future__ import annotations

import csv
import functools
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from ltbench.columns import HELD_OUT, Column
from ltbench.cost_rules import CostPart, CostRules
from ltbench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ltbench.confusion import Confusion

NAME: Final = "expected_cost"
"""The metric: `expected_cost[costs=cat>dog:5]`, the mean over test images."""
BALANCED: Final = f"balanced_{NAME}"
"""The same if all classes had equally many images: the mean over classes of the mean cost of their images."""
_METRIC = re.compile(rf"(?P<name>{NAME}|{BALANCED})\[(?:costs=)?(?P<costs>.*)\]", re.DOTALL)
_ANY = "*"
_ALL = (_ANY,)
_RESERVED = re.compile(r"[^\w./\- ]|^ | $")
"""What is written as %XX in the name of a class; words of any script stay as they are."""
_SYNTAX = "TRUE>PREDICTED:COST+..., such as cat>dog:5+*>cat:2, or a CSV or JSON file with the names of the classes"

Names = tuple[str, ...]


def is_cost(metric: str) -> bool:
    """Return whether the name of a number is that of an expected cost, also on held-out images."""
    return metric.removeprefix(HELD_OUT).partition("[")[0] in (NAME, BALANCED)


def resolved(metric: str) -> str:
    """Return the name of a metric with the costs themselves in place of the file that has them; other names unchanged.

    Raises `UsageError` if the costs cannot be read.
    """
    if not is_cost(metric):
        return metric
    found = _METRIC.fullmatch(metric.removeprefix(HELD_OUT))
    if found is None or not found["costs"].strip():
        raise UsageError(f"'{metric}' has no costs", fix=f"{NAME}[costs={_SYNTAX}]")
    prefix = HELD_OUT if metric.startswith(HELD_OUT) else ""
    return f"{prefix}{found['name']}[costs={read_costs(found['costs'].strip().strip(chr(34)))}]"


def costs_of(metric: str) -> str:
    """Return the costs in the name of a metric."""
    found = _METRIC.fullmatch(metric.removeprefix(HELD_OUT))
    if found is None:
        raise UsageError(f"'{metric}' has no costs", fix=f"{NAME}[costs={_SYNTAX}]")
    return found["costs"]


def balanced(metric: str) -> str:
    """Return the name of an expected cost for equally many images of each class."""
    return f"{BALANCED}[costs={costs_of(metric)}]"


def cost_column(metric: str) -> Column:
    """Return how leaderboards show an expected cost."""
    name = metric.removeprefix(HELD_OUT)
    title = "Expected cost of balanced classes" if name.startswith(BALANCED) else "Expected cost"
    return Column(
        name=name, title="cost", long_title=title, higher_is_better=False, unit="plain",
        shown="main", priority=999, description=f"Mean cost of the decisions: {words(costs_of(metric))}.",
    )  # fmt: skip


# --- text and files -------------------------------------------------------------------------------------------------


def read_costs(text: str) -> str:
    """Return costs in their shortest form, from a text or a file. Raises `UsageError` naming what cannot be read.

    A CSV file has the predicted classes in its first line, and a line for each true class that begins with its name; a JSON
    file has {true: {predicted: cost}}. Both may leave out the diagonal.
    """
    if text.lower().endswith((".csv", ".json")):
        return _of_rows(_read_file(Path(text)), text)
    parts = [part for part in text.split("+") if part.strip()]
    if not parts:
        raise UsageError("there are no costs", fix=_SYNTAX)
    return "+".join(_written(*_part(part)) for part in parts)


def words(costs: str) -> str:
    """Return costs as a page says them: `cat taken for dog costs 5, any other error 1`."""
    usual: float | None = 1.0
    single: dict[str, list[str]] = {}
    whole: dict[float, list[str]] = {}
    for true, predicted, cost in map(_part, costs.split("+")):
        if true == predicted == _ALL:
            usual = cost
        elif cost is None:
            continue
        elif predicted == _ALL:
            whole.setdefault(cost, []).extend(true)
        else:
            what = "anything" if true == _ALL else _listed(true)
            single.setdefault(_number(cost), []).append(f"{what} taken for {_listed(predicted)}")
    told = [f"{_listed(pairs)} costs {cost}" for cost, pairs in single.items()]
    if usual is None and whole:
        # A matrix has costs for all classes: those that most have are those of any other error.
        usual = max(whole, key=lambda cost: (len(whole[cost]), -cost))
    other = "any other error with" if single else "any error with"
    told += [f"{other} {_listed(names)} costs {_number(cost)}" for cost, names in whole.items() if cost != usual]
    return ", ".join([*told, *([f"any other error {_number(usual)}"] if usual is not None else [])])


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _part(text: str) -> tuple[Names, Names, float | None]:
    """Return true classes, predicted classes and cost of a part; None for `none`."""
    pair, colon, cost = text.strip().rpartition(":")
    sides = [tuple(unquote(name) for name in side.split("|")) for side in pair.split(">")]
    try:
        if (
            not colon
            or len(sides) != 2
            or not all(map(all, sides))
            or any(_ANY in side and side != _ALL for side in sides)
        ):
            raise ValueError
        number = None if cost == "none" and pair == "*>*" else float(cost)
    except ValueError:
        raise UsageError(f"the cost '{text}' cannot be read", fix=_SYNTAX) from None
    if number is not None and not math.isfinite(number):
        raise UsageError(f"the cost '{text}' is not finite")
    return sides[0], sides[1], number


def _written(true: Names, predicted: Names, cost: float | None) -> str:
    sides = ("|".join(map(_name, side)) for side in (true, predicted))
    return f"{'>'.join(sides)}:{'none' if cost is None else _number(cost)}"


def _name(name: str) -> str:
    if name == _ANY:
        return name
    return _RESERVED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)


def _number(cost: float) -> str:
    # The + of an exponent separates parts.
    text = f"{cost:g}" if float(f"{cost:g}") == cost else repr(cost)
    return text.replace("e+", "e")


def _read_file(path: Path) -> dict[str, dict[str, float]]:
    """Return true class -> predicted class -> cost."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = _from_json(text) if path.suffix.lower() == ".json" else _from_csv(text)
        return {true: {predicted: float(cost) for predicted, cost in row.items()} for true, row in rows.items()}
    except OSError as error:
        raise UsageError(f"the costs {path} cannot be read", why=error.strerror or str(error), fix=_SYNTAX) from None
    except (ValueError, TypeError, AttributeError, RecursionError, csv.Error) as error:
        raise UsageError(f"the costs {path} cannot be read", why=str(error),
                         fix="a first line with the predicted classes, and a line for each true class that begins with its name; "
                             "or {true: {predicted: cost}} as JSON") from None  # fmt: skip


def _from_json(text: str) -> dict[str, dict[str, float]]:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if twice := [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]:
            raise ValueError(f"'{twice[0]}' is there twice")
        return dict(pairs)

    found: dict[str, dict[str, float]] = json.loads(text, object_pairs_hook=unique)
    return found


def _from_csv(text: str) -> dict[str, dict[str, float]]:
    head = text.partition("\n")[0]
    # Spreadsheets of some languages write semicolons, others tabs.
    mark = max(",;\t", key=head.count)
    read = csv.reader(text.splitlines(), delimiter=mark)
    lines = [[cell.strip() for cell in line] for line in read if any(map(str.strip, line))]
    if not lines:
        raise ValueError("it is empty")
    predicted = lines[0][1:]
    rows: dict[str, dict[str, float]] = {}
    for name, *costs in lines[1:]:
        if len(costs) != len(predicted):
            raise ValueError(f"the line of '{name}' has {len(costs)} costs for {len(predicted)} predicted classes")
        if name in rows or len(set(predicted)) < len(predicted):
            raise ValueError(f"a class is there twice{f': {name!r}' if name in rows else ''}")
        rows[name] = {one: float(cost) for one, cost in zip(predicted, costs, strict=True) if cost}
    return rows


def _of_rows(rows: Mapping[str, Mapping[str, float]], where: str) -> str:
    """Return the text of a matrix: the most frequent cost of each true class, and what differs from it."""
    names = sorted({*rows, *(name for row in rows.values() for name in row)})
    if len(names) < 2 or _ANY in names or "" in names:
        raise UsageError(f"the costs {where} have no two classes with names")
    usual: dict[float, list[str]] = {}
    single: dict[tuple[str, float], list[str]] = {}
    for true in names:
        row = rows.get(true, {})
        if lacking := [name for name in names if name != true and name not in row]:
            raise UsageError(f"the costs {where} say nothing of '{true}' taken for '{lacking[0]}'",
                             fix="a cost for every pair of different classes")  # fmt: skip
        if not all(map(math.isfinite, row.values())):
            raise UsageError(f"the costs {where} of '{true}' are not finite")
        # Of equally frequent ones the lowest, so that the order of the file does not matter.
        counted = Counter(row[name] for name in names if name != true)
        own = min(counted, key=lambda cost: (-counted[cost], cost))
        usual.setdefault(own, []).append(true)
        for name in names:
            if name != true and row[name] != own:
                single.setdefault((true, row[name]), []).append(name)
    parts: list[tuple[Names, Names, float | None]] = [(_ALL, _ALL, None)]
    parts += [(tuple(of), _ALL, cost) for cost, of in sorted(usual.items())]
    parts += [((true,), tuple(of), cost) for (true, cost), of in sorted(single.items())]
    parts += [((name,), (name,), rows[name][name]) for name in names if rows[name].get(name)]
    return "+".join(_written(*part) for part in parts)


# --- numbers --------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def cost_rules(costs: str, classes: tuple[str, ...]) -> CostRules:
    """Return the costs for these classes, in their order.

    Raises `UnknownName` with the nearest classes for one that is not there, and `UsageError` for one without costs.
    """
    import numpy as np

    place = {name: number for number, name in enumerate(classes)}
    texts = [_part(part) for part in costs.split("+")]
    for name in dict.fromkeys(one for *sides, _ in texts for side in sides for one in side):
        if name != _ANY and name not in place:
            raise UnknownName.of("class", name, classes, where=f"the costs {_shortened(costs)}")

    def chosen(side: Names) -> NDArray[np.bool_] | None:
        if side == _ALL:
            return None
        mask = np.zeros(len(classes), dtype=bool)
        mask[[place[name] for name in side]] = True
        return mask

    parts = tuple(
        CostPart(chosen(true), chosen(predicted), true == predicted and len(true) == 1 and true != _ALL,
              math.nan if cost is None else cost)
        for true, predicted, cost in texts
    )  # fmt: skip
    rules = CostRules(parts, classes)
    # Only `*>*:none` leaves pairs without costs.
    if any(math.isnan(part.cost) for part in parts):
        for name, row in zip(classes, rules.rows(), strict=True):
            if lacking := np.flatnonzero(np.isnan(row)).tolist():
                raise UsageError(f"the costs {_shortened(costs)} say nothing of '{name}' taken for '{classes[lacking[0]]}'",
                                 fix="costs for all classes of the data set")  # fmt: skip
    return rules


def check_costs(metric: str, classes: Iterable[str], where: str = "") -> None:
    """Raise `UnknownName` or `UsageError` if a metric is an expected cost whose classes are not these; where: the data set."""
    if is_cost(metric):
        try:
            cost_rules(costs_of(metric), tuple(classes))
        except UsageError as error:
            error.where = ", ".join(filter(None, (where, error.where)))
            raise


def largest_cost(metric: str, classes: Iterable[str]) -> float:
    """Return the largest cost of a decision, without its sign; 1 if all are 0."""
    return max(float(abs(row).max()) for row in cost_rules(costs_of(metric), tuple(classes)).rows()) or 1.0


def mean_cost(confusion: Confusion, classes: Sequence[str], metric: str) -> float | None:
    """Return the mean cost of the decisions; None without an image. metric: its name, with the costs."""
    import numpy as np

    support = confusion.support
    if not support.sum():
        return None
    costs = confusion.images * cost_rules(costs_of(metric), tuple(classes)).at(confusion.true, confusion.predicted)
    if metric.removeprefix(HELD_OUT).startswith(BALANCED):
        sums = np.bincount(confusion.true, weights=costs, minlength=confusion.classes)
        return float((sums[support > 0] / support[support > 0]).mean())
    return math.fsum(costs.tolist()) / int(support.sum())


def _shortened(costs: str) -> str:
    return costs if len(costs) <= 60 else f"{costs[:59]}…"
