"""The held-out part of a training subset: images for choosing hyper-parameters, which are never trained on.

It is a share of each class, or the data set's own validation split if it has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ltbench.core.spec import Spec
from ltbench.errors import DataError
from ltbench.longtail import held_out_counts
from ltbench.stages import DatasetInfo, Profile


def held_out_spec(share: float, info: DatasetInfo, where: str) -> Spec:
    """Return the part of a data spec that says what is held out; empty for a share of 0, as most identities are older.

    A data set with a validation split holds that out, whatever the share. where: the data set, for errors.
    """
    if not share:
        return {}
    if not info.valid_counts:
        return {"held_out": float(share)}
    if not info.valid_fingerprint:
        raise DataError(
            f"data set '{where}' has a validation split without a fingerprint",
            fix="state valid_fingerprint in info, a digest of its images and labels",
        )
    return {"held_out": info.valid_fingerprint}


def has_own_split(data: Mapping[str, Any]) -> bool:
    """Whether the held-out part is the data set's own validation split. data: a data spec."""
    return isinstance(data.get("held_out"), str)


def divided_counts(data: Mapping[str, Any], info: DatasetInfo, profile: Profile) -> tuple[list[int], list[int]]:
    """Return the class counts of the training subset and of its held-out part.

    data: a data spec. Raises `DataError` if the validation split is not the one of the spec.
    """
    counts = [int(n) for n in profile.counts(info.train_counts, data["imbalance_factor"])]
    return divided(counts, data, info)


def divided(counts: list[int], data: Mapping[str, Any], info: DatasetInfo) -> tuple[list[int], list[int]]:
    """Return what `divided_counts` does, from the counts of the profile."""
    if not has_own_split(data):
        held_out = held_out_counts(counts, data.get("held_out", 0.0))
        return [n - held for n, held in zip(counts, held_out, strict=True)], held_out
    check_own_split(data["held_out"], info, data["dataset"]["name"])
    return counts, list(info.valid_counts)


def check_own_split(fingerprint: str, info: DatasetInfo, where: str) -> None:
    """Raise `DataError` if the validation split of a data set has another fingerprint. where: the data set."""
    if fingerprint != info.valid_fingerprint:
        raise DataError(
            f"the validation split of data set '{where}' has changed since the plan was made",
            why=f"its fingerprint is {info.valid_fingerprint or 'missing'}; expected {fingerprint}",
            fix="plan again",
        )
