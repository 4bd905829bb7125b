from __future__ import annotations

import pytest

from ltbench import Phase
from ltbench_plugins.regimes.decoupling import Decoupling


def test_the_two_stages_of_the_report() -> None:
    # 20 of 30 epochs without the sampler; then 10 with it, backbone frozen, mix off, learning rate reset.
    assert Decoupling().phases() == [
        Phase(until=20 / 30, sampler=False),
        Phase(until=1.0, mix=False, trainable="classifier", restart=True),
    ]


@pytest.mark.parametrize(
    ("params", "first", "second"),
    [
        ({"at": 0.5}, {"until": 0.5}, {}),
        ({"sampler": "both"}, {"sampler": True}, {}),
        ({"mix": "both"}, {}, {"mix": True}),
        ({"weight": "second"}, {"weight": False}, {}),
        ({"freeze": False}, {}, {"trainable": "all"}),
        ({"restart": False}, {}, {"restart": False}),
        ({"lr_scale": 0.1}, {}, {"lr_scale": 0.1}),
    ],
    ids=str,
)
def test_all_of_it_is_a_parameter(params: dict, first: dict, second: dict) -> None:
    default = (
        {"until": 2 / 3, "sampler": False},
        {"until": 1.0, "mix": False, "trainable": "classifier", "restart": True},
    )
    expected = [Phase(**default[0] | first), Phase(**default[1] | second)]
    assert Decoupling(**params).phases() == expected
