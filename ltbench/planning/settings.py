"""Where combinations are compared: data at one imbalance factor, and one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from ltbench.core.spec import Spec
from ltbench.executor import Techniques
from ltbench.longtail import check_counts
from ltbench.stages import Dataset, DatasetInfo, Model, Profile
from ltbench.suite.suite import Suite
from ltbench.technique import Technique

T = TypeVar("T", bound=Technique)


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Where cells are compared with each other: data at one imbalance factor, and one model."""

    dataset: Dataset
    info: DatasetInfo
    profile: Profile
    imbalance_factor: float
    counts: tuple[int, ...]
    model: Model
    setting: Spec

    @property
    def setting_key(self) -> int:
        """What tells grounds of one plan apart, faster than their content."""
        return id(self.setting)


def settings(suite: Suite, registry: Techniques, data_root: Path) -> Iterator[Setting]:
    """Yield the grounds of a suite. Raises `DataError` where a data set has too few images for a factor."""
    for dataset in _each(registry, suite.datasets, "dataset", Dataset):
        info = dataset.info(data_root)
        for profile in _each(registry, suite.profiles, "profile", Profile):
            for factor in suite.imbalance_factors:
                counts = tuple(profile.counts(info.train_counts, factor))
                check_counts(counts, info.train_counts, f"{dataset.label}, profile {profile.label}, factor {factor:g}")
                for model in _each(registry, suite.models, "model", Model):
                    yield Setting(
                        dataset=dataset,
                        info=info,
                        profile=profile,
                        imbalance_factor=factor,
                        counts=counts,
                        model=model,
                        setting={
                            "dataset": dataset.label,
                            "profile": profile.label,
                            "imbalance_factor": float(factor),
                            "model": model.label,
                        },
                    )


def _each(registry: Techniques, texts: Sequence[str], stage: str, kind: type[T]) -> Iterator[T]:
    for text in texts:
        for one in registry.parse_all(text):
            technique = registry.parse(one.label, stage)
            assert isinstance(technique, kind)
            yield technique
