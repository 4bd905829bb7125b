"""Fine-tuning of what `ltbench recommend` chose: the whole network instead of a classifier on its features, if time allows.

Whether a fold uses it is decided like everything in a fold: by images held out of its own training images.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from ltbench.cli.running.recommendation import Choice
from ltbench.core.units import duration
from ltbench.planning.selection import held_out_metric
from ltbench.stages import Dataset, Model
from ltbench.suite.suite import changed, find_suite

if TYPE_CHECKING:
    from ltbench.cli.running.own_images import Asked
    from ltbench.cli.running.steps import Steps
    from ltbench.executor import Context
    from ltbench.records.record import Record
    from ltbench.suite.suite import Suite

SUITE = "recommend-finetune"
"""The suite with the recipe."""
MEASURED_STEPS = 6
"""Steps of a training that measures how long trainings take."""


class _Needed(NamedTuple):
    """The time of all trainings."""

    seconds: float
    left: float


class FineTuning:
    """Trains the rows that each fold chose with a backbone that learns."""

    def __init__(
        self, asked: Asked, suite: Suite, tested: Suite, chosen: Mapping[str, Choice], context: Context
    ) -> None:
        """suite, tested: of the race, and of the tests; chosen: data set -> what its race chose."""
        self._tested, self._chosen, self._context = tested, chosen, context
        self._held_out = suite.held_out
        frozen = context.registry.parse(suite.models[0], Model.stage)
        model = frozen.with_pretrained(frozen=False) if isinstance(frozen, Model) else None
        base = find_suite(SUITE, context.registry)
        self.suite = changed(
            base, datasets=list(suite.datasets), profiles=list(suite.profiles), imbalance_factors=[1.0], metric=suite.metric,
            models=[model.label] if model is not None else list(base.models), seeds=[suite.seeds[0]],
        )  # fmt: skip
        self._can = model is not None and asked.is_fine_tuned
        self.note = ""
        """What became of it; empty if it was not asked for."""

    def run(self, steps: Steps, end: float) -> tuple[dict[str, Choice], list[Record]]:
        """Return what each fold chooses now, and the records of fine-tuned networks, none without time. end: of the budget."""
        if not self._can:
            return dict(self._chosen), []
        need = self._needed(steps, end)
        if need is None or need.seconds > need.left:
            self.note = (
                "Fine-tuning was not tried: its first steps failed."
                if need is None
                else (
                    f"Fine-tuning was not tried: it would take about {duration(need.seconds)}, and "
                    f"{duration(max(need.left, 0))} of the budget were left."
                )
            )
            click.echo(self.note, err=True)
            return dict(self._chosen), []
        better = self._better(steps)
        self.note = (
            f"Fine-tuning the whole network was better on held-out images in {len(better)} of {len(self._chosen)} folds."
            if len(self._chosen) > 1
            else f"Fine-tuning the whole network was {'better' if better else 'not better'} on held-out images."
        )
        click.echo(self.note, err=True)
        if not better:
            return dict(self._chosen), []
        # In all folds, so that the fine-tuned row stands beside the others on the page.
        records = [
            record
            for dataset, choice in self._chosen.items()
            for record in steps.quiet(steps.plan(changed(self.suite, datasets=[dataset]), choice.combination))
        ]
        chosen = {
            dataset: Choice(choice.combination, is_fine_tuned=dataset in better)
            for dataset, choice in self._chosen.items()
        }
        return chosen, records

    def _needed(self, steps: Steps, end: float) -> _Needed | None:
        """Return the time of all trainings, from that of a short one; None if that failed."""
        recipe = msgspec.structs.asdict(self.suite.recipe) | {"epochs": None, "steps": MEASURED_STEPS}
        dataset, choice = next(iter(self._chosen.items()))
        plan = steps.plan(changed(self.suite, datasets=[dataset], recipe=recipe), choice.combination)
        if not (measured := steps.quiet(plan)):
            return None
        seconds = measured[0].cost["train_seconds"]
        assert seconds is not None, "every training measures it"
        fits = {job.key for job in plan.of_kind("fit")}
        rate = seconds / sum(passes for key, passes in plan.passes.items() if key in fits)
        # Once with and once without held-out images.
        passes = sum(
            (2 - self._held_out) * steps.plan(changed(self.suite, datasets=[dataset]), choice.combination).passes_shared
            for dataset, choice in self._chosen.items()
        )
        return _Needed(passes * rate / min(steps.workers, len(self._chosen)), end - time.monotonic())

    def _better(self, steps: Steps) -> set[str]:
        """Return the data sets in which fine-tuning is better on images held out of the training images."""
        registry = self._context.registry
        better = set()
        for label, choice in self._chosen.items():
            dataset = registry.parse(label, Dataset.stage)
            assert isinstance(dataset, Dataset)
            metric = held_out_metric(self.suite.metric, dataset.info(self._context.data_root).test_counts, registry)
            inner = {"datasets": [label], "held_out": self._held_out, "seeds": [self.suite.seeds[0]]}
            plans = [steps.plan(changed(suite, **inner), choice.combination) for suite in (self.suite, self._tested)]
            scores = [record.score(metric.name) for plan in plans for record in steps.quiet(plan)]
            match scores:
                case [float(tuned), float(frozen)] if tuned > frozen if metric.higher_is_better else tuned < frozen:
                    better.add(label)
        return better
