"""Checks of methods: their parts are installed, can be combined, and are those that a label names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from ltbench.errors import LtbenchError
from ltbench.stages import TECHNIQUE_STAGES
from ltbench.technique import Technique
from ltbench.testing.finding import Finding

if TYPE_CHECKING:
    from ltbench.registry.registry import Registry


class _Failed(Exception):
    pass


def method_conformance(name: str, registry: Registry) -> Iterator[Finding]:
    """Yield the finding of each check of a method, up to the first that fails."""
    parts: list[Technique] = []

    def has_installed_parts() -> None:
        """Every part is an installed technique and accepts its parameters."""
        parts.extend(registry.parse_all(name))

    def has_one_part_of_a_stage() -> None:
        """Each part is of a stage that combinations have, no two of the same, and none is the baseline."""
        stages = [part.stage for part in parts]
        for part in parts:
            if part.stage not in TECHNIQUE_STAGES:
                raise _Failed(f"{part.label} is a {part.stage}, which a suite names itself")
            if stages.count(part.stage) > 1:
                raise _Failed(f"two parts are of stage {part.stage}")
            if part.baseline:
                raise _Failed(f"{part.label} is the baseline of stage {part.stage}, so it adds nothing")

    def can_be_combined() -> None:
        """No part conflicts with another one or lacks what it needs."""
        from ltbench.planning.combinations import Combination, reason_left_out

        if reason := reason_left_out(Combination(tuple(parts))):
            raise _Failed(reason)

    def says_what_it_is() -> None:
        """It has a description in one line, and a source."""
        method = registry.methods[name]
        if "\n" in method.about or not method.source:
            raise _Failed("its description has several lines" if "\n" in method.about else "it has no source")

    for check in (has_installed_parts, has_one_part_of_a_stage, can_be_combined, says_what_it_is):
        finding = partial(Finding, check=check.__name__, technique=name)
        requirement = check.__doc__ or ""
        try:
            check()
        except LtbenchError as error:
            text = "; ".join(filter(None, (error.what, error.why)))
            yield finding(state="failed", text=text, fix=error.fix or requirement)
            return
        except _Failed as error:
            yield finding(state="failed", text=str(error), fix=requirement)
            return
        yield finding(state="ok", text=requirement)
