"""Observers get the events of a run, and can neither change nor stop it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support import call, main_result, records_of

from ltbench.core.plugins import PluginOrigin
from ltbench.errors import PluginError, UnknownName, UsageError
from ltbench.records.agreement import result_digest
from ltbench.records.record import validate
from ltbench.registry.registry import Registry
from ltbench.running import observing
from ltbench.running.observing import Observing, observers_of
from ltbench.store.store import Store

PLUGIN = '''
"""Observers of all kinds."""
import json, os, time
from pathlib import Path
from typing import ClassVar
import msgspec
from ltbench import Observer, ObserverOffer, Sampler, hookimpl

class Told(ObserverOffer):
    """Writes what it is told."""
    name = "told"
    file: str = "told.jsonl"
    def make(self):
        return Lines(self.file)

class Lines(Observer):
    def __init__(self, file):
        self.file = file
    def note(self, event):
        print("an observer prints")
        with Path(self.file).open("a") as file:
            file.write(msgspec.json.encode(event).decode() + "\\\\n")
    run_begun = job_begun = epoch_ended = job_ended = cell_recorded = page_written = run_ended = note

class Does(ObserverOffer):
    """Does something bad at the first cell."""
    name = "does"
    what: str = "raise"
    def check(self):
        if self.what == "change_at_check":
            import torch
            torch.set_default_dtype(torch.float64)
    def make(self):
        if self.what == "not_made":
            raise RuntimeError("not made")
        if self.what == "exit_when_made":
            raise SystemExit(0)
        return None if self.what == "nothing" else Bad(self.what)

class Unreadable(Exception):
    def __str__(self):
        raise RuntimeError("no text")

class Bad(Observer):
    def __init__(self, what):
        self.what = what
    def epoch_ended(self, event):
        if self.what == "raise_at_epoch":
            raise RuntimeError("no such server")
        if self.what == "hang_at_epoch":
            time.sleep(600)
    def cell_recorded(self, event):
        if self.what == "raise":
            raise RuntimeError("no such server")
        if self.what == "exit":
            raise SystemExit(0)
        if self.what == "interrupt":
            raise KeyboardInterrupt
        if self.what == "unreadable":
            raise Unreadable
        if self.what == "long":
            raise RuntimeError("\\x1b[31m" + 5000 * "x")
        if self.what == "die":
            os._exit(3)
        if self.what == "die_as_if_done":
            os._exit(0)
    def run_ended(self, event):
        if self.what == "hang_at_end":
            import signal
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            Path("ending").touch()
            time.sleep(600)
        if self.what == "hang":
            time.sleep(600)
        if self.what == "change":
            import torch
            torch.set_default_dtype(torch.float64)
            event.record["metrics"]["top1"] = 1.0
            os.environ["OMP_NUM_THREADS"] = "7"

class Lacks(ObserverOffer):
    """Needs what is not there."""
    name = "lacks"
    requires: ClassVar = {"no_such_package": "pip install no-such-package"}

class Waits(Sampler, frozen=True):
    """Begins its second epoch when an observer has written that of the first; for one that never does, fails."""
    name = "waits"
    file: str = ""
    def epoch(self, pool, labels, counts, batch_size, generator):
        return pool
    def epoch_at(self, pool, labels, counts, batch_size, moment, generator):
        end = time.monotonic() + 120
        while moment.step and not (Path(self.file).is_file() and "EpochEnded" in Path(self.file).read_text()):
            if time.monotonic() > end:
                raise RuntimeError("no observer has got the first epoch")
            time.sleep(0.05)
        return pool

@hookimpl
def ltbench_observers():
    return [Told, Does, Lacks]

@hookimpl
def ltbench_samplers():
    return [Waits]
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with observers; the working directory is its folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "watching.py").write_text(PLUGIN.replace("\\\\n", "\\n"))
    return tmp_path / "watching.py"


def words(plugin: Path, *observers: str, store: str = "store") -> list[str]:
    small = [
        "--models",
        "convnet[width=4]",
        "--imbalance-factors",
        "100",
        "--seeds",
        "0",
        "--set",
        "steps=2",
        "--set",
        "precision=fp32",
    ]
    watch = [word for text in observers for word in ("--observe", text)]
    return ["run", "--plugins", "tta", *small, "--executor", "inline", "--store", store, "--leaderboards", f"{store}-boards",
            "--plugin-file", str(plugin), *watch]  # fmt: skip


def digests(store: str) -> list[str]:
    (page,) = Path(f"{store}-boards/local").glob("*/records.jsonl")
    return sorted(result_digest(validate(record)) for record in records_of(page.parent))


def events(file: str = "told.jsonl") -> list[dict]:
    return [json.loads(line) for line in Path(file).read_text().splitlines()]


def test_an_observer_is_told_of_everything_in_its_order(plugin: Path) -> None:
    done = call(*words(plugin, "told"))
    told = events()
    kinds = [event["type"] for event in told]
    assert (kinds[0], kinds[-1]) == ("RunBegun", "RunEnded")
    assert kinds[-2] == "PageWritten"
    assert told[0]["suite"] == "quick"
    ended = {event["kind"]: event for event in told if event["type"] == "JobEnded"}
    assert ended["fit"]["status"] == "done"
    assert ended["fit"]["seconds"] > 0
    assert len(ended["fit"]["curve"]["loss"]) == len(ended["fit"]["curve"]["lr"]) > 0
    for key in {event["key"] for event in told if event["type"] == "JobEnded" and event["kind"] == "fit"}:
        types = [event["type"] for event in told if event.get("key") == key]
        assert types == ["JobBegun", *["EpochEnded"] * (len(types) - 2), "JobEnded"]
        assert len(types) > 2
    recorded = {event["label"]: event["record"] for event in told if event["type"] == "CellRecorded"}
    assert set(recorded) == {"baseline", "tta"}
    (page,) = Path("store-boards/local").glob("*/records.jsonl")
    assert {r["id"]: r["metrics"] for r in recorded.values()} == {
        r["id"]: r["metrics"] for r in records_of(page.parent)
    }
    assert told[-1]["recorded"] == 2
    assert "an observer prints" not in done.stdout


def test_what_is_there_already_is_no_event(plugin: Path) -> None:
    call(*words(plugin))
    call(*words(plugin, "told"))
    assert [event["type"] for event in events()] == ["RunBegun", "RunEnded"]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("raise", "warning: observer 'does' is disabled for this run: RuntimeError: no such server"),
        (
            "raise_at_epoch",
            "warning: observer 'does[what=raise_at_epoch]' is disabled for this run: RuntimeError: no such server",
        ),
        ("not_made", "warning: observer 'does[what=not_made]' is disabled for this run: RuntimeError: not made"),
        ("exit_when_made", "warning: observer 'does[what=exit_when_made]' is disabled for this run: SystemExit: 0"),
        ("nothing", "make() returned None; expected an object of a class derived from Observer"),
        ("exit", "warning: observer 'does[what=exit]' is disabled for this run: SystemExit: 0"),
        ("interrupt", "warning: observer 'does[what=interrupt]' is disabled for this run: KeyboardInterrupt"),
        ("unreadable", "Unreadable: a message that cannot be read, as its __str__ raises RuntimeError"),
        ("long", "RuntimeError: \\x1b[31mxxx"),
    ],
)
def test_an_observer_that_raises_is_disabled_and_the_others_go_on(
    what: str, says: str, plugin: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, error = main_result(capfd, *words(plugin, f"does[what={what}]", "told"))
    assert code == 0
    assert says in error
    assert error.count("warning: observer") == 1
    assert max(map(len, error.splitlines())) < 2_200
    assert [event["type"] for event in events()].count("CellRecorded") == 2
    assert events()[-1]["type"] == "RunEnded"


@pytest.mark.parametrize(
    "executor",
    ["inline", "local", pytest.param("dask[cluster=local]", marks=pytest.mark.slow)],
)
def test_an_observer_gets_each_epoch_before_the_training_ends(executor: str, plugin: Path) -> None:
    if "dask" in executor:
        pytest.importorskip("distributed")
    told = plugin.parent / "told.jsonl"
    call(
        "run", "--plugins", f"waits[file={told}]", "--models", "convnet[width=4]", "--imbalance-factors", "100", "--seeds", "0", "--set", "epochs=3",
        "--set", "precision=fp32", "--executor", executor, "--workers", "1", "--store", "store", "--leaderboards", "boards",
        "--plugin-file", plugin, "--observe", f"told[file={told}]",
    )  # fmt: skip
    for job in [event for event in events() if event["type"] == "JobEnded" and event["kind"] == "fit"]:
        assert (job["status"], job["message"]) == ("done", "")
        points = [event for event in events() if event["type"] == "EpochEnded" and event["key"] == job["key"]]
        assert [point["number"] for point in points] == [0, 1, 2]
        assert [point["values"] for point in points] == [
            {name: values[number] for name, values in job["curve"].items()} for number in range(3)
        ]
    assert list(Path("store").glob("staging/*")) == []


@pytest.mark.parametrize("what", ["raise", "not_made"])
def test_a_warning_names_the_observer_and_its_error(what: str, plugin: Path) -> None:
    from support import ltbench

    done = ltbench(*words(plugin, f"does[what={what}]"), cwd=plugin.parent)
    assert done.returncode == 0
    label = "does" if what == "raise" else "does[what=not_made]"
    error = "no such server" if what == "raise" else "not made"
    assert done.stderr.count(f"warning: observer '{label}' is disabled for this run: RuntimeError: {error}\n") == 1
    assert "an observer prints" not in done.stdout


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("die", "have died"),
        ("die_as_if_done", "have died"),
        ("hang", "were ended, as they took more than 1 s"),
        ("hang_at_epoch", "were ended, as they took more than 1 s"),
    ],
)
def test_a_process_that_dies_or_hangs_costs_a_warning(
    what: str, says: str, plugin: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observing, "PATIENCE", 1.0)
    if "die" in what:
        monkeypatch.setattr(observing, "PATIENCE", 30.0)
    code, _, error = main_result(capfd, *words(plugin, f"does[what={what}]"))
    assert code == 0
    assert f"warning: the observers (does[what={what}]) {says}" in error
    assert len(digests("store")) == 2


def test_observers_change_no_number(plugin: Path) -> None:
    call(*words(plugin, store="alone"))
    call(*words(plugin, "does[what=change]", "told", store="watched"))
    assert digests("alone") == digests("watched")
    # Each has a copy of its own of what another one changes.
    recorded = [event["record"] for event in events() if event["type"] == "CellRecorded"]
    assert [record["metrics"]["top1"] for record in recorded] != [1.0, 1.0]


def test_options_whose_check_changes_this_process_are_refused(plugin: Path) -> None:
    import torch

    with pytest.raises(PluginError, match=r"observer 'does' of file:watching .* changes torch's default dtype from"):
        call(*words(plugin, "does[what=change_at_check]"))
    assert torch.get_default_dtype() == torch.float32
    assert not Path("store").exists()


def test_who_does_not_wait_for_observers_is_not_held_up_by_them(plugin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []

    def interrupted(text: str) -> None:
        said.append(text)
        while not Path("ending").is_file():
            time.sleep(0.05)
        raise KeyboardInterrupt

    monkeypatch.setattr(observing, "_SAY", 0.1)
    monkeypatch.setattr(observing, "_say", interrupted)
    origin = PluginOrigin(plugin_files=(str(plugin),))
    offers = observers_of(["does[what=hang_at_end]"], Registry.load(origin))
    watching = Observing(offers, origin, Store(Path("store")), run="1", suite="quick", command=["ltbench", "run"])
    with pytest.raises(KeyboardInterrupt), watching:
        pass
    assert said == ["note: waiting for the observers (does[what=hang_at_end]) to finish, for 60 s at most"]
    process = watching._process
    process.join(60)
    assert process.exitcode == -9


def test_one_that_is_named_twice_watches_once(plugin: Path) -> None:
    registry = Registry.load(PluginOrigin(plugin_files=(str(plugin),)))
    twice = observers_of(["told", "told[file=other]", "told[file=told.jsonl]"], registry)
    assert [offer.label for offer in twice] == ["told", "told[file=other]"]


def test_what_cannot_watch_is_an_error_before_anything_runs(plugin: Path) -> None:
    registry = Registry.load(PluginOrigin(plugin_files=(str(plugin),)))
    with pytest.raises(UnknownName, match=r"unknown observer 'tolt'\n.*did you mean told"):
        observers_of(["tolt"], registry)
    with pytest.raises(PluginError) as caught:
        observers_of(["lacks"], registry)
    assert str(caught.value) == (
        "observer 'lacks' needs the package no_such_package, which is not installed\n  try: pip install no-such-package"
    )
    with pytest.raises(UsageError, match="observer 'told' has no parameter"):
        observers_of(["told[files=a]"], registry)
    with pytest.raises(UsageError, match="--observe watches a suite"):
        call("run", "--cell", "3f85", "--observe", "told", "--plugin-file", plugin)
    assert not Path("store").exists()


def test_show_and_plugins_name_observers(plugin: Path) -> None:
    assert "told: an observer of file:watching" in call("show", "told", "--plugin-file", plugin).stdout
    rows = json.loads(call("plugins", "--json", "--plugin-file", plugin).stdout)
    assert {"tensorboard", "mlflow", "wandb", "told"} <= set(rows["observers"])


def test_a_search_is_watched_too(plugin: Path) -> None:
    call(
        "search", "quick", "--plugins", "tta", "--models", "convnet[width=4]", "--imbalance-factors", "100", "--seeds", "0,1", "--set", "steps=2",
        "--set", "precision=fp32", "--executor", "inline", "--store", "store", "--leaderboards", "boards", "--budget", "2cells",
        "--plugin-file", plugin, "--observe", "told",
    )  # fmt: skip
    kinds = [event["type"] for event in events()]
    assert kinds[0] == "RunBegun"
    assert kinds[-1] == "RunEnded"
    assert "CellRecorded" in kinds
