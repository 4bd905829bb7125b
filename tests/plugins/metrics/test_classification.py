from __future__ import annotations

import numpy as np
import pytest

from ltbench_plugins.metrics.classification import Classification

LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2])
PREDICTED = np.array([0, 0, 0, 1, 1, 0, 0, 0])
COUNTS = np.array([500, 50, 5])


def probabilities(predicted: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[predicted] * 0.8 + 0.2 / classes


@pytest.fixture
def result() -> dict[str, object]:
    return dict(Classification().compute(probabilities(PREDICTED, 3), LABELS, COUNTS))


def test_a_confusion_matrix_counted_by_hand(result: dict[str, object]) -> None:
    assert list(result["confusion"].rows()) == [[3, 1, 0], [1, 1, 0], [2, 0, 0]]
    assert result["per_class.support"] == [4, 2, 2]
    assert result["top1"] == 4 / 8


def test_numbers_per_class_worked_by_hand(result: dict[str, object]) -> None:
    assert result["per_class.accuracy"] == result["per_class.recall"] == [0.75, 0.5, 0.0]
    # Six images are called class 0, three of them rightly; nothing is called class 2.
    assert result["per_class.precision"] == [0.5, 0.5, 0.0]
    assert result["per_class.f1"] == pytest.approx([2 * 0.5 * 0.75 / 1.25, 0.5, 0.0])
    assert result["macro_f1"] == pytest.approx((0.6 + 0.5) / 3)


def test_spread_and_worst_class_worked_by_hand(result: dict[str, object]) -> None:
    assert result["worst_class"] == 0.0
    # mean 5/12; squared deviations 16/144 + 1/144 + 25/144 = 42/144, over three classes
    assert result["sd_classes"] == pytest.approx((42 / 144 / 3) ** 0.5)


def test_groups_and_thirds_are_means_over_their_classes(result: dict[str, object]) -> None:
    assert [result[g] for g in ("many", "medium", "few")] == [0.75, 0.5, 0.0]
    assert [result[f"{t}_third"] for t in ("head", "middle", "tail")] == [0.75, 0.5, 0.0]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([101, 100, 20], {"many": 0.75, "medium": 0.25, "few": None}),
        ([100, 20, 19], {"many": None, "medium": 0.625, "few": 0.0}),
        ([19, 19, 19], {"many": None, "medium": None, "few": pytest.approx(1.25 / 3)}),
    ],
)
def test_the_borders_of_the_groups_and_empty_groups(counts: list[int], expected: dict[str, object]) -> None:
    result = Classification().compute(probabilities(PREDICTED, 3), LABELS, np.array(counts))
    assert {g: result[g] for g in expected} == expected


def test_a_tie_goes_to_the_lowest_label() -> None:
    even = np.array([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4]])
    result = Classification().compute(even, np.array([0, 2]), COUNTS)
    assert list(result["confusion"].rows()) == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_a_class_without_test_images_has_no_accuracy_and_counts_in_no_mean() -> None:
    result = Classification().compute(probabilities(np.array([0, 0, 1, 0]), 4), np.array([0, 0, 1, 1]), np.ones(4, int))
    assert result["per_class.accuracy"] == [1.0, 0.5, None, None]
    assert result["few"] == 0.75
    assert result["worst_class"] == 0.5
    # Neither labelled nor predicted: classes 2 and 3 are in no F1 either, as in scikit-learn.
    assert result["macro_f1"] == pytest.approx((2 * 2 / 5 + 2 * 1 / 3) / 2)


def test_numbers_are_plain_python(result: dict[str, object]) -> None:
    import msgspec

    plain = {name: value for name, value in result.items() if name != "confusion"}
    assert msgspec.json.decode(msgspec.json.encode(plain)) == plain


def test_scikit_learn_agrees_on_random_predictions() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    labels, predicted = rng.integers(0, 9, 400), rng.integers(0, 7, 400)
    result = Classification().compute(probabilities(predicted, 10), labels, rng.integers(1, 300, 10))
    assert result["macro_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro", zero_division=0))
    mine = [result[f"per_class.{name}"][:9] for name in ("precision", "recall", "f1", "support")]  # type: ignore[index]
    theirs = metrics.precision_recall_fscore_support(labels, predicted, labels=range(9), zero_division=0)
    for one, other in zip(mine, theirs, strict=True):
        assert one == pytest.approx(other.tolist())
