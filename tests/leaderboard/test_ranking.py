"""What a leaderboard ranks by: the metric that fits the test split, or the one that is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import synthetic
from sklearn.metrics import balanced_accuracy_score
from synthetic import boards, publish, raw

from ltbench.errors import UnknownName, UsageError
from ltbench.leaderboard.compare.compare import default_metric
from ltbench.leaderboard.html.content import report_content
from ltbench.leaderboard.page.terminal import leaderboard_text
from ltbench.leaderboard.publish import load
from ltbench.leaderboard.statistics.ranking import ranking_of
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.table import make_boards
from ltbench.records.record import Record, seal, validate
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
        validate(seal({**synthetic.msgspec.to_builtins(record), "digest": "",
                       "metrics": record.metrics | {"sd_classes": 0.5 if record.label == "baseline" else 0.1}}))
        for record in always_head()
    ]  # fmt: skip
    (board,) = make_boards(records, (), synthetic.COLUMNS, (), metric)
    assert board.tables[0].rows[0].label == first
    assert board.ranking.why == f"Ranked by {board.ranking.words}, as asked."
    assert board.tables[0].rows[0].rank == 1


@pytest.mark.parametrize(("metric", "error"), [("gmeen", UnknownName), ("nll", UsageError)])
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
