"""An ensemble of points of one training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from ltbench import Ensemble, Member, Meta, NotTuned, hookimpl
from ltbench.errors import ParameterError
from ltbench_plugins.ensembles._average import Average


class SnapshotEnsemble(Average, frozen=True):
    """Average the probabilities of the networks at the ends of the cycles of `snapshot`, from one training.

    The members are the network at the end of the training and those at the ends of the cycles before; `last` takes only
    the last ones, as equation 3 does. `cycles` is that of the regime: `snapshot[cycles=6],snapshot_ensemble[cycles=6]`.

    Source: Huang et al., Snapshot Ensembles: Train 1, Get M for Free, ICLR 2017, section 3, equation 3.
    """

    name = "snapshot_ensemble"
    needs: ClassVar[Mapping[str, str]] = {"snapshot": "its members are the ends of the cycles of that regime"}

    cycles: Annotated[
        int, Meta(ge=2, description="number of cycles of the training"), NotTuned("is the number of members")
    ] = 5
    last: (
        Annotated[int, Meta(ge=2, description="number of members, the last ones"), NotTuned("is the number of members")]
        | None
    ) = None

    def check(self) -> None:
        if self.last is not None and self.last > self.cycles:
            raise ParameterError(
                f"ensemble 'snapshot_ensemble' has last = {self.last} but only {self.cycles} cycles",
                fix=f"last={self.cycles} or less",
            )

    def without_effect(self) -> tuple[str, ...]:
        return ("last",) if self.last == self.cycles else ()

    def members(self, counts: Sequence[int]) -> list[Member]:
        """Return the members, earliest first; they do not depend on the class counts."""
        first = self.cycles - (self.last or self.cycles) + 1
        return [*(Member(until=number / self.cycles) for number in range(first, self.cycles)), Member()]


@hookimpl
def ltbench_ensembles() -> list[type[Ensemble]]:
    return [SnapshotEnsemble]
