"""Settings: data at one imbalance factor, and one model. Combinations are compared within a setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from ltbench.core.spec import Spec
from ltbench.executor import Techniques
from ltbench.jobs.named_technique import leaving_no_state
from ltbench.longtail import check_counts
from ltbench.stages import Dataset, DatasetInfo, Model, Profile
from ltbench.suite.suite import Suite
from ltbench.technique import Technique

T = TypeVar("T", bound=Technique)


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Data at one imbalance factor, and one model: what cells have to share to be compared."""

    info: DatasetInfo
    augment: str
    """The data set's own augmentation, as written on a command line; empty for none."""
    counts: tuple[int, ...]
    """Images of each class in the training subset."""
    labels: Spec
    """The setting as a record states it, without seeds."""
    data: Spec
    """Spec of the data, without the subset seed."""
    model: Spec
    techniques: list[Spec]
    """Specs of data set, profile and model, each with its stage."""


def settings(suite: Suite, registry: Techniques, data_root: Path) -> Iterator[Setting]:
    """Yield the settings of a suite. Raises `DataError` where a data set has too few images for a factor."""
    for dataset in _each(registry, suite.datasets, "dataset", Dataset):
        with leaving_no_state(registry, dataset, "info"):
            info = dataset.info(data_root)
        for profile in _each(registry, suite.profiles, "profile", Profile):
            for factor in suite.imbalance_factors:
                with leaving_no_state(registry, profile, "counts"):
                    counts = tuple(profile.counts(info.train_counts, factor))
                check_counts(counts, info.train_counts, f"{dataset.label}, profile {profile.label}, factor {factor:g}")
                for model in _each(registry, suite.models, "model", Model):
                    yield Setting(
                        info=info,
                        augment=dataset.augment,
                        counts=counts,
                        labels={
                            "dataset": dataset.label,
                            "profile": profile.label,
                            "imbalance_factor": float(factor),
                            "model": model.label,
                        },
                        data={
                            "dataset": registry.spec(dataset),
                            "fingerprint": info.fingerprint,
                            "profile": registry.spec(profile),
                            "imbalance_factor": float(factor),
                        },
                        model=registry.spec(model),
                        techniques=[registry.spec(t) | {"stage": t.stage} for t in (dataset, profile, model)],
                    )


def _each(registry: Techniques, texts: Sequence[str], stage: str, kind: type[T]) -> Iterator[T]:
    for text in texts:
        for listed in registry.parse_all(text):
            technique = registry.parse(listed.label, stage)
            assert isinstance(technique, kind)
            yield technique
