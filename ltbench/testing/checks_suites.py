"""Checks of suites: the file is valid, its techniques are installed, and it can be planned."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from ltbench.core.folders import data_root
from ltbench.errors import DataError, LtbenchError
from ltbench.stages import Dataset
from ltbench.technique import Technique
from ltbench.testing.finding import Finding, Skip

if TYPE_CHECKING:
    from ltbench.registry.registry import Registry
    from ltbench.suite.suite import Suite


def suite_conformance(name: str, registry: Registry) -> Iterator[Finding]:
    """Yield the finding of each check of a suite, given by name or path, up to the first that fails or is skipped."""
    from ltbench.suite.suite import find_suite

    suite: Suite

    def can_be_read() -> None:
        """The file is valid TOML and follows the schema."""
        nonlocal suite
        suite = find_suite(name, registry)

    def names_installed_techniques() -> None:
        """Every data set, profile, model and technique in the suite is installed and accepts its parameters."""
        for stage, texts in (("dataset", suite.datasets), ("profile", suite.profiles), ("model", suite.models)):
            for text in texts:
                registry.parse(text, stage)
        for text in suite.techniques:
            registry.parse_all(text)

    def can_be_planned() -> None:
        """The suite can be planned. Skipped if that needs missing files of a data set."""
        from ltbench.planning.parts import plan_parts

        for text in suite.datasets:
            _describe(registry.parse(text, "dataset"))
        next(plan_parts(suite, registry, data_root(), cells=1))

    for check in (can_be_read, names_installed_techniques, can_be_planned):
        finding = partial(Finding, check=check.__name__, technique=name)
        requirement = (check.__doc__ or "").split("\n")[0]
        try:
            check()
        except LtbenchError as error:
            text = "; ".join(filter(None, (error.what, error.why, error.where)))
            yield finding(state="failed", text=text, fix=error.fix or requirement)
            return
        except Skip as reason:
            yield finding(state="skipped", text=str(reason))
            return
        yield finding(state="ok", text=requirement)


def _describe(dataset: Technique) -> None:
    """Raise `Skip` if describing a data set needs missing files."""
    assert isinstance(dataset, Dataset), "registry.parse checked the stage"
    try:
        dataset.info(data_root())
    except DataError as error:
        raise Skip(f"data set '{dataset.label}' is missing: {error.what}") from None
