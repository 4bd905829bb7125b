"""The command with real trainings, end to end: repeated, killed, twice at once, with bad plugins, with bad input."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trial
from support import install, loss_source, ltbench, main_result, records_of
from trial import wait_for

SUITE = trial.SUITE.replace("seeds = [0, 1]", "seeds = [0]").replace("[50, 100]", "[100]")


class Workspace:
    """A folder with a suite, a store and leaderboards."""

    def __init__(self, folder: Path, suite: str = SUITE) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        (folder / "tiny.toml").write_text(suite)
        self.env = {"LTBENCH_STORE": str(folder / "store")}

    def command(self, *args: str) -> list[str]:
        return ["run", "--suite", "tiny.toml", *args]

    def run(self, *args: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return ltbench(*self.command(*args), env=self.env | (env or {}), cwd=self.folder)

    def start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "ltbench", *self.command(*args)],
            cwd=self.folder,
            env=os.environ | self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def page(self) -> bytes:
        return (self.folder / "leaderboards" / "local" / "tiny" / "README.md").read_bytes()

    def is_working(self) -> bool:
        """Whether a job has a lease; leases of runs have other names."""
        leases = (self.folder / "store" / "leases").glob("*.lease")
        return any(re.fullmatch("[0-9a-f]{32}", path.stem) for path in leases)

    def fits(self) -> list[str]:
        """Return the keys of the stored trainings."""
        metas = (self.folder / "store" / "jobs").glob("*/*/meta.json")
        return sorted(p.parent.name for p in metas if json.loads(p.read_text())["spec"]["kind"] == "fit")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("undisturbed"))
    completed = workspace.run()
    assert completed.returncode == 0, completed.stderr
    return workspace


def test_a_second_run_trains_nothing_and_changes_no_byte(undisturbed: Workspace) -> None:
    page, fits = undisturbed.page, undisturbed.fits()
    written = {p: p.stat().st_mtime_ns for p in (undisturbed.folder / "store" / "jobs").rglob("meta.json")}
    completed = undisturbed.run("--plugins", "tta,mixup,cb_sampler", "--json")
    assert completed.returncode == 0, completed.stderr
    assert not any(json.loads(completed.stdout)["executed"].values())
    assert undisturbed.page == page
    assert undisturbed.fits() == fits
    assert {p: p.stat().st_mtime_ns for p in (undisturbed.folder / "store" / "jobs").rglob("meta.json")} == written


@pytest.mark.parametrize("executor", ["inline", "dask[workers=2]"])
def test_a_fresh_store_another_order_and_another_executor_give_the_same_page(
    undisturbed: Workspace, tmp_path: Path, executor: str
) -> None:
    workspace = Workspace(tmp_path / "again")
    completed = workspace.run("--plugins", "tta,mixup,cb_sampler", "--executor", executor)
    assert completed.returncode == 0, completed.stderr
    assert workspace.page == undisturbed.page


@pytest.mark.slow
def test_kill_9_of_real_trainings_at_random_moments_changes_no_byte_of_the_page(tmp_path: Path) -> None:
    """Three kills of real trainings; tests/faults has twenty and more, of fake ones."""
    suite = SUITE.replace('"mixup", ', "").replace("steps = 6", "steps = 40")
    undisturbed, workspace = Workspace(tmp_path / "undisturbed", suite), Workspace(tmp_path / "killed", suite)
    assert undisturbed.run("--executor", "inline").returncode == 0
    chance = random.Random(20)
    kills = 0
    while True:
        process = workspace.start("--workers", "1")
        if kills < 3:
            wait_for(lambda: workspace.is_working() or process.poll() is not None)  # noqa: B023
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=chance.uniform(0.5, 4.0))
            if process.poll() is None:
                process.kill()
                kills += 1
        output = process.communicate()[0]
        assert "Traceback" not in output
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, output
    assert workspace.page == undisturbed.page
    assert workspace.fits() == undisturbed.fits()


@pytest.mark.slow
def test_two_runs_of_one_suite_at_once_train_every_job_once(undisturbed: Workspace, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    both = [workspace.start("--workers", "2", "--json"), workspace.start("--workers", "2", "--json")]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    executed = [json.loads(output[output.index("{") : output.rindex("}") + 1])["executed"] for output, _ in outputs]
    assert sum(e["fit"] for e in executed) == len(undisturbed.fits())
    assert workspace.page == undisturbed.page


def test_one_interrupt_finishes_what_is_in_flight_and_says_how_to_go_on(undisturbed: Workspace, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, SUITE.replace("steps = 6", "steps = 60"))
    process = workspace.start("--workers", "1")
    wait_for(workspace.is_working)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 6, output
    assert "run the same command to continue" in output
    assert "Traceback" not in output
    assert len(workspace.fits()) >= 1


BAD_PLUGINS = {
    "breaks_in_training": loss_source("breaks_in_training", result="1 / 0"),
    "gives_nan": loss_source("gives_nan", result="logits.sum(1) * float('nan')"),
    "gives_a_scalar": loss_source("gives_a_scalar", result="logits.sum()"),
    "breaks_on_import": "raise RuntimeError('broken on purpose')",
}


def test_bad_plugins_fail_their_own_cells_only(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    install(tmp_path / "site", "bad-pkg", "1.0", BAD_PLUGINS)
    env = {"PYTHONPATH": str(tmp_path / "site")}
    names = "cb_sampler,breaks_in_training,gives_nan,gives_a_scalar"
    completed = workspace.run("--plugins", names, "--retries", "0", "--name", "tiny", env=env)
    assert completed.returncode == 1, completed.stderr
    assert "plugin 'breaks_on_import' of bad-pkg 1.0 is disabled" in completed.stderr
    records = records_of(workspace.folder / "leaderboards/local/tiny")
    state = {frozenset(v for v in r["combination"].values() if v): r["status"] for r in records}
    assert state == {
        frozenset(): "ok",
        frozenset({"cb_sampler"}): "ok",
        **{frozenset({loss}): "failed" for loss in BAD_PLUGINS if loss != "breaks_on_import"},
        **{frozenset({"cb_sampler", loss}): "failed" for loss in BAD_PLUGINS if loss != "breaks_on_import"},
    }
    errors = {r["combination"]["loss"]: r["error"] for r in records if r["error"]}
    assert "ZeroDivisionError" in errors["breaks_in_training"]["log"]
    assert "breaks_in_training_module.py" in errors["breaks_in_training"]["log"]
    assert "finite" in errors["gives_nan"]["message"]
    assert "gives_a_scalar" in errors["gives_a_scalar"]["message"]
    page = workspace.page.decode()
    assert page.count("FAILED") >= 6
    assert "cb_sampler" in page


def test_asking_for_a_plugin_that_is_broken_exits_with_4(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "workspace")
    install(tmp_path / "site", "bad-pkg", "1.0", {"breaks_on_import": BAD_PLUGINS["breaks_on_import"]})
    completed = workspace.run("--plugins", "breaks_on_import", env={"PYTHONPATH": str(tmp_path / "site")})
    assert completed.returncode == 4
    assert "broken on purpose" in completed.stderr


NO_PROXY = "http://127.0.0.1:9"
BAD_INPUT = {
    "unknown technique": (["--plugins", "cb_smapler"], 4, "did you mean cb_sampler or "),
    "parameter out of range": (["--plugins", "label_smooth[eps=2]"], 2, "does not accept eps = 2:"),
    "unknown parameter": (["--plugins", "label_smooth[epz=0.1]"], 2, "has no parameter 'epz'"),
    "unreadable selection": (["--plugins", "mixup["], 2, "syntax error"),
    "imbalance factor 0": (["--imbalance-factors", "0"], 2, "is invalid"),
    "imbalance factor NaN": (["--imbalance-factors", "nan"], 2, "is invalid"),
    "imbalance factor that is no number": (["--imbalance-factors", "ten"], 2, "takes comma-separated numbers"),
    "imbalance factor that empties a class": (["--imbalance-factors", "100000"], 2, "would keep no training image"),
    "unknown suite": (["--suite", "quik"], 2, "did you mean quick?"),
    "suite file that is not there": (["--suite", "nowhere.toml"], 2, "cannot be read"),
    "unknown field of the recipe": (["--set", "epoch=3"], 2, "did you mean"),
    "recipe out of range": (["--set", "lr=-1"], 2, "lr"),
    "unknown executor": (["--executor", "cloud"], 2, "executor"),
    "budget that is no time": (["--budget", "soon"], 2, "10m"),
    "all and some": (["--all", "--plugins", "mixup"], 2, "cannot be combined"),
    "a data set that is not there": (["--datasets", "cifar10", "--data-root", "empty"], 2, "cifar-10"),
}


@pytest.mark.parametrize("kind", BAD_INPUT)
def test_bad_input_is_a_clear_error_and_nothing_is_written(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    args, code, expected = BAD_INPUT[kind]
    workspace = Workspace(tmp_path)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    # A data set that is not there is not to be downloaded.
    for name, value in (workspace.env | {"http_proxy": NO_PROXY, "https_proxy": NO_PROXY}).items():
        monkeypatch.setenv(name, value)
    ended, _, error = main_result(capsys, *workspace.command(*args))
    assert (ended, expected in error) == (code, True), error
    assert "Traceback" not in error
    assert not (tmp_path / "leaderboards").exists()
    assert not list((tmp_path / "store").rglob("*.json"))


needs_mount = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")


@needs_mount
@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_store_that_cannot_be_written_is_a_clear_error(kind: str, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    options = "size=64k" if kind == "full" else "ro"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", store], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        workspace = Workspace(tmp_path)
        completed = workspace.run("--executor", "inline")
    finally:
        subprocess.run(["umount", store], check=True)
    assert completed.returncode == 2, completed.stderr
    assert ("full" if kind == "full" else "read-only") in completed.stderr.lower()
    assert "Traceback" not in completed.stderr
