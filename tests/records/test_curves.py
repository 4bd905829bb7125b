from __future__ import annotations

from ltbench.records.curves import POINTS, thinned


def test_short_curves_stay_and_long_ones_keep_their_ends() -> None:
    short = {"epoch": [1.0, 2.0], "loss": [0.5, 0.25]}
    assert thinned(short) == short
    assert thinned({}) == {}
    epochs = [float(e) for e in range(1, 401)]
    chosen = {"epoch": [100.0, 400.0], "score": [0.5, 0.6]}
    found = thinned({"epoch": epochs, "loss": [-e for e in epochs], "held_out": chosen})
    assert len(found["epoch"]) == POINTS
    assert (found["epoch"][0], found["epoch"][-1]) == (1.0, 400.0)
    assert found["epoch"] == sorted(set(found["epoch"]))
    assert found["loss"] == [-e for e in found["epoch"]]
    assert found["held_out"] == chosen
