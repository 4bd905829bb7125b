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
    """Return the findings of every check of a suite, given by name or path, up to the first failure."""
    return list(_findings(name, registry))


def _findings(name: str, registry: Registry) -> Iterator[Finding]:
    from ltbench.suite.suite import find_suite

    def finding(check: Callable[..., object], error: LtbenchError | None) -> Finding:
        requirement = (check.__doc__ or "").split("\n")[0]
        if error is None:
            return Finding(check=check.__name__, technique=name, state="ok", text=requirement)
        text = "; ".join(filter(None, (error.what, error.why, error.where)))
        return Finding(check=check.__name__, technique=name, state="failed", text=text, fix=error.fix or requirement)

    def can_be_read() -> Suite:
        """The file is TOML and follows the schema."""
        return find_suite(name, registry)

    def names_installed_techniques(suite: Suite) -> None:
        """Every data set, profile, model and technique in the suite is installed and accepts its parameters."""
        for stage, texts in (("dataset", suite.datasets), ("profile", suite.profiles), ("model", suite.models)):
            for text in texts:
                registry.parse(text, stage)
        for text in suite.techniques:
            registry.parse_all(text)

    def can_be_planned(suite: Suite) -> None:
        """The suite can be planned. Skipped where that needs files of a data set that are missing."""
        from ltbench.planning.parts import plan_parts

        for text in suite.datasets:
            _describe(registry.parse(text, "dataset"))
        next(plan_parts(suite, registry, data_root(), cells=1))

    try:
        suite = can_be_read()
    except LtbenchError as error:
        yield finding(can_be_read, error)
        return
    yield finding(can_be_read, None)
    for check in (names_installed_techniques, can_be_planned):
        try:
            check(suite)
        except LtbenchError as error:
            yield finding(check, error)
            return
        except Skip as reason:
            yield Finding(check=check.__name__, technique=name, state="skipped", text=str(reason))
            return
        yield finding(check, None)


def _describe(dataset: Technique) -> None:
    """Raise `Skip` where describing a data set needs files that are missing."""
    assert isinstance(dataset, Dataset), "registry.parse checked the stage"
    try:
        dataset.info(data_root())
    except DataError as error:
        raise Skip(f"data set '{dataset.label}' is missing: {error.what}") from None
