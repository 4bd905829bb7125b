"""Descriptions of data sets: for a command, and for jobs, which name a data set by its fingerprint."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ltbench.core.one_look import looked_once
from ltbench.errors import DataError
from ltbench.stages import Dataset, DatasetInfo


def description(dataset: Dataset, root: Path) -> DatasetInfo:
    """Return the description of a data set, as it is now, or was when it was first asked for within `one_look`."""
    return looked_once((dataset, root), lambda: dataset.info(root))


# A description may list and look at a million files. A plan has done that, and a job does it once in a process: what a job reads is
# prepared, under the fingerprint, so files that change later do not change it.
@lru_cache(maxsize=64)
def described(dataset: Dataset, fingerprint: str, root: Path) -> DatasetInfo:
    """Return the description of a data set. fingerprint: of it, or of its validation split.

    Raises `DataError` if the data set is missing, or has another fingerprint now.
    """
    info = description(dataset, root)
    if fingerprint not in (info.fingerprint, info.valid_fingerprint):
        raise DataError(
            f"data set '{dataset.label}' has changed since the plan was made",
            where=str(root),
            why=f"its fingerprint is {info.fingerprint}; expected {fingerprint}",
            fix="plan again",
        )
    return info
