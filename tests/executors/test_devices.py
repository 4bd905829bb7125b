"""--device: what computes, and what follows from it. GPUs are simulated by what torch would say of them."""

from __future__ import annotations

import json

import msgspec
import pytest
import torch
from fakes import context, ended, journal_keys, make, statuses
from support import call, main_result, suite_source

from ltbench.core import devices
from ltbench.core.devices import devices_here, slots_on
from ltbench.core.folders import cores
from ltbench.errors import UsageError
from ltbench.executor import Terms
from ltbench.executors.builtin import DaskOffer, LocalOffer
from ltbench.executors.local import Local
from ltbench.records.record import Record
from ltbench.suite.recipe import native_bf16
from ltbench.suite.suite import changed, read_suite
from ltbench.verification.rerun import device_of


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device=None: (8, 0))
    native_bf16.cache_clear()
    yield
    native_bf16.cache_clear()


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: 0)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("auto", ("cuda:0", "cuda:1")), ("cuda", ("cuda:0", "cuda:1")), ("cuda:1", ("cuda:1",)),
        ("cuda:1,0", ("cuda:1", "cuda:0")), ("cuda:1,1", ("cuda:1",)), ("cpu", ("cpu",)),
    ],
)  # fmt: skip
def test_devices_of_a_machine_with_two_gpus(asked: str, found: tuple[str, ...]) -> None:
    assert devices_here(asked) == LocalOffer().devices(asked) == found


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("asked", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "", "CUDA"])
def test_what_names_no_device_is_refused(asked: str) -> None:
    with pytest.raises(UsageError, match="unknown device"):
        devices_here(asked)


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no GPU 2"):
        devices_here("cuda:0,2")


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_auto_is_the_processor_and_cuda_an_error() -> None:
    assert devices_here("auto") == ("cpu",)
    with pytest.raises(UsageError, match="no GPU that torch can use"):
        devices_here("cuda")


def test_a_machine_without_a_driver_is_not_asked_by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_DRIVERS", ())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("torch was asked"))
    devices.gpus.cache_clear()
    assert devices.gpus() == 0
    devices.gpus.cache_clear()


def test_other_machines_of_a_cluster_have_gpus_if_its_options_say_so() -> None:
    assert DaskOffer().devices("auto") == ("cpu",)
    assert DaskOffer(gpus=1.0).devices("auto") == ("cuda",)
    assert DaskOffer().devices("cuda") == ("cuda",)
    assert DaskOffer(gpus=1.0).devices("cpu") == ("cpu",)
    with pytest.raises(UsageError, match="GPUs of this machine"):
        DaskOffer().devices("cuda:1")
    with pytest.raises(UsageError, match="unknown device"):
        DaskOffer().devices("tpu")


def test_workers_are_one_per_core_or_some_per_gpu() -> None:
    assert slots_on(("cpu",), None, per_gpu=3) == ["cpu"] * cores()
    assert slots_on(("cpu",), 5, per_gpu=1) == ["cpu"] * 5
    assert slots_on(("cuda:0", "cuda:1"), None, per_gpu=2) == ["cuda:0", "cuda:1"] * 2
    assert slots_on(("cuda:0", "cuda:1"), 3, per_gpu=1) == ["cuda:0", "cuda:1", "cuda:0"]


def test_each_worker_is_bound_to_its_device(tmp_path) -> None:
    here = msgspec.structs.replace(context(tmp_path / "store"), devices=("cuda:0", "cuda:1"))
    terms = Terms(work="fakes:work_and_tell_the_device")
    with Local(here, terms) as local:
        assert local.slots == 2
        outcomes = ended(local, *[[make(f"job{number}", sleeps=1.0)] for number in range(4)])
    assert set(statuses(outcomes).values()) == {"done"}
    told = [journal_keys(here.store, device) for device in here.devices]
    assert sorted(map(len, told)) == [2, 2]
    assert sorted([*told[0], *told[1]]) == [f"job{number}" for number in range(4)]


def test_precision_follows_the_device_that_trains(monkeypatch: pytest.MonkeyPatch, two_gpus: None, tmp_path) -> None:
    (tmp_path / "s.toml").write_text(suite_source("s", {"steps": 1}))
    suite = read_suite(tmp_path / "s.toml")
    assert suite.trained_on("cuda:1").recipe.precision == "bf16"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device=None: (7, 5))
    native_bf16.cache_clear()
    assert suite.trained_on("cuda:1").recipe.precision == "fp32"
    # A driver says nothing about the processor.
    assert suite.trained_on("cpu").recipe == suite.recipe.resolved()
    swept = changed(suite, sweep={"precision": ["auto", "fp32", "bf16"]})
    assert [recipe.precision for recipe in swept.trained_on("cuda:0").recipes()] == ["fp32", "bf16"]


@pytest.mark.parametrize(("made_on", "rerun_on"), [("cpu", "cpu"), ("NVIDIA H100", "auto")])
def test_records_are_rerun_on_what_they_were_made_on(made_on: str, rerun_on: str) -> None:
    class Made:
        environment = {"device": made_on}

    made: list[Record] = [Made(), Made()]  # type: ignore[list-item]
    assert device_of(made, "auto") == rerun_on
    assert device_of(made, "cuda:1") == "cuda:1"


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize("command", [["run"], ["search"], ["plan"], ["predict", "model", "."]])
def test_commands_refuse_a_device_that_is_not_there(command: list[str], capsys, tmp_path, monkeypatch) -> None:
    (tmp_path / "photo.png").touch()
    monkeypatch.chdir(tmp_path)
    code, _, err = main_result(capsys, *command, "--device", "cuda")
    assert code == UsageError.exit_code
    assert "no GPU that torch can use" in err


@pytest.mark.usefixtures("no_gpu")
def test_doctor_says_what_auto_is() -> None:
    assert "gpu: none; --device auto is cpu" in call("doctor").output


@pytest.mark.parametrize("command", ["run", "plan", "search"])
@pytest.mark.parametrize(
    ("options", "why"),
    [(["--device", "cpu"], "nothing with --device cpu"), (["--workers", "2"], "nothing with --workers")],
)
def test_a_number_of_workers_per_gpu_that_changes_nothing_is_refused(capsys, command, options, why) -> None:
    code, _, error = main_result(capsys, command, "--per-gpu", "2", *options)
    assert code == 2
    assert why in error


@pytest.mark.usefixtures("two_gpus")
def test_a_plan_counts_the_workers_of_all_gpus(capsys, tmp_path) -> None:
    _, out, _ = main_result(capsys, "plan", "--json", "--per-gpu", "3", "--store", str(tmp_path))
    assert json.loads(out)["predicted_for_workers"] == 6
