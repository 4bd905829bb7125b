"""Settings: data at one imbalance factor, and one model. Combinations are compared within a setting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from ltbench.core.spec import Spec
from ltbench.costs import check_costs
from ltbench.errors import DataError, UsageError
from ltbench.executor import Techniques
from ltbench.jobs.described import description
from ltbench.jobs.held_out import divided, has_own_split, held_out_spec
from ltbench.jobs.named_technique import leaving_no_state
from ltbench.longtail import check_counts
from ltbench.stages import Augment, Dataset, DatasetInfo, Model, Profile
from ltbench.suite.suite import Suite
from ltbench.technique import Technique

T = TypeVar("T", bound=Technique)


class DataUse(msgspec.Struct, frozen=True, kw_only=True):
    """A data set of a suite, and how many of its training images are used."""

    dataset: str
    profile: str
    """The data set's own profile; empty for none."""
    info: DatasetInfo
    kept: dict[str, dict[float, tuple[int, ...]]]
    """Profile -> imbalance factor -> images of each class in the subset, including those that are held out of training"""
    held_out: dict[str, dict[float, tuple[int, ...]]]
    """Profile -> imbalance factor -> held-out images of each class; empty if nothing is held out"""
    own_split: bool = False
    """Whether the held-out images are the data set's own validation split"""


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Data at one imbalance factor, and one model. Only cells of the same setting are compared."""

    info: DatasetInfo
    augment: str
    """The data set's own augmentation, as written on a command line; empty for none."""
    counts: tuple[int, ...]
    """Images of each class in the training subset, without those that are held out."""
    held_out: tuple[int, ...]
    """Held-out images of each class."""
    labels: Spec
    """The setting as a record states it, without seeds."""
    data: Spec
    """Spec of the data, without the subset seed."""
    model: Spec
    techniques: list[Spec]
    """Specs of data set, profile and model, each with its stage."""

    def images_in(self, split: str) -> int:
        """Return the number of images that a prediction of a split covers: `test`, `held_out` or `train`."""
        return sum({"test": self.info.test_counts, "held_out": self.held_out, "train": self.counts}[split])


def settings(suite: Suite, registry: Techniques, data_root: Path) -> Iterator[Setting]:
    """Yield the settings of a suite. Raises `DataError` if a data set has too few images for a factor."""
    for recipe in suite.recipes():
        # A recipe is part of an identity as it is written.
        if recipe.augment and (label := _default_augment(registry, recipe.augment).label) != recipe.augment:
            raise UsageError(
                f"the default augmentation '{recipe.augment}' has a shorter form", fix=f'augment = "{label}"'
            )
    for dataset in _each(registry, suite.datasets, "dataset", Dataset):
        with leaving_no_state(registry, dataset, "info"):
            info = description(dataset, data_root)
        check_costs(suite.metric, info.classes, dataset.label)
        if dataset.augment:
            _default_augment(registry, dataset.augment)
        if len(info.classes) < 2:
            raise DataError(f"data set '{dataset.label}' has only one class")
        profiles = list(_each(registry, suite.profiles, "profile", Profile))
        for profile in profiles:
            # Among other profiles, one that ignores factors is planned once. Alone, it rejects factors itself.
            once = profile.keeps_all and not all(other.keeps_all for other in profiles)
            for factor in (1.0,) if once else suite.imbalance_factors:
                with leaving_no_state(registry, profile, "counts"):
                    counts = tuple(profile.counts(info.train_counts, factor))
                where = f"{dataset.label}, profile {profile.label}, factor {factor:g}"
                hint = "" if profile.keeps_all else _hint(dataset, registry)
                check_counts(counts, info.train_counts, where, names=info.classes, hint=hint)
                data = {
                    "dataset": registry.spec(dataset),
                    "fingerprint": info.fingerprint,
                    "profile": registry.spec(profile),
                    "imbalance_factor": float(factor),
                    **held_out_spec(suite.held_out, info, dataset.label),
                }
                counts, held_out = map(tuple, divided(list(counts), data, info))
                if suite.held_out and not any(held_out):
                    raise DataError(
                        "no image can be held out: every class has a single training image",
                        where=where,
                        fix="more training images, or nothing held out (held_out = 0 in a suite)",
                    )
                for model in _each(registry, suite.models, "model", Model):
                    yield Setting(
                        info=info,
                        augment=dataset.augment,
                        counts=counts,
                        held_out=held_out,
                        labels={
                            "dataset": dataset.label,
                            "profile": profile.label,
                            "imbalance_factor": float(factor),
                            "model": model.label,
                        },
                        data=data,
                        model=registry.spec(model),
                        techniques=[registry.spec(t) | {"stage": t.stage} for t in (dataset, profile, model)],
                    )


def _default_augment(registry: Techniques, text: str) -> Augment:
    """Return the default augmentation of all trainings. Raises `UsageError` if it cannot be one."""
    augment = registry.parse(text, "augment")
    assert isinstance(augment, Augment)
    if augment.follows:
        raise UsageError(
            f"augmentation '{text}' cannot be the default, because it follows the default",
            fix=f"an augmentation such as crop_flip, and {text} as a technique",
        )
    return augment


def _hint(dataset: Dataset, registry: Techniques) -> str:
    """Return how to keep all images: with the data set's own profile if possible, else any other; else empty."""
    offered = [name for name, kind in registry.of("profile").items() if issubclass(kind, Profile) and kind.keeps_all]
    names = [name for name in offered if name == dataset.profile] or offered
    return f"--profiles {names[0]}, which keeps all images" if names else ""


def data_uses(suite: Suite, registry: Techniques, data_root: Path) -> list[DataUse]:
    """Return the data sets of a suite and how many images each profile keeps. Raises `DataError` as `settings` does."""
    uses: dict[str, DataUse] = {}
    for setting in settings(suite, registry, data_root):
        dataset, labels = registry.build_as(setting.data["dataset"], Dataset), setting.labels
        use = uses.setdefault(
            dataset.label,
            DataUse(
                dataset=dataset.label, profile=dataset.profile, info=setting.info, kept={}, held_out={},
                own_split=has_own_split(setting.data),
            ),
        )  # fmt: skip
        kept = setting.counts if use.own_split else tuple(map(sum, zip(setting.counts, setting.held_out, strict=True)))
        use.kept.setdefault(labels["profile"], {})[labels["imbalance_factor"]] = kept
        if any(setting.held_out):
            use.held_out.setdefault(labels["profile"], {})[labels["imbalance_factor"]] = setting.held_out
    return list(uses.values())


def _each(registry: Techniques, texts: Sequence[str], stage: str, kind: type[T]) -> Iterator[T]:
    for text in texts:
        for listed in registry.parse_all(text):
            technique = registry.parse(listed.label, stage)
            assert isinstance(technique, kind)
            yield technique
