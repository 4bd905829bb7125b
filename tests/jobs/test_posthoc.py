"""What a posthoc is given: by split, by branch, and never a test label."""

from __future__ import annotations

import numpy as np
import pytest
from support import registry_with

from ltbench.errors import JobFailed
from ltbench.jobs.posthoc import adjusted_logits
from ltbench.jobs.prediction_file import StoredPrediction
from ltbench.stages import LinearClassifier, Posthoc

COUNTS = np.array([5, 2])
GIVEN: list[object] = []


class Noting(Posthoc, frozen=True):
    """Notes what it is given. Source: none."""

    name = "noting"
    needs_images: str = ""

    def uses(self):
        return frozenset(filter(None, self.needs_images.split("+")))

    def fit(self, evidence):
        GIVEN.append(evidence)
        return len(GIVEN)

    def adjust_with(self, state, predicted, counts, classifier):
        GIVEN.append(predicted)
        return predicted.logits + (state or 0)


class Failing(Noting, frozen=True):
    """Raises when it is fitted. Source: none."""

    name = "failing"

    def fit(self, evidence):
        raise ZeroDivisionError


REGISTRY = registry_with(Noting, Failing, distribution="own-pkg")


@pytest.fixture(autouse=True)
def forget() -> None:
    GIVEN.clear()


def stored(offset: float, images: int, *, branches: int = 1, features: bool = False) -> StoredPrediction:
    logits = offset + np.arange(branches * images * 2.0).reshape(branches, images, 2)
    return StoredPrediction(
        logits,
        np.arange(images) % 2,
        100 + logits[:, :, :1] if features else None,
        [LinearClassifier(np.full(2, branch), np.zeros(2)) for branch in range(branches)],
    )


def test_without_evidence_nothing_is_fitted() -> None:
    adjusted = adjusted_logits(REGISTRY, Noting(), {"test": stored(0, 3)}, COUNTS, ["test"])
    assert [given.labels for given in GIVEN] == [None]
    np.testing.assert_array_equal(adjusted["test"][0], stored(0, 3).logits[0])


def test_each_branch_is_fitted_to_its_own_predictions_and_classifier() -> None:
    given = {"test": stored(0, 3, branches=2), "held_out": stored(50, 2, branches=2)}
    adjusted = adjusted_logits(REGISTRY, Noting(needs_images="held_out"), given, COUNTS, ["test", "held_out"])
    first, *_, second = (one for one in GIVEN if not hasattr(one, "logits"))
    for branch, evidence in enumerate((first, second)):
        np.testing.assert_array_equal(evidence.held_out.logits, given["held_out"].logits[branch])
        assert evidence.classifier.norms[0] == branch
        assert evidence.train is None
        np.testing.assert_array_equal(evidence.counts, COUNTS)
    # The state of a branch adjusts both splits of this branch: it is the number of what was given by then.
    for branch, state in enumerate((1, 2)):
        for split in ("test", "held_out"):
            np.testing.assert_array_equal(adjusted[split][branch], given[split].logits[branch] + state)


def test_labels_come_with_evidence_and_never_with_what_is_adjusted() -> None:
    given = {split: stored(offset, 4, features=True) for split, offset in (("test", 0), ("held_out", 9), ("train", 5))}
    adjusted_logits(REGISTRY, Noting(needs_images="held_out+train+features"), given, COUNTS, ["test", "held_out"])
    evidence, *predicted = GIVEN
    np.testing.assert_array_equal(evidence.train.labels, [0, 1, 0, 1])
    np.testing.assert_array_equal(evidence.train.features, given["train"].features[0])
    assert not any(labels is given["test"].labels for labels in (evidence.train.labels, evidence.held_out.labels))
    assert [one.labels for one in predicted] == [None, None]
    np.testing.assert_array_equal(predicted[0].features, given["test"].features[0])


def test_a_fit_that_fails_names_the_posthoc() -> None:
    given = {"test": stored(0, 3), "held_out": stored(0, 3)}
    with pytest.raises(JobFailed, match=r"posthoc 'failing.*' of own-pkg 1 raised ZeroDivisionError"):
        adjusted_logits(REGISTRY, Failing(needs_images="held_out"), given, COUNTS, ["test"])
