from __future__ import annotations

import pytest

from ltbench.errors import UsageError
from ltbench_plugins.profiles.natural import Natural


def test_every_image_is_kept() -> None:
    assert Natural().counts([772, 76], 1) == [772, 76]
    assert Natural().counts([1, 900, 2], 1.0) == [1, 900, 2]


@pytest.mark.parametrize("factor", [2, 100, 0.5])
def test_another_factor_is_refused(factor: float) -> None:
    with pytest.raises(UsageError, match="imbalance factor"):
        Natural().counts([10, 5], factor)
