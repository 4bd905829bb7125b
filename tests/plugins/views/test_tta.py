from __future__ import annotations

import numpy as np
import pytest
import torch

from ltbench_plugins.views.identity import Identity
from ltbench_plugins.views.tta import Tta


def logits_of(*views: list[float]) -> np.ndarray:
    """Return logits [views, 1, C] of these probabilities of one image."""
    return np.log(np.array(views))[:, None, :]


def test_the_views_are_the_image_and_its_mirror_image() -> None:
    images = torch.arange(12.0).view(1, 1, 3, 4)
    views = Tta().views()
    assert list(views) == ["identity", "mirror"]
    assert torch.equal(views["identity"](images), images)
    assert views["mirror"](images)[0, 0, 0].tolist() == [3, 2, 1, 0]
    assert torch.equal(views["mirror"](views["mirror"](images)), images)


def test_the_mean_by_hand() -> None:
    merged = Tta().merge(logits_of([0.5, 0.3, 0.2], [0.1, 0.7, 0.2]))
    assert merged.tolist() == [pytest.approx([0.3, 0.5, 0.2])]


def test_a_vote_by_hand() -> None:
    merged = Tta(merge_by="vote").merge(logits_of([0.5, 0.3, 0.2], [0.6, 0.2, 0.2]))
    # Two votes for the first; means 0.55, 0.25, 0.2; (2 + 0.55) / 3 and so on.
    assert merged.tolist() == [pytest.approx([2.55 / 3, 0.25 / 3, 0.2 / 3])]


def test_a_tie_of_votes_goes_to_the_larger_mean_probability() -> None:
    merged = Tta(merge_by="vote").merge(logits_of([0.55, 0.40, 0.05], [0.0001, 0.4, 0.5999]))
    # Votes for the first and the third; the means are 0.275, 0.4 and 0.325: the second has none, the third wins.
    assert merged.argmax() == 2
    assert Tta().merge(logits_of([0.55, 0.40, 0.05], [0.0001, 0.4, 0.5999])).argmax() == 1


@pytest.mark.parametrize("merge_by", ["mean", "vote"])
@pytest.mark.parametrize("classes", [2, 1000])
def test_rows_sum_to_one_and_extreme_logits_are_safe(merge_by: str, classes: int) -> None:
    logits = np.random.default_rng(0).normal(size=(2, 30, classes)).astype(np.float32)
    for scale in (1, 1e4):
        merged = Tta(merge_by=merge_by).merge(logits * scale)
        assert merged.shape == (30, classes)
        assert np.isfinite(merged).all()
        assert merged.sum(1) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("merge_by", ["mean", "vote"])
def test_views_that_agree_change_no_prediction(merge_by: str) -> None:
    logits = np.random.default_rng(1).normal(size=(1, 40, 5))
    merged = Tta(merge_by=merge_by).merge(np.concatenate([logits, logits]))
    assert (merged.argmax(1) == Identity().merge(logits).argmax(1)).all()
