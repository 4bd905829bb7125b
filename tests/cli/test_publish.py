"""A trial is not a publication: `run` writes local pages, `publish` makes them published ones."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image
from support import call, main_result, suite_source

from ltbench.cli.running import parts
from ltbench.cli.running.page_of_run import PageOfRun, page_of_run
from ltbench.errors import UnknownName, UsageError
from ltbench.leaderboard.publish import SuiteFolder, read_folder
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.locations import LOCAL
from ltbench.records.record import plain_values, seal, validate
from ltbench.records.records_file import read_records_file, records_file, write_records_file
from ltbench.registry.registry import Registry
from ltbench.store.store import Store
from ltbench.suite.suite import changed, find_suite

ROOT = Path(__file__).resolve().parents[2]
SHORT = ("--executor", "inline", "--set", "steps=1", "--imbalance-factors", "100", "--seeds", "0")
TINY = {"steps": 1, "batch_size": 8, "lr": 0.1, "precision": "fp32"}


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with the committed leaderboard and README, as a reader has it, and a store that has its records."""
    for name in ("leaderboards/quick", "README.md", ".gitignore"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile)(ROOT / name, tmp_path / name)
    for path in (tmp_path / "leaderboards").glob("*/report.html"):
        path.unlink()
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path.with_name(f"{tmp_path.name}-store"))
    monkeypatch.setenv("LTBENCH_STORE", str(store.root))
    monkeypatch.setenv("LTBENCH_DATA", str(store.root / "data"))
    for record in read_folder(tmp_path / "leaderboards/quick")[1].records:
        store.put_record(plain_values(record))
    git("init", "-q")
    git("add", "-A")
    git("-c", "user.name=reader", "-c", "user.email=reader@localhost", "commit", "-qm", "As it is")
    return tmp_path


def git(*args: str) -> str:
    return subprocess.run(["git", *args], check=True, capture_output=True, text=True).stdout


def pages() -> dict[str, SuiteFacts]:
    """Return the local pages by name."""
    return {name: read_folder(Path("leaderboards/local", name))[0] for name in names_of_pages()}


def names_of_pages() -> set[str]:
    return {path.parent.name for path in Path("leaderboards/local").glob("*/records.jsonl")}


def edited_copy() -> list[str]:
    text = call("show", "quick").stdout
    Path("../edited.toml").write_text(text.replace("epochs = 20", "steps = 1").replace("[0, 1, 2]", "[0]"))
    return ["--suite", "../edited.toml", "--executor", "inline"]


def other_claims() -> list[str]:
    text = call("show", "quick").stdout
    Path("../claims.toml").write_text(re.sub(r'question = """.*?"""', 'question = "Another?"', text, flags=re.DOTALL))
    return ["--suite", "../claims.toml", "--executor", "inline", "--budget", "1s"]


def own_suite() -> list[str]:
    Path("../mine.toml").write_text(suite_source("mine", TINY, techniques=["tta"]))
    return ["--suite", "../mine.toml", "--executor", "inline"]


def own_photos() -> list[str]:
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 4)):
        for name in ("cat", "dog"):
            folder = Path(os.environ["LTBENCH_DATA"], "photos", split, name)
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    changes = [
        "--plugins",
        "cb_sampler",
        "--executor",
        "inline",
        "--set",
        "steps=1",
        "--imbalance-factors",
        "1",
        "--seeds",
        "0",
    ]
    return ["--datasets", "image_folder[path=photos]", *changes]


TRIALS: dict[str, Callable[[], list[str]]] = {
    "the first command of the README": lambda: [
        "--plugins", "cb_sampler,mixup,label_smooth,tta", "--executor", "inline"],
    "a technique of the suite": lambda: ["--plugins", "cb_sampler", *SHORT],
    "another technique": lambda: ["--plugins", "focal[gamma=1.5]", *SHORT],
    "fewer seeds": lambda: ["--seeds", "0", "--executor", "inline"],
    "fewer factors": lambda: ["--imbalance-factors", "100", "--executor", "inline"],
    "another model": lambda: ["--models", "convnet[width=4]", "--plugins", "tta", *SHORT],
    "another profile": lambda: ["--plugins", "tta,step", *SHORT],
    "a strategy": lambda: ["--strategy", "each", *SHORT],
    "every technique": lambda: ["--all", "--max-techniques", "0", *SHORT],
    "a chosen name": lambda: ["--plugins", "tta", "--name", "my-trial", *SHORT],
    "without sharing": lambda: ["--plugins", "tta", "--no-sharing", *SHORT],
    "an edited copy": edited_copy,
    "a copy with another question": other_claims,
    "a suite of one's own": own_suite,
    "one's own photos": own_photos,
}  # fmt: skip


@pytest.mark.slow
def test_no_trial_changes_what_is_committed(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltbench.leaderboard.publish.svg", lambda drawing: "<svg/>")  # drawing takes seconds
    names: dict[str, str] = {}
    for kind, options in TRIALS.items():
        before = names_of_pages()
        done = call("run", *options())
        assert git("status", "--porcelain") == "", kind
        new = names_of_pages() - before
        assert len(new) == (kind != "without sharing"), (kind, new)
        for name in new:
            names[kind] = name
            assert f"written: leaderboards/local/{name}/README.md" in done.stderr
            assert (clone / "leaderboards/local" / name / "README.md").is_file()
    assert names["the first command of the README"] == "quick"
    found = pages()
    assert found["quick"].command == "ltbench run --suite quick"
    assert len(set(names.values())) == len(TRIALS) - 1
    titles = {kind: found[name].title for kind, name in names.items()}
    assert (
        len({titles[kind] for kind in titles if kind not in {"a technique of the suite", "a chosen name"}})
        == len(titles) - 2
    )
    assert titles["one's own photos"] == ("cb_sampler on image_folder[path=photos] (natural, seed 0, steps 1)")
    assert titles["every technique"].startswith("Every technique on fashion_mini (")
    assert titles["a suite of one's own"] == "Mine"
    assert "(" in titles["an edited copy"]
    assert names["a suite of one's own"] == "mine"
    assert names["a chosen name"] == "my-trial"
    assert all(re.fullmatch("[a-z0-9][a-z0-9_-]{0,99}", name) for name in names.values())
    # The suite's own page has cells of the suite only.
    quick = read_folder(clone / "leaderboards/local/quick")[1].records
    assert {(r.recipe["epochs"], r.setting.dataset, r.setting.profile) for r in quick} == {(20, "fashion_mini", "exp")}


def test_the_same_command_has_the_same_page_and_the_published_one_is_found_first(clone: Path) -> None:
    for _ in range(2):
        call("run", "--plugins", "tta", *SHORT)
    (name,) = pages()
    call(
        "run",
        "--plugins",
        "tta,tta",
        "--executor",
        "inline",
        "--seeds",
        "0",
        "--set",
        "steps=1",
        "--imbalance-factors",
        "100.0",
    )
    assert list(pages()) == [name]
    shutil.copytree(clone / "leaderboards/local" / name, clone / "leaderboards/local/quick")
    shown = call("leaderboard", "quick")
    assert "cb_sampler + mixup" in shown.stdout
    assert "'quick' names the published leaderboards/quick; use 'local/quick' for the local one" in shown.stderr
    mine = call("leaderboard", "local/quick")
    assert "cb_sampler" not in mine.stdout
    assert mine.stderr == ""
    assert call("leaderboard", name).stdout == mine.stdout
    every = call("leaderboard").stdout.splitlines()
    assert [line for line in every if line in {"quick", "local/quick", f"local/{name}"}] == [
        "quick",
        "local/quick",
        f"local/{name}",
    ]
    for command in (["export"], ["report"], ["verify", "--dry"]):
        assert call(*command, "local/quick").exit_code == 0
    cell = read_folder(clone / "leaderboards/local" / name)[1].records[0]
    assert f"leaderboards/local/{name}" in call("show-cell", cell.id).stdout
    call("invalidate", cell.id, "--reason", "a trial")
    assert len(read_folder(clone / "leaderboards/local" / name)[1].withdrawn) == 1
    with pytest.raises(UnknownName) as caught:
        call("leaderboard", "quik")
    assert "quick" in caught.value.fix
    assert git("status", "--porcelain") == ""


def test_publish_writes_the_page_and_the_table_of_the_readme_and_nothing_else(clone: Path) -> None:
    call("run", "--plugins", "tta", *SHORT)
    (name,) = pages()
    done = call("publish", name)
    assert f"published: leaderboards/{name}/README.md" in done.stderr
    assert {line.split()[1].split("/")[1] for line in git("status", "--porcelain").splitlines()} == {name}
    local, published = (clone / folder / name for folder in ("leaderboards/local", "leaderboards"))
    for path in local.rglob("*"):
        assert path.is_dir() or (published / path.relative_to(local)).read_bytes() == path.read_bytes()
    Path("README.md").write_text(f"<!-- ltbench:leaderboard {name} -->\n<!-- /ltbench:leaderboard -->\n"
                                 "<!-- ltbench:leaderboard quick -->\nas it was\n<!-- /ltbench:leaderboard -->\n")  # fmt: skip
    call("publish", f"local/{name}")
    text = Path("README.md").read_text()
    assert f"(leaderboards/{name}/README.md)" in text
    assert "as it was" in text


def test_a_run_with_publish_does_both(clone: Path) -> None:
    call("run", *own_suite(), "--publish")
    facts = read_folder(clone / "leaderboards/mine")[0]
    assert facts.command == "ltbench run --suite leaderboards/mine/suite.toml"
    assert (
        read_folder(clone / "leaderboards/local/mine")[0].command
        == "ltbench run --suite leaderboards/local/mine/suite.toml"
    )
    assert (clone / "leaderboards/mine/suite.toml").read_bytes() == Path("../mine.toml").read_bytes()
    before = {path: path.read_bytes() for path in Path("leaderboards").rglob("*") if path.is_file()}
    call("run", "--suite", "leaderboards/mine/suite.toml", "--executor", "inline", "--publish")
    assert {path: path.read_bytes() for path in Path("leaderboards").rglob("*") if path.is_file()} == before
    with pytest.raises(UsageError, match="no effect"):
        call("run", *own_suite(), "--publish", "--no-sharing")


@pytest.mark.parametrize("given", ["absolute", "relative"])
def test_the_command_of_a_page_outside_names_its_suite_for_every_folder(
    clone: Path, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = clone.with_name(f"{clone.name}-boards")
    there = str(outside) if given == "absolute" else f"../{outside.name}"
    call("run", *own_suite(), "--leaderboards", there)
    written = f"ltbench run --suite {outside}/local/mine/suite.toml"
    assert read_folder(outside / "local/mine")[0].command == written
    # Published from a folder that the pages are in: the command is that of the published file.
    monkeypatch.chdir(outside)
    call("publish", "mine", "--leaderboards", ".")
    assert read_folder(outside / "mine")[0].command == "ltbench run --suite mine/suite.toml"


def test_what_others_have_added_to_a_published_page_stays(clone: Path) -> None:
    facts, content = read_folder(clone / "leaderboards/quick")
    rows = {record.label for record in content.records}
    call("run", "--executor", "inline")
    call("publish", "quick")
    now, after = read_folder(clone / "leaderboards/quick")
    assert {record.label for record in after.records} == rows
    assert {record.id for record in after.records} == {record.id for record in content.records}
    assert after.records == content.records
    assert (now.title, now.command, now.seeds) == (facts.title, facts.command, facts.seeds)


def test_a_page_of_another_suite_is_replaced_only_if_asked(clone: Path) -> None:
    call("run", *own_suite(), "--publish")
    Path("../mine.toml").write_text(suite_source("mine", TINY | {"steps": 2}))
    done = call("run", "--suite", "../mine.toml", "--executor", "inline")
    assert "leaderboards/local/mine was the page of another run; its cells are removed from the page" in done.stderr
    assert {record.recipe["steps"] for record in read_folder(clone / "leaderboards/local/mine")[1].records} == {2}
    with pytest.raises(UsageError, match="another suite") as caught:
        call("publish", "mine")
    assert {record.recipe["steps"] for record in read_folder(clone / "leaderboards/mine")[1].records} == {1}
    call(*caught.value.fix.split()[1:])
    assert {record.recipe["steps"] for record in read_folder(clone / "leaderboards/mine")[1].records} == {2}


@pytest.mark.parametrize("known", [True, False])
def test_a_trial_is_not_published_among_the_cells_of_an_installed_suite(clone: Path, known: bool) -> None:
    """Also where the published page is of an earlier version, or is not there."""
    if not known:
        shutil.rmtree("leaderboards/quick")
        git("-c", "user.name=reader", "-c", "user.email=reader@localhost", "commit", "-qam", "Without it")
    call("run", "--plugins", "tta", "--name", "quick", *SHORT)
    with pytest.raises(UsageError, match="'quick' is the name of an installed suite"):
        call("publish", "quick")
    assert git("status", "--porcelain") == ""


def test_records_that_the_store_does_not_have_are_not_lost(clone: Path) -> None:
    call("run", *own_suite())
    Path("../mine.toml").write_text(suite_source("mine", TINY | {"steps": 2}))
    with pytest.raises(UsageError, match="2 records of leaderboards/local/mine would be lost"):
        call("run", "--suite", "../mine.toml", "--executor", "inline", "--store", "../other-store")
    assert {record.recipe["steps"] for record in read_folder(clone / "leaderboards/local/mine")[1].records} == {1}


def test_records_that_another_run_wrote_meanwhile_are_not_lost(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call("run", *own_suite())
    theirs = Path("leaderboards/local/mine").rename("theirs")
    Path("../mine.toml").write_text(suite_source("mine", TINY | {"steps": 2}))
    write = parts.write_local_page

    def written_meanwhile(page: PageOfRun, *args: object) -> tuple[list[Path], SuiteFolder | None]:
        shutil.copytree(theirs, page.folder)
        return write(page, *args)

    monkeypatch.setattr(parts, "write_local_page", written_meanwhile)
    with pytest.raises(UsageError, match="2 records of leaderboards/local/mine would be lost"):
        call("run", "--suite", "../mine.toml", "--executor", "inline", "--store", "../other-store")
    assert {record.recipe["steps"] for record in read_folder(clone / "leaderboards/local/mine")[1].records} == {1}
    assert len(list(Path("../other-store").glob("records/*/*.json"))) == 1, "what was trained is lost"


@pytest.mark.parametrize("name", ["nowhere", "", "local", "../quick", "local/../../quick", "/quick"])
def test_what_is_no_local_page_is_not_published(clone: Path, name: str) -> None:
    with pytest.raises(UnknownName):
        call("publish", name)


def test_the_folder_of_local_pages_is_no_page(clone: Path) -> None:
    Path("../mine.toml").write_text(suite_source(LOCAL, TINY))
    for options in (["--plugins", "", "--name", LOCAL, *SHORT], ["--suite", "../mine.toml", "--executor", "inline"]):
        with pytest.raises(UsageError, match="that folder contains the local pages"):
            call("run", *options)
        assert not Path("leaderboards/local").exists()
    call("run", *own_suite())
    Path("leaderboards/local/mine").rename(f"leaderboards/local/{LOCAL}")  # of an earlier version
    with pytest.raises(UsageError, match="cannot be published"):
        call("publish", LOCAL)


@pytest.mark.parametrize("kind", ["installed", "another page"])
def test_what_will_not_be_published_is_refused_before_anything_is_trained(clone: Path, kind: str) -> None:
    if kind == "installed":
        options = ["--plugins", "tta", "--name", "quick", *SHORT]
        expected = "'quick' is the name of an installed suite"
    else:
        call("run", *own_suite(), "--publish")
        options = [*own_suite(), "--set", "steps=2", "--name", "mine"]
        expected = "leaderboards/mine is the page of another suite or recipe"
    trained = {path for path in Path(os.environ["LTBENCH_STORE"]).rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=expected) as caught:
        call("run", *options, "--publish")
    assert "--name OTHER" in caught.value.fix
    assert {path for path in Path(os.environ["LTBENCH_STORE"]).rglob("*") if path.is_file()} == trained
    call("run", *options, "--publish", "--replace")
    (recipe,) = {
        record.recipe["steps"]
        for record in read_folder(clone / f"leaderboards/{options[options.index('--name') + 1]}")[1].records
    }
    assert recipe == (1 if kind == "installed" else 2)


@pytest.mark.parametrize("command", ["run", "search"])
@pytest.mark.parametrize("name", ["../up", "a/b", "A", ".hidden", "", "x" * 101, "a b", "-x", "local"])
def test_a_name_that_is_no_folder_is_refused_before_anything_is_read(clone: Path, name: str, command: str) -> None:
    before = sorted(clone.parent.glob(f"{clone.name}*/**/*"))
    with pytest.raises(UsageError, match="is not a valid name of a page"):
        call(command, f"--name={name}", "--data-root", "nowhere", *SHORT)
    assert sorted(clone.parent.glob(f"{clone.name}*/**/*")) == before


def test_names_are_short_and_differ_where_the_cells_do(registry: Registry) -> None:
    quick = find_suite("quick", registry)
    many = [f"mixup[alpha={number}]" for number in range(1, 60)]
    changes = [
        {"techniques": many}, {"techniques": many[:-1]}, {"seeds": list(range(99))}, {"seeds": [12]}, {"seeds": [1, 2]},
        {"imbalance_factors": [12]}, {"imbalance_factors": [1, 2]}, {"techniques": ["mixup[alpha=0.12]"]},
        {"techniques": ["mixup[alpha=0.1]"]}, {"strategy": "cumulative"}, {"datasets": ["image_folder[path=Ä b]"]},
        {"strategy": "cumulative", "techniques": ["tta", "mixup", "cb_sampler", "label_smooth"]},
    ]  # fmt: skip
    names = [
        page_of_run(
            changed(quick, **change), registry.suites["quick"], registry, Path("leaderboards"), None
        ).folder.name
        for change in changes
    ]
    assert len(set(names)) == len(changes)
    assert all(re.fullmatch("quick-[a-z0-9_-]{1,94}", name) for name in names)


def test_a_definition_has_no_defaults(registry: Registry) -> None:
    """So a later version with one more field of the recipe takes no page for that of another suite."""
    quick = find_suite("quick", registry)
    same = changed(quick, recipe=msgspec.to_builtins(quick.recipe) | {"momentum": 0.9})
    other = changed(quick, recipe=msgspec.to_builtins(quick.recipe) | {"momentum": 0.8})
    found = [page_of_run(suite, registry.suites["quick"], registry, Path("leaderboards"), None).definition
             for suite in (quick, same, other)]  # fmt: skip
    assert found[0] == found[1] != found[2]
    assert found[0] == "6d02b060f138dfe826826266404a77ca"


def test_facts_of_earlier_versions_are_read(clone: Path) -> None:
    raw = json.loads((ROOT / "leaderboards/quick/suite.json").read_text())
    raw.pop("definition", None)
    Path("leaderboards/quick/suite.json").write_text(json.dumps(raw))
    assert read_folder(clone / "leaderboards/quick")[0].definition == ""


def test_a_page_keeps_its_records_of_another_machine_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.toml").write_text(suite_source("two", TINY, seeds=[0, 1], figures=[]))
    words = ("run", "--suite", "two.toml", "--executor", "inline", "--store", "store")
    assert main_result(capsys, *words)[0] == 0
    path = tmp_path / "leaderboards/local/two/records.jsonl"
    mine = read_records_file(path)
    there = [
        validate(seal(plain_values(r) | {"environment": r.environment | {"processor_model": "Z80"}, "digest": "",
                                                "metrics": r.metrics | {"top1": 0.5}}))
        for r in mine.records[:1]
    ]  # fmt: skip
    write_records_file(path, records_file([*there, *mine.records[1:]]))
    _, _, said = main_result(capsys, *words)
    assert "1 cell of the page keeps its record from another type of machine" in said
    assert [r.metrics["top1"] for r in read_records_file(path).records if r.id == there[0].id] == [0.5]
    assert main_result(capsys, *words, "--replace")[0] == 0
    assert read_records_file(path) == mine
