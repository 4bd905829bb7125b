"""Cost of training and prediction from records, in multiply-accumulates (MACs): the same on every machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from ltbench.core.spec import Spec, canonical
from ltbench.leaderboard.figures.series import mean
from ltbench.records.record import Record
from ltbench.stages import NETWORK_STAGES

_NETWORK = ("model", *NETWORK_STAGES)
"""What a fit says about its network."""
LEAST = 1.1
"""Ratio from which on costs differ: whole batches alone change them by some percent."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """None where records do not say it.

    training: training images seen x MACs of a forward pass, over all members, each counted in full; inference: MACs of
    a test image, over all members and views.
    """

    training: float | None
    inference: float | None

    @property
    def alike(self) -> bool:
        """Whether both are known and hardly differ; of ratios to another cost."""
        if not self.training or not self.inference:
            return False
        return 1 / LEAST < self.training / self.inference < LEAST

    def over(self, other: Cost) -> Cost:
        """Return the ratios to another cost."""
        pairs = ((self.training, other.training), (self.inference, other.inference))
        training, inference = (None if a is None or not b else round(a / b, 6) for a, b in pairs)
        return Cost(training=training, inference=inference)


def costs(records: Iterable[Record]) -> dict[str, Cost]:
    """Return label -> mean cost of the ok records of one board; each factor counts the same."""
    groups: dict[str, dict[float, list[Record]]] = {}
    ok = [record for record in records if record.status == "ok"]
    for record in ok:
        groups.setdefault(record.label, {}).setdefault(record.setting.imbalance_factor, []).append(record)
    networks = _macs_without_views(ok)
    return {
        label: Cost(
            training=_mean([mean(training_cost(record, networks) for record in here) for here in factors.values()]),
            inference=_mean([mean(record.cost.get("macs") for record in here) for here in factors.values()]),
        )
        for label, factors in groups.items()
    }


def training_cost(record: Record, networks: dict[tuple[str, ...], float]) -> float | None:
    """Return the training cost of a record. networks: those of a cell -> MACs of an image in one view of all of them.

    A record has the images seen by all members together. That is enough where members have one network, or where they
    differ in nothing but networks and seeds, and so see equally many images each.
    """
    members = _networks(record)
    samples, macs = record.cost.get("samples"), networks.get(members)
    if macs is None:
        single = [networks.get((member,)) for member in members]
        macs = None if None in single else sum(one for one in single if one is not None)
    alike = len(set(members)) == 1 or len({canonical(_without_network(fit)) for fit in record.fits}) == 1
    return None if samples is None or macs is None or not alike else samples * macs / len(members)


def _macs_without_views(records: Iterable[Record]) -> dict[tuple[str, ...], float]:
    """Return networks of a cell -> MACs of an image, from records that predict it in one view."""
    found: dict[tuple[str, ...], float] = {}
    for record in records:
        macs = record.cost.get("macs")
        if record.combination.get("view") is None and macs is not None:
            members = _networks(record)
            found[members] = float(macs)
            if len(set(members)) == 1:
                found[members[:1]] = float(macs) / len(members)
    return found


def _networks(record: Record) -> tuple[str, ...]:
    return tuple(sorted(canonical({key: fit.get(key) for key in _NETWORK}).decode() for fit in record.fits))


def _without_network(fit: Spec) -> dict[str, Any]:
    return {key: value for key, value in fit.items() if key not in (*_NETWORK, "seed")}


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else mean(values)
