from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from ltbench.racing.belief import Belief, Model, Sizes
from ltbench.racing.likeness import Cells, Likeness

ROWS = [
    (),
    (("mix", "mixup"),),
    (("loss", "focal"),),
    (("mix", "mixup"), ("loss", "focal")),
    (("loss", "focal[gamma=5]"),),
]
ALL = np.arange(5, dtype=np.intp)


def sizes(**changed: float) -> Sizes:
    base = {
        "stage": 0.0,
        "technique": 1.0,
        "pair": 0.0,
        "own": 0.0,
        "seeds": 0.0,
        "noise": 0.01,
        "shared": 0.0,
    } | changed
    return Sizes(
        parts=np.array([base["stage"], base["technique"], base["pair"], base["own"]]), seeds=base["seeds"],
        deviation=0.0, noise=np.array([base["noise"]]), shared=base["shared"],
    )  # fmt: skip


def test_what_rows_have_in_common() -> None:
    stages, techniques, pairs, own = Likeness(ROWS).of_rows(ALL, ALL)
    assert stages[3].tolist() == [0, 1, 1, 2, 1]
    # Other parameters of a technique count half.
    assert techniques[3].tolist() == [0, 1, 1, 2, 0.5]
    assert pairs[3].tolist() == [0, 0, 0, 1, 0]
    assert own.tolist() == np.eye(5).tolist()
    assert np.array_equal(Likeness(ROWS).of_one(ALL), [part.diagonal() for part in Likeness(ROWS).of_rows(ALL, ALL)])


def test_two_scores_of_one_block_shrink_their_difference_by_hand() -> None:
    # The effect has a variance of 1 and the difference of two scores a noise of 2 x 0.5, so half of it is believed.
    cells = Cells.grid(5, [0]).at(np.array([0, 1], dtype=np.intp))
    belief = Belief(Model(Likeness(ROWS), 1), sizes(noise=0.5), cells, np.array([70.0, 74.0]))
    gap, error = belief.differences(np.array([1], dtype=np.intp), 0)
    assert gap[0] == pytest.approx(2.0, abs=0.01)
    assert error[0] == pytest.approx(math.sqrt(0.5), abs=0.01)


def test_a_row_that_was_never_run_is_believed_to_be_the_sum_of_what_was() -> None:
    cells = Cells.grid(5, [0]).at(np.array([0, 1, 2], dtype=np.intp))
    scores = np.array([70.0, 73.0, 72.0])
    unrun = np.array([3], dtype=np.intp)
    additive = Belief(Model(Likeness(ROWS), 1), sizes(technique=100.0), cells, scores)
    assert additive.differences(unrun, 0)[0][0] == pytest.approx(5.0, abs=0.05)
    # A pair adds nothing to the belief but to its error.
    paired = Belief(Model(Likeness(ROWS), 1), sizes(technique=100.0, pair=4.0), cells, scores)
    assert paired.differences(unrun, 0)[0][0] == pytest.approx(5.0, abs=0.05)
    assert paired.differences(unrun, 0)[1][0] ** 2 == pytest.approx(
        additive.differences(unrun, 0)[1][0] ** 2 + 4, abs=0.01
    )


def test_noise_that_a_training_has_in_common_leaves_the_difference_of_its_rows() -> None:
    cells = Cells.grid(5, [0]).at(np.array([0, 1], dtype=np.intp))
    row = np.array([1], dtype=np.intp)
    shared = Belief(Model(Likeness(ROWS, "aabcd"), 1), sizes(noise=1.0, shared=0.99), cells, np.array([70.0, 74.0]))
    own = Belief(Model(Likeness(ROWS), 1), sizes(noise=1.0, shared=0.99), cells, np.array([70.0, 74.0]))
    assert shared.differences(row, 0)[0][0] == pytest.approx(4 / 1.02, abs=0.01)
    assert own.differences(row, 0)[0][0] == pytest.approx(4 / 3, abs=0.01)


def test_means_and_differences_are_those_of_the_joint_distribution() -> None:
    rng = np.random.default_rng(0)
    grid = Cells.grid(5, [0, 1, 0, 1])
    told = np.array([0, 1, 4, 9, 10, 13], dtype=np.intp)
    model = Model(Likeness(ROWS, "aabcd"), 2)
    found = model.fit(grid.at(told), scores := rng.normal(70, 3, len(told)))
    belief = Belief(model, found, grid.at(told), scores)
    joint = belief.joint(ALL, grid.at(np.array([2, 7], dtype=np.intp)))
    means, errors = belief.means(ALL)
    gaps, of_gaps = belief.differences(ALL, 3)
    assert errors == pytest.approx(np.sqrt(joint.diagonal()[:5]))
    assert gaps == pytest.approx(means - means[3])
    assert of_gaps**2 == pytest.approx(joint.diagonal()[:5] + joint[3, 3] - 2 * joint[3, :5], abs=1e-6)


def test_the_gradient_of_the_likelihood_is_that_of_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    cells = Cells.grid(5, [0, 1, 0]).at(np.arange(12, dtype=np.intp))
    minimize = optimize.minimize

    def checked(loss, start, **options):
        at = start + rng.normal(0, 0.3, len(start))
        numeric = [(loss(at + step)[0] - loss(at - step)[0]) / 2e-5 for step in 1e-5 * np.eye(len(at))]
        assert loss(at)[1] == pytest.approx(numeric, abs=1e-5)
        return minimize(loss, start, **options)

    monkeypatch.setattr(optimize, "minimize", checked)
    Model(Likeness(ROWS, "aabcd"), 2).fit(cells, rng.normal(70, 3, 12))


def test_sizes_follow_the_scores() -> None:
    rng = np.random.default_rng(1)
    rows = [(("loss", f"loss{i}"),) for i in range(12)]
    cells = Cells.grid(12, [0, 0, 0, 0])
    truth = np.repeat(rng.normal(0, 1, 12), 4)
    quiet = Model(Likeness(rows), 1).fit(cells, 70 + truth + rng.normal(0, 0.2, 48))
    loud = Model(Likeness(rows), 1).fit(cells, 70 + truth + rng.normal(0, 5, 48))
    assert quiet.noise[0] < 0.5 < 5 < loud.noise[0]


def test_without_scores_sizes_are_typical() -> None:
    nothing = Cells.grid(5, [0]).at(np.zeros(0, dtype=np.intp))
    found = Model(Likeness(ROWS), 1).fit(nothing, np.zeros(0))
    assert found.parts.tolist() == pytest.approx([4, 4, 1, 1])
