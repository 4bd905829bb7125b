"""What a leaderboard ranks by: the metric that fits the test split, or the one that is asked for."""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec
import numpy as np
import pytest
import synthetic
from sklearn.metrics import balanced_accuracy_score
from synthetic import boards, publish, raw

from ltbench.errors import UnknownName, UsageError
from ltbench.leaderboard.compare.compare import compare_combinations, default_metric
from ltbench.leaderboard.compare.terminal import comparison_text
from ltbench.leaderboard.figures import effects, interactions
from ltbench.leaderboard.figures.looks import Look
from ltbench.leaderboard.html.content import report_content
from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.page.terminal import leaderboard_text
from ltbench.leaderboard.publish import load
from ltbench.leaderboard.statistics.effects import Effect
from ltbench.leaderboard.statistics.ranking import DEFAULT, ranking_of
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.cell_text import columns
from ltbench.leaderboard.tables.table import Board, make_boards
from ltbench.records.record import Record, plain_values, seal, validate
from ltbench_plugins.metrics.balanced_accuracy import BalancedAccuracy

HEAD, TAIL = 45, 5


def skewed(
    accuracy: tuple[float, float], techniques: dict[str, str] | None = None, *, metric: bool = True, **kwargs: object
) -> Record:
    """Return a record of two classes with 45 and 5 test images. metric: whether it has the new metric."""
    made = raw(techniques or {}, classes="ab", **kwargs)  # type: ignore[arg-type]
    top1 = (HEAD * accuracy[0] + TAIL * accuracy[1]) / (HEAD + TAIL)
    made["metrics"] |= {"top1": top1} | ({"balanced_accuracy": sum(accuracy) / 2} if metric else {})  # type: ignore[operator]
    made["per_class"] = {"accuracy": list(accuracy), "support": [HEAD, TAIL]}
    return validate(seal(made))


def always_head(**kwargs: object) -> list[Record]:
    """A baseline that always predicts the head, and a sampler that finds half of the tail."""
    return [
        record
        for seed in range(3)
        for record in (
            skewed((1.0, 0.0), seed=seed, **kwargs),
            skewed((0.8, 0.6 + 0.2 * (seed == 1)), {"sampler": "cb_sampler"}, seed=seed, **kwargs),
        )
    ]


def test_the_metric_is_scikit_learns_on_random_predictions() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(5, 200, p=[0.6, 0.3, 0.06, 0.04, 0.0])
    probabilities = rng.dirichlet(np.ones(5), 200)
    found = BalancedAccuracy().compute(probabilities, labels, np.ones(5, dtype=np.int64))["balanced_accuracy"]
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert found == pytest.approx(balanced_accuracy_score(labels, probabilities.argmax(axis=1)))


@pytest.mark.parametrize("metric", [True, False], ids=["in the record", "from its classes"])
def test_where_the_test_split_is_not_balanced_always_predicting_the_head_does_not_rank_first(metric: bool) -> None:
    (board,) = boards(always_head(metric=metric))
    rows = board.tables[0].rows
    assert [row.label for row in rows] == ["cb_sampler", "baseline"]
    assert rows[1].scores["balanced_accuracy"].mean == 0.5
    assert rows[1].scores["top1"].mean == pytest.approx(0.9)
    assert rows[0].delta.mean == pytest.approx((0.7 + 0.8 + 0.7) / 3 - 0.5)
    assert board.ranking.why.startswith(
        "Ranked by balanced accuracy, the mean of the accuracies of the classes, as the"
    )
    assert "always predicting the largest class would score 90.0 %" in board.ranking.why


def test_on_a_balanced_test_split_top1_ranks_without_a_word() -> None:
    (board,) = boards([synthetic.record(seed=0)])
    assert (board.ranking.name, board.ranking.why) == ("top1", "")


@pytest.mark.parametrize(
    ("metric", "first"), [("top1", "baseline"), ("balanced_accuracy", "cb_sampler"), ("sd_classes", "cb_sampler")]
)
def test_the_metric_that_is_asked_for_ranks_and_low_ones_first_where_low_is_good(metric: str, first: str) -> None:
    records = [
        validate(seal({**plain_values(record), "digest": "",
                       "metrics": record.metrics | {"sd_classes": 0.5 if record.label == "baseline" else 0.1}}))
        for record in always_head()
    ]  # fmt: skip
    (board,) = make_boards(records, (), synthetic.COLUMNS, (), metric)
    assert board.tables[0].rows[0].label == first
    low = "; low is good" if metric == "sd_classes" else ""
    assert board.ranking.why == f"Ranked by {board.ranking.words}, as asked{low}."
    assert board.tables[0].rows[0].rank == 1


@pytest.mark.parametrize(("metric", "error"), [("gmeen", UnknownName), ("accuracy", UnknownName)])
def test_what_cannot_rank_is_refused_by_name(metric: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=metric):
        ranking_of([], metric, synthetic.COLUMNS)


def test_page_terminal_and_report_say_by_what_they_rank_and_why(tmp_path: Path) -> None:
    publish(tmp_path / "s", SuiteFacts(name="s", columns=synthetic.COLUMNS), always_head())
    loaded = load(tmp_path / "s")
    page = (tmp_path / "s" / "README.md").read_text()
    assert "Ranked by balanced accuracy, the mean of the accuracies of the classes" in page
    assert "- **balanced** is balanced accuracy on the test set" in page
    assert " balanced |" in page
    text = leaderboard_text(loaded.facts, loaded.records, loaded.boards, 100)
    assert "Ranked by balanced accuracy" in text
    (board,) = report_content(loaded).core["boards"]
    assert (board["ranking"]["score"], board["ranking"]["why"]) == ("balanced_accuracy", loaded.boards[0].ranking.why)
    by_top1 = load(tmp_path / "s", "top1")
    assert by_top1.boards[0].tables[0].rows[0].label == "baseline"


def test_comparisons_take_the_metric_that_fits_too() -> None:
    assert default_metric(always_head()) == "balanced_accuracy"
    assert default_metric([synthetic.record()]) == "top1"
    assert default_metric([]) == "top1"


# --- costs and numbers with a unit of their own ---------------------------------------------------------------------

COSTS = "expected_cost[costs=cat>dog:8]"
NAMES = ("cat", "dog")


def by_confusion(scale: int = 1) -> list[Record]:
    """Records of a row with more errors that cost little (cutmix), one with fewer that cost much, and one in between."""
    rng = np.random.default_rng(6)
    missed = {"baseline": (20, 20), "cutmix": (2, 60), "mixup": (40, 0)}
    records = []
    for label, (cats, dogs) in missed.items():
        for factor in (10.0, 100.0):
            for seed in range(4):
                a, b = (int(n + rng.integers(0, 3)) * scale for n in (cats, dogs))
                confusion = [[100 * scale - a, a], [b, 100 * scale - b]]
                top1 = 1 - (a + b) / (200 * scale)
                picks = {} if label == "baseline" else {"mix": label}
                records.append(
                    synthetic.record(picks, factor, seed, {"top1": top1, "nll": 1.5 - top1}, classes=NAMES,
                                     confusion=confusion, per_class={"accuracy": [0.5, 0.5], "support": [100, 100]})
                )  # fmt: skip
    return records


def ranked(metric: str, records: list[Record] | None = None) -> Board:
    (board,) = make_boards(records or by_confusion(), (), synthetic.COLUMNS, (), metric)
    return board


def test_the_row_of_the_lowest_cost_is_first_though_it_has_the_most_errors() -> None:
    assert [row.label for row in ranked("top1").across.rows] == ["mixup", "baseline", "cutmix"]
    board = ranked(COSTS)
    assert [row.label for row in board.across.rows] == ["cutmix", "baseline", "mixup"]
    best = board.across.rows[0]
    assert best.rank == 1
    assert best.delta.mean < 0
    assert best.separated
    assert board.ranking.why == (
        "Ranked by expected cost, as asked; low is good. Mean cost of the decisions: cat taken for dog costs 8, any other "
        "error 1."
    )
    # Two matrices rank the same records.
    other = ranked("expected_cost[costs=dog>cat:8]")
    assert [row.label for row in other.across.rows] == ["mixup", "baseline", "cutmix"]


def test_a_page_by_costs_has_them_in_their_own_unit_and_says_what_helps(tmp_path: Path) -> None:
    facts = SuiteFacts(name="s", columns=synthetic.COLUMNS, metric=COSTS, figures=("bars", "effects", "cost"))
    publish(tmp_path / "s", facts, by_confusion())
    text = (tmp_path / "s" / "README.md").read_text()
    assert "cutmix is significantly better than the baseline: −0.499 of expected cost" in text
    assert "mixup is significantly worse than the baseline: +0." in text
    assert "- The best row is cutmix with expected cost 0.4" in text
    assert "Expected cost (low is good) at each imbalance factor (IF), mean ± 95 % interval" in text
    assert "is expected cost on the test set, mean ± 95 %" in text
    assert "points of expected cost" not in text
    assert "% expected cost" not in text
    for svg in (tmp_path / "s" / "figures").glob("*.svg"):
        assert "Expected cost, %" not in svg.read_text()
    rows = csv.DictReader((tmp_path / "s" / "table.csv").read_text().splitlines())
    found = {row["techniques"]: float(row[COSTS]) for row in rows if row["imbalance_factor"] == "all"}
    records = [record for record in by_confusion() if record.label == "cutmix"]
    assert found["cutmix"] == pytest.approx(sum(record.score(COSTS) for record in records) / len(records), abs=1e-6)
    (board,) = report_content(load(tmp_path / "s")).core["boards"]
    assert (board["ranking"]["unit"], board["ranking"]["sign"]) == ("plain", -1)


@pytest.mark.parametrize("times", [0.01, 30])
def test_verdicts_do_not_depend_on_the_unit_of_the_costs(times: float) -> None:
    one, other = (ranked(f"expected_cost[costs=*>*:{unit}+cat>dog:{8 * unit}]").across for unit in (1, times))
    assert not other.arcsine
    for mine, theirs in zip(one.rows, other.rows, strict=True):
        assert (mine.label, mine.rank, mine.last_rank) == (theirs.label, theirs.rank, theirs.last_rank)
        assert mine.p == pytest.approx(theirs.p)
        if mine.delta is not None:
            assert theirs.delta.mean == pytest.approx(times * mine.delta.mean)


def test_if_every_error_costs_1_rows_stand_as_by_top1() -> None:
    costs, top1 = ranked("expected_cost[costs=*>*:1]").across, ranked("top1").across
    assert [row.label for row in costs.rows] == [row.label for row in top1.rows]
    for mine, theirs in zip(costs.rows, top1.rows, strict=True):
        assert (mine.rank, mine.last_rank) == (theirs.rank, theirs.last_rank)
        assert mine.scores[costs.ranking.name].mean == pytest.approx(1 - theirs.scores["top1"].mean)


def test_numbers_with_a_unit_of_their_own_rank_too_and_are_never_percent() -> None:
    board = ranked("nll")
    assert [row.label for row in board.across.rows] == ["mixup", "baseline", "cutmix"]
    texts = {column.name: column.texts for column in columns(board.across)}
    assert texts["mean"][0] == f"{board.across.rows[0].scores['nll'].mean:.3f}"
    assert texts["Δ"][0].startswith("−0.0")


def test_costs_of_other_classes_are_refused_where_records_are_ranked_and_compared() -> None:
    for costs in ("cat>doge:8", "*>*:none+cat>*:1"):
        with pytest.raises(UsageError, match=r"doge|say nothing of 'dog'"):
            ranked(f"expected_cost[costs={costs}]")
        with pytest.raises(UsageError, match=r"doge|say nothing of 'dog'"):
            compare_combinations(by_confusion(), "mixup", "baseline", f"expected_cost[costs={costs}]", unit="plain")
    found = compare_combinations(by_confusion(), "baseline", "cutmix", COSTS, unit="plain")
    text = comparison_text(found, 100)
    assert "times 100" not in text
    assert "B is lower" in text
    assert f"{found.lines[-1].first.mean:.3f}" in text


def test_where_low_is_good_pairs_that_go_below_zero_help_each_other() -> None:
    records = [
        synthetic.record(picks, 100.0, seed, {"ece": score + seed / 1000})
        for picks, score in (({}, 0.3), ({"mix": "mixup"}, 0.2), ({"view": "tta"}, 0.2), ({"mix": "mixup", "view": "tta"}, 0.02))
        for seed in range(3)
    ]  # fmt: skip
    for metric, words in (
        ("ece", "below zero they help each other, above zero they"),
        ("top1", "above zero they help each other, below zero they"),
    ):
        text = page(SuiteFacts(name="s", columns=synthetic.COLUMNS, metric=metric), records, make_boards(records, (), synthetic.COLUMNS, (), metric))  # fmt: skip
        assert words in text
    ranking = ranked("ece", records).ranking
    pairs = [
        Effect(techniques=("a", name), factor=None, mean=mean, low=mean - 0.1, high=mean + 0.1, n=3, contexts=1, cells=3, p=0.01, aliased=None)
        for name, mean in zip("bcdefgh", (-0.3, 0.2, -0.1, 0.1, 0.2, -0.2, 0.3), strict=True)
    ]  # fmt: skip
    short = {name: name for name in "abcdefgh"}
    colours = {}
    for one in (ranking, DEFAULT):
        data = interactions.collect(pairs, None, short, "3 seeds", ranking=one)
        assert data is not None
        axes = interactions.draw(data).axes[0]
        colours[one.sign] = axes.collections[0].get_array().compressed()
        assert axes.get_xlabel().startswith(f"blue, {'above' if one.sign > 0 else 'below'} 0: they help")
    assert colours[1] == pytest.approx(-colours[-1])
    alone = [msgspec.structs.replace(pair, techniques=pair.techniques[1:], factor=10.0) for pair in pairs]
    looks = dict.fromkeys(short, Look(color="#000000"))
    found = effects.collect(alone, looks, short, "ECE", "3 seeds", ranking=ranking)
    assert found is not None
    assert found.techniques[0] == "b"  # the most helpful one lowers it by 0.3
