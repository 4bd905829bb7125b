from __future__ import annotations

import numpy as np
from ltbench.testing import checks

from ltbench_deferred.log_pool import LogPool

test_log_pool = checks(LogPool)


def test_the_geometric_mean_of_odds_of_9_and_1_is_odds_of_3() -> None:
    # sqrt(0.9 * 0.5) : sqrt(0.1 * 0.5) = 3 : 1.
    merged = LogPool().merge(np.array([[[0.9, 0.1]], [[0.5, 0.5]]]))
    np.testing.assert_allclose(merged, [[0.75, 0.25]])


def test_one_member_can_rule_a_class_out() -> None:
    # The arithmetic mean would be 0.6 for the first class.
    merged = LogPool().merge(np.array([[[0.9, 0.1]], [[0.9, 0.1]], [[0.0, 1.0]]]))
    assert merged[0, 0] < 0.001


def test_members_that_rule_everything_out_leave_a_prediction() -> None:
    np.testing.assert_allclose(LogPool().merge(np.array([[[1.0, 0.0]], [[0.0, 1.0]]])), [[0.5, 0.5]])


def test_the_first_member_is_the_plain_training() -> None:
    assert [member.seed_offset for member in LogPool(size=4).members([10, 1])] == [0, 1, 2, 3]
