"""Seconds of jobs: from the nearest that is known, sharpened while a run goes on."""

from __future__ import annotations

import msgspec
import pytest
from fakes import context, make

from ltbench.timing.estimate import Forecast, Prediction
from ltbench.timing.job_shape import Shape
from ltbench.timing.speed_log import Speeds, SpeedSample, read

FIT = Shape(
    kind="fit", data="tiny exp 100", channels=3, size=32, classes=10, model="net", batch=64, precision="fp32",
    optimizer="sgd", trainable="all", techniques="shuffle",
)  # fmt: skip
PREDICT = Shape(
    kind="predict", data="tiny", channels=3, size=32, classes=10, model="net", precision="fp32", techniques="identity"
)


def shaped(job):
    base = {"fit": FIT, "predict": PREDICT}.get(job.kind, Shape(kind=job.kind, data="tiny", techniques="single x1"))
    return msgspec.structs.replace(base, **job.spec.get("shape", {})), job.spec.get("work", 100.0)


def fit(key="fit1", *parents, work=100.0, **shape):
    still = {"trainable": shape.get("trainable", "all"), "augment": None, "mix": None}
    return make(key, *parents, work=work, shape=shape, segments=[still])


def line(seconds, work=100.0, shape=FIT, jobs=3, **more):
    return SpeedSample(shape=shape, jobs=jobs, seconds=seconds, work=work, **more)


def predicting(*lines, store=None):
    return Prediction(shaped, store, Speeds(lines), "local")


def basis_of(known, job):
    return next(iter(known.forecast({job.key: job}, workers=1).basis), None)


def test_of_a_training_that_nothing_is_known_of_nothing_is_said():
    known = predicting()
    assert (known.seconds(fit()), basis_of(known, fit())) == (None, None)
    assert known.seconds(make("predict1", kind="predict")) == 0.3
    assert known.seconds(make("cell1", kind="cell")) == 0.02
    assert known.forecast({"fit1": fit()}, workers=2) == Forecast(
        seconds=None, elapsed=None, workers=2, basis={}, unknown=1
    )


@pytest.mark.parametrize(
    ("asked", "seconds", "basis"),
    [
        ({}, 10.0, "shape"),
        ({"data": "tiny exp 10"}, 10.0, "shape"),
        ({"techniques": "shuffle mixup"}, 10.0, "alike"),
        ({"batch": 256, "optimizer": "adam"}, 10.0, "alike"),
        ({"size": 64}, 40.0, "multiply-adds"),
        ({"model": "unseen"}, None, None),
        ({"precision": "bf16"}, None, None),
    ],
)
def test_the_nearest_that_is_known_is_taken(asked, seconds, basis):
    known = predicting(line(10.0, macs=1000.0))
    assert (known.seconds(fit(**asked)), basis_of(known, fit(**asked))) == (seconds and pytest.approx(seconds), basis)


def test_another_models_speed_serves_where_the_multiply_adds_are_known():
    other = msgspec.structs.replace(FIT, model="other", precision="bf16")
    mine = msgspec.structs.replace(FIT, model="net", precision="fp32")
    known = predicting(line(10.0, shape=other, macs=1000.0), line(50.0, shape=mine, macs=3000.0))
    assert known.seconds(fit(precision="bf16")) == pytest.approx(30.0)
    assert basis_of(known, fit(precision="bf16")) == "multiply-adds"


def test_work_scales_a_prediction():
    assert predicting(line(10.0)).seconds(fit(work=250.0)) == pytest.approx(25.0)


def test_a_pass_is_a_pass_where_nothing_else_is_known():
    known = predicting(line(9.0))
    assert known.seconds(make("predict1", kind="predict", work=20.0)) == pytest.approx(1.8)
    assert basis_of(known, make("predict1", kind="predict")) == "fits"
    head = fit(trainable="classifier", techniques="shuffle", work=50.0)
    assert (known.seconds(head), basis_of(known, head)) == (pytest.approx(4.5), "fits")


def test_jobs_of_the_run_count_before_those_of_the_past():
    known = predicting(line(10.0))
    known.learn(fit(), 15.0)
    assert (known.seconds(fit("fit2")), basis_of(known, fit("fit2"))) == (pytest.approx(15.0), "run")


def test_a_machine_that_is_slower_today_is_slower_for_every_shape():
    mixup = {"techniques": "shuffle mixup"}
    known = predicting(line(10.0), line(20.0, shape=msgspec.structs.replace(FIT, **mixup)))
    known.learn(fit(), 15.0)
    assert known.seconds(fit("fit2", **mixup)) == pytest.approx(30.0)


def test_the_first_job_of_a_worker_counts_only_while_there_is_no_other():
    known = predicting()
    known.learn(fit("fit1"), 30.0, cold=True)
    assert (known.seconds(fit("fit2")), basis_of(known, fit("fit2"))) == (30.0, "cold")
    known.learn(fit("fit2"), 4.0)
    assert known.seconds(fit("fit3")) == 4.0


def test_the_first_job_says_itself_how_long_it_trained(tmp_path):
    store = context(tmp_path).store
    for key, cost in (("fit1", {"train_seconds": 4.0, "job_seconds": 9.0, "macs": 1000.0}), ("fit2", {})):
        with store.writing(key) as folder:
            (folder / "meta.json").write_bytes(msgspec.json.encode({"cost": cost}))
    known = predicting(store=store)
    known.learn(fit("fit1"), 30.0, cold=True)
    assert known.seconds(fit("fit3")) == 4.0
    assert known.seconds(fit("fit3", size=64)) == pytest.approx(16.0)
    known.learn(fit("fit2", model="other"), 30.0, cold=True)
    assert basis_of(known, fit("fit4", model="other")) == "cold"


def test_what_a_run_learned_is_there_for_the_next(tmp_path):
    store = context(tmp_path).store
    first = predicting(store=store)
    first.learn(fit("fit1"), 10.0)
    first.learn(fit("fit2"), 14.0)
    first.learn(fit("fit3", model="big"), 70.0)
    first.learn_start(6.0)
    first.save()
    first.save()
    lines = list(read(store.root / "speeds"))
    assert len(lines) == 3
    known = predicting(*lines, store=store)
    assert known.seconds(fit()) == pytest.approx(12.0)
    assert known.seconds(fit(model="big")) == pytest.approx(70.0)
    assert known.start == 6.0
    assert [Prediction(shaped, store, Speeds(lines), other).start for other in ("inline", None)] == [0.0, 0.0]


def test_a_forecast_is_shared_by_workers_and_no_shorter_than_a_chain():
    known = predicting(line(10.0), SpeedSample(shape=Shape(kind="start", data="local"), jobs=1, seconds=5.0, work=1.0))
    side_by_side = {f"fit{n}": fit(f"fit{n}") for n in range(4)}
    forecast = known.forecast(side_by_side, workers=2)
    assert (forecast.seconds, forecast.elapsed) == (pytest.approx(40.0), pytest.approx(25.0))
    chain = {"fit0": fit("fit0"), **{f"fit{n}": fit(f"fit{n}", f"fit{n - 1}") for n in range(1, 4)}}
    assert known.forecast(chain, workers=8).elapsed == pytest.approx(45.0)
    assert known.forecast({}, workers=8).elapsed == 0.0
    assert (forecast + forecast).elapsed == pytest.approx(50.0)
    assert (forecast + forecast).basis == {"shape": pytest.approx(80.0)}
