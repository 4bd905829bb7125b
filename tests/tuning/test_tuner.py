"""Tuning from a suite's plan to its chosen values, with scores that a test makes up."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from support import registry_with
from synthetic import record
from tiny import Tiny

from ltbench import Meta, NotTuned, Tune
from ltbench.core.spec import Job
from ltbench.errors import RecordError
from ltbench.executor import Context
from ltbench.jobs.cell import failed_record
from ltbench.planning.parts import make_plan
from ltbench.records.record import seal, validate
from ltbench.stages import Loss, Model, Posthoc
from ltbench.store.store import Store
from ltbench.suite.suite import Suite
from ltbench.tuning.tuner import Tuner, TuningPart


class Net(Model):
    name = "tuned_net"

    width: Annotated[int, Meta(ge=1), NotTuned("its size")] = 1


class Sharp(Loss):
    name = "sharp"

    gamma: Annotated[float, Meta(ge=0), Tune(0.5, 4.0)] = 2.0


class Half(Loss):
    """Declares values that it does not accept."""

    name = "half"

    wide: Annotated[float, Meta(ge=0, le=2), Tune(0.5, 9.0)] = 1.0
    odd: Annotated[str, Tune("a", "c")] = "a"

    def check(self) -> None:
        if self.odd not in {"a", "b"}:
            raise ValueError("odd is a or b")


class Fitted(Posthoc):
    name = "fitted"
    evidence = frozenset({"held_out"})


SUITE = {
    "schema": 1, "name": "tuned", "title": "Tuned", "question": "?", "datasets": ("tiny",), "imbalance_factors": (2, 5),
    "models": ("tuned_net",), "techniques": ("sharp",), "seeds": (3, 4), "recipe": {"epochs": 2, "precision": "fp32"},
    "tune": {"trials": 4},
}  # fmt: skip
Scores = Callable[[Job], float | None]


def suite_of(**fields: object) -> Suite:
    return msgspec.convert(SUITE | fields, Suite)


@pytest.fixture
def here(tmp_path: Path) -> Context:
    return Context(
        store=Store(tmp_path / "store"), registry=registry_with(Tiny, Net, Sharp, Fitted), data_root=tmp_path
    )


def by_gamma(job: Job) -> float:
    """Scores that are best where the parameter is near 1."""
    loss = job.extra["fits"][0]["segments"][0]["loss"]
    return 1 - abs(loss["params"].get("gamma", 2.0) - 1) / 10


def trial_record(job: Job, score: float | None, number: str = "balanced_accuracy") -> dict[str, object]:
    """Return a record of a trial with this score on held-out images."""
    common = {"id": job.key, "protocol": job.spec["protocol"], "spec": job.spec, "status": "ok"}
    return seal(
        common
        | {key: job.extra[key] for key in ("setting", "combination", "recipe", "fits", "notes")}
        | {"held_out": {"metrics": {number: score}}}
    )


def run(
    tuner: Tuner, context: Context, scores: Scores, workers: int = 2, number: str = "balanced_accuracy"
) -> list[TuningPart]:
    """Run the trials of a tuner by writing their records; return the parts of its plan."""
    parts = []
    for part in tuner.parts(workers):
        parts.append(part)
        for job in part.plan.cells if part.is_trial else ():
            if context.store.status(job.key) is None:
                context.store.put_record(trial_record(job, scores(job), number))
    return parts


def trials_of(parts: list[TuningPart]) -> list[Job]:
    return [job for part in parts if part.is_trial for job in part.plan.cells]


def test_trials_hold_images_out_and_see_no_test_image(here: Context) -> None:
    parts = run(Tuner(suite_of(), here), here, by_gamma)
    trials = trials_of(parts)
    # Two rows at two factors with four trials each, of the first seed.
    assert len(trials) == len({job.key for job in trials}) == 2 * 2 * 4
    for job in trials:
        assert job.spec["splits"] == ["held_out"]
        assert job.extra["fits"][0]["data"]["held_out"] == 0.2
        assert job.extra["setting"]["seed"] == 3
    for part in parts:
        if part.is_trial:
            assert {job.spec["split"] for job in part.plan.of_kind("predict")} == {"held_out"}


def test_parts_say_which_rows_they_try_and_where_if_that_differs(here: Context) -> None:
    parts = run(Tuner(suite_of(), here), here, by_gamma, workers=0)
    assert [part.about for part in parts[:4]] == [
        "4 trials of baseline (imbalance factor 2)",
        "tuned rows: baseline (imbalance factor 2)",
        "4 trials of baseline (imbalance factor 5)",
        "tuned rows: baseline (imbalance factor 5)",
    ]
    (part, *_) = run(Tuner(suite_of(imbalance_factors=[5]), here), here, by_gamma, workers=0)
    assert part.about == "4 trials of baseline"
    (part, *_) = run(Tuner(suite_of(models=["tuned_net", "tuned_net[width=2]"]), here), here, by_gamma)
    assert "baseline (tuned_net[width=2], imbalance factor 2)" in part.about


def test_the_best_values_are_trained_on_the_whole_subset_with_all_seeds(here: Context) -> None:
    tuner = Tuner(suite_of(), here)
    parts = run(tuner, here, by_gamma)
    sharp = [row for row in tuner.tuned if row.combination["loss"] == "sharp"]
    assert [(row.imbalance_factor, row.tuned_at) for row in sharp] == [(2.0, 2.0), (5.0, 5.0)]
    final = {job.key: job for part in parts if not part.is_trial for job in part.plan.cells}
    for row in sharp:
        best = min(row.trials, key=lambda trial: abs(trial.values.get("sharp.gamma", 2.0) - 1))
        assert row.best == best
        cells = [final[key] for key in row.cells]
        assert [cell.extra["setting"]["seed"] for cell in cells] == [3, 4]
        for cell in cells:
            fit = cell.extra["fits"][0]
            assert fit["segments"][0]["loss"]["params"]["gamma"] == best.values["sharp.gamma"]
            assert fit["recipe"]["lr"] == best.values["lr"]
            assert "held_out" not in fit["data"]
            assert "splits" not in cell.spec


def test_equal_scores_keep_the_defaults_whose_cells_are_those_of_the_plain_suite(here: Context) -> None:
    tuner = Tuner(suite_of(), here)
    run(tuner, here, lambda _: 0.5)
    assert {row.chosen for row in tuner.tuned} == {0}
    plain = {job.key for job in make_plan(suite_of(tune=None), here.registry, here.data_root).cells}
    assert {cell for row in tuner.tuned for cell in row.cells} == plain


@pytest.mark.parametrize(("metric", "sign"), [("balanced_accuracy", 1), ("sd_classes", -1)])
def test_tpe_looks_for_what_is_good(here: Context, metric: str, sign: int) -> None:
    pytest.importorskip("optuna")
    tune = {"trials": 40, "sampler": "tpe", "recipe": {}}
    tuner = Tuner(suite_of(imbalance_factors=(2,), metric=metric, tune=tune), here)

    def scores(job: Job) -> float:
        return 1 + sign * (by_gamma(job) - 1)

    run(tuner, here, scores, number=metric)
    (row,) = (row for row in tuner.tuned if row.combination["loss"] == "sharp")
    gammas = [trial.values["sharp.gamma"] for trial in row.trials[20:]]
    assert sum(abs(gamma - 1) < 0.75 for gamma in gammas) > len(gammas) / 2


def test_any_number_of_workers_makes_the_same_trials_and_choices(tmp_path: Path, here: Context) -> None:
    found = []
    for workers in (1, 2, 64):
        context = msgspec.structs.replace(here, store=Store(tmp_path / f"store{workers}"))
        tuner = Tuner(suite_of(), context)
        trials = trials_of(run(tuner, context, by_gamma, workers))
        found.append((sorted(job.key for job in trials), tuner.tuned))
    assert found[0] == found[1] == found[2]


def test_it_goes_on_from_the_trials_in_the_store(here: Context) -> None:
    whole = Tuner(suite_of(), here)
    stopped = whole.parts(2)
    first = next(stopped)
    for job in first.plan.cells[:2]:  # the run is interrupted after two trials
        here.store.put_record(trial_record(job, by_gamma(job)))
    rest = list(stopped)
    assert all(row.combination["loss"] != "sharp" or row.trials for row in whole.tuned)
    assert first.plan.cells[3].key not in {cell for row in whole.tuned for trial in row.trials for cell in trial.cells}
    assert rest, "the other rows are asked for"
    again = Tuner(suite_of(), here)
    parts = run(again, here, by_gamma)
    assert len(again.tuned) == 4
    assert [job.key for job in parts[0].plan.cells] == [job.key for job in first.plan.cells]


def test_a_row_with_a_trial_that_was_not_run_is_not_decided(here: Context) -> None:
    tuner = Tuner(suite_of(), here)
    for _ in tuner.parts(2):
        pass  # nothing is run
    assert tuner.tuned == []


def test_a_failed_trial_is_never_chosen(here: Context) -> None:
    tuner = Tuner(suite_of(), here)
    for part in tuner.parts(2):
        for number, job in enumerate(part.plan.cells if part.is_trial else ()):
            worse = {"type": "JobFailed", "message": "NaN"}
            here.store.put_record(trial_record(job, 0.1 * number) if number % 4 == 1 else failed_record(job, worse))
    assert {row.chosen for row in tuner.tuned} == {1}
    assert {tuple(trial.score is None for trial in row.trials) for row in tuner.tuned} == {(True, False, True, True)}


def test_a_row_whose_number_is_undefined_is_named(here: Context) -> None:
    tuner = Tuner(suite_of(imbalance_factors=(2,)), here)
    run(tuner, here, lambda _: None)
    assert tuner.tuned == []
    why = "is not tuned at imbalance factor 2: balanced_accuracy is undefined on the held-out images"
    assert tuner.notes == [f"baseline {why}", f"sharp {why}"]


def test_a_row_whose_trials_all_fail_is_named(here: Context) -> None:
    tuner = Tuner(suite_of(imbalance_factors=(2,), techniques=()), here)
    for part in tuner.parts(2):
        for job in part.plan.cells:
            here.store.put_record(failed_record(job, {"type": "JobFailed", "message": "NaN"}))
    assert tuner.notes == ["baseline is not tuned at imbalance factor 2: every trial failed"]


def test_what_a_range_does_not_allow_is_named_once(here: Context) -> None:
    context = msgspec.structs.replace(here, registry=registry_with(Tiny, Net, Half, Fitted))
    tuner = Tuner(suite_of(techniques=("half",)), context)
    tuner.first_trials()
    assert tuner.notes == [
        "half.wide is tuned over a part of Tune(0.5, 9.0), as 9 is refused",
        "half.odd is tuned over a part of Tune('a', 'c'), as c is refused",
    ]
    tuner = Tuner(suite_of(techniques=("half[wide=0]",)), context)
    tuner.first_trials()
    assert tuner.notes[0] == "half.wide is not tuned, as 0 is not in Tune(0.5, 9.0)"


def test_one_factor_tunes_at_the_largest_for_all(here: Context) -> None:
    tuner = Tuner(suite_of(tune={"trials": 4, "at": "one factor"}), here)
    trials = trials_of(run(tuner, here, by_gamma))
    assert {job.extra["setting"]["imbalance_factor"] for job in trials} == {5.0}
    assert [(row.imbalance_factor, row.tuned_at) for row in tuner.tuned] == [(2.0, 5.0), (5.0, 5.0)] * 2
    for small, large in itertools.pairwise(tuner.tuned):
        if small.combination == large.combination:
            assert small.trials == large.trials
            assert small.cells != large.cells


def test_scores_are_means_over_the_seed_pairs_of_the_trials(here: Context) -> None:
    suite = suite_of(imbalance_factors=(2,), techniques=(), subset_seeds="seed", tune={"trials": 2, "seeds": 2})
    tuner = Tuner(suite, here)
    scores = {3: 0.5, 4: 0.7}
    (trials, *_) = run(tuner, here, lambda job: scores[job.extra["setting"]["seed"]])
    assert len(trials.plan.cells) == 4
    assert {job.extra["setting"]["subset_seed"] for job in trials.plan.cells} == {3, 4}
    (row,) = tuner.tuned
    assert [trial.score for trial in row.trials] == [0.6, 0.6]
    assert all(len(trial.cells) == 2 for trial in row.trials)


def test_what_is_fitted_to_held_out_images_is_not_tuned_on_them(here: Context) -> None:
    tuner = Tuner(suite_of(techniques=("fitted",), held_out=0.3), here)
    trials = trials_of(run(tuner, here, lambda _: 0.5))
    assert tuner.notes == ["fitted is not tuned: fitted is fitted to the images on which trials are compared"]
    assert {job.extra["fits"][0]["data"]["held_out"] for job in trials} == {0.3}
    assert [row.combination["posthoc"] for row in tuner.tuned] == [None, None]


def test_trials_are_shared_between_rows_and_suites(here: Context) -> None:
    first = Tuner(suite_of(techniques=()), here)
    known = {job.key for job in trials_of(run(first, here, by_gamma))}
    other = Tuner(suite_of(name="other", title="Other"), here)
    trials = trials_of(run(other, here, by_gamma))
    assert known < {job.key for job in trials}
    # In rows that differ in the posthoc alone, a trial at the same values has the same training.
    both = Tuner(suite_of(techniques=("logit_adjust_posthoc",)), here)
    plan, rows = both.first_trials()
    assert rows == 4
    assert len(plan.trainings) == 2 * 4


# --- no test label reaches a choice ----------------------------------------------------------------------------


def test_a_trial_record_with_numbers_on_test_images_is_refused(here: Context) -> None:
    part = next(Tuner(suite_of(), here).parts(2))
    leak = trial_record(part.plan.cells[0], 0.5) | {"metrics": {"balanced_accuracy": 1.0}}
    with pytest.raises(RecordError, match="it is a trial on held-out images, but has numbers on test images"):
        seal(leak)


def test_scores_are_read_from_held_out_images_alone(here: Context) -> None:
    tuner = Tuner(suite_of(imbalance_factors=(2,), techniques=()), here)
    for part in tuner.parts(2):
        for number, job in enumerate(part.plan.cells if part.is_trial else ()):
            # A store into which someone wrote test scores that would choose another trial.
            planted = trial_record(job, 0.5 - 0.1 * number) | {"metrics": {"balanced_accuracy": float(number)}}
            planted["digest"] = ""
            here.store.put_record(planted)
    assert tuner.tuned == [], "planted records count as missing"


def test_a_plain_record_is_not_a_trial() -> None:
    assert not validate(record()).is_partial
