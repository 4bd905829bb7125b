"""What a suite has to hold: it can be read, all that it names is there, and a plan can be made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ltbench.core.folders import data_root
from ltbench.errors import DataError, LtbenchError
from ltbench.stages import Dataset
from ltbench.technique import Technique
from ltbench.testing.finding import Finding, Skip

if TYPE_CHECKING:
    from ltbench.registry.registry import Registry
    from ltbench.suite.suite import Suite


def suite_conformance(name: str, registry: Registry) -> list[Finding]:
    """Return what every check finds in a suite, by its name or the path of its file; the first failure is the last."""
    return list(_findings(name, registry))


def _findings(name: str, registry: Registry) -> Iterator[Finding]:
    from ltbench.suite.suite import find_suite

    def finding(check: Callable[..., object], error: LtbenchError | None) -> Finding:
        demand = (check.__doc__ or "").split("\n")[0]
        if error is None:
            return Finding(check=check.__name__, technique=name, state="ok", text=demand)
        text = "; ".join(filter(None, (error.what, error.why, error.where)))
        return Finding(check=check.__name__, technique=name, state="failed", text=text, fix=error.fix or demand)

    def can_be_read() -> Suite:
        """It is TOML, and follows the schema."""
        return find_suite(name, registry)

    def names_what_is_there(suite: Suite) -> None:
        """Every data set, profile, model and technique that it names is there and accepts its parameters."""
        for stage, texts in (("dataset", suite.datasets), ("profile", suite.profiles), ("model", suite.models)):
            for text in texts:
                registry.parse(text, stage)
        for text in suite.techniques:
            registry.parse_all(text)

    def can_be_planned(suite: Suite) -> None:
        """A plan can be made of it. Skipped where that takes files of a data set that are not there."""
        from ltbench.planning.parts import plan_parts

        for text in suite.datasets:
            _find(registry.parse(text, "dataset"))
        next(plan_parts(suite, registry, data_root(), cells=1))

    try:
        suite = can_be_read()
    except LtbenchError as error:
        yield finding(can_be_read, error)
        return
    yield finding(can_be_read, None)
    for check in (names_what_is_there, can_be_planned):
        try:
            check(suite)
        except LtbenchError as error:
            yield finding(check, error)
            return
        except Skip as reason:
            yield Finding(check=check.__name__, technique=name, state="skipped", text=str(reason))
            return
        yield finding(check, None)


def _find(dataset: Technique) -> None:
    """Raise `Skip` where a data set cannot be described without files that are not there."""
    assert isinstance(dataset, Dataset), "the stage is what was asked for"
    try:
        dataset.info(data_root())
    except DataError as error:
        raise Skip(f"data set '{dataset.label}' is not there: {error.what}") from None
