"""The folder for a hub of data sets, as the library that reads it sees it."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from support import call

import ltbench
from ltbench.errors import UsageError
from ltbench.leaderboard.hub_folder import card
from ltbench.leaderboard.publish import load
from ltbench.records.page_sources import BESIDE
from ltbench.records.search_file import Searched, write_search

QUICK = Path(__file__).parents[2] / "leaderboards" / "quick"
TUNED = QUICK.with_name("quick-tuned")
datasets = pytest.importorskip("datasets")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "quick"
    call("export", QUICK, "--to-hub-folder", folder)
    return folder


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


def test_the_library_reads_numbers_and_leaderboard(folder: Path, tmp_path: Path) -> None:
    def read(*name: str) -> pd.DataFrame:
        return datasets.load_dataset(str(folder), *name, split="train", cache_dir=str(tmp_path / "cache")).to_pandas()

    assert datasets.get_dataset_config_names(str(folder)) == ["numbers", "leaderboard"]
    numbers, wanted = read("numbers"), ltbench.load(QUICK)
    assert list(numbers.columns) == list(wanted.columns)
    assert len(numbers) == len(wanted)
    assert numbers["value"].sum() == pytest.approx(wanted["value"].sum())
    assert read().equals(numbers)
    assert set(read("leaderboard")["techniques"]) == set(ltbench.render(QUICK).table["techniques"])


def test_the_records_are_there_for_ltbench(folder: Path) -> None:
    assert load(folder).answer == load(QUICK).answer


def test_the_card_says_what_the_page_says(folder: Path) -> None:
    from huggingface_hub import DatasetCard

    text = (folder / "README.md").read_text()
    content = load(QUICK)
    metadata = DatasetCard(text).data.to_dict()
    assert metadata["pretty_name"] == content.facts.title
    assert [one["config_name"] for one in metadata["configs"]] == ["numbers", "leaderboard"]
    for sentence in content.answer:
        assert sentence.replace("*", "") in text.replace("\\", "").replace("*", "")
    assert content.facts.command in text


def test_foreign_titles_are_only_text(folder: Path) -> None:
    content = load(QUICK)
    title = 'x"\n---\nlicense: <script>alert(1)</script>'
    evil = msgspec.structs.replace(content.facts, title=title, command="ltbench run; rm -rf /")
    text = card(msgspec.structs.replace(content, facts=evil))
    assert "<script>" not in text.split("\n---\n", 1)[1]
    assert "rm -rf" not in text
    from huggingface_hub import DatasetCard

    assert DatasetCard(text).data.to_dict()["pretty_name"] == title
    assert "license" not in DatasetCard(text).data.to_dict()


def test_the_same_records_give_the_same_bytes_and_the_folder_may_be_written_again(folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    call("export", QUICK, "--to-hub-folder", folder)
    call("export", QUICK, "--to-hub-folder", tmp_path / "other")
    for place in (folder, tmp_path / "other"):
        assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_the_folder_of_a_tuned_page_has_all_that_its_page_is_made_of(tmp_path: Path) -> None:
    call("export", TUNED, "--to-hub-folder", tmp_path)
    assert load(tmp_path).answer == load(TUNED).answer
    assert call("leaderboard", tmp_path).stdout == call("leaderboard", TUNED).stdout
    assert "`tuning.jsonl`" in (tmp_path / "README.md").read_text()


def test_every_file_beside_the_records_is_copied_and_none_is_left_from_an_earlier_page(tmp_path: Path) -> None:
    page, out = tmp_path / "quick", tmp_path / "hub"
    shutil.copytree(QUICK, page)
    found = Searched(on="test", metric="top1", rounds=1, cells=1, all_cells=9, passes=1.0, ended="budget", rows=[])
    write_search(page / "search.json", found)
    (page / "suite.toml").write_text("schema = 1\n")
    (page / "verified.json").write_text('{"schema": 1}\n')
    for name in ("tuning.jsonl", "suite.json"):
        shutil.copyfile(TUNED / name, page / name)
    call("export", page, "--to-hub-folder", out)
    assert {name: (out / name).read_bytes() for name in BESIDE} == {name: (page / name).read_bytes() for name in BESIDE}
    call("export", QUICK, "--to-hub-folder", out)
    assert load(out).answer == load(QUICK).answer
    assert not [name for name in BESIDE if (out / name).exists()]


def test_records_without_facts_have_a_folder_too(tmp_path: Path) -> None:
    (tmp_path / "sent").mkdir()
    shutil.copyfile(QUICK / "records.jsonl", tmp_path / "sent" / "records.jsonl")
    call("export", tmp_path / "sent", "--to-hub-folder", tmp_path / "out")
    assert load(tmp_path / "out").facts == load(tmp_path / "sent").facts


@pytest.mark.parametrize("content", ["README.md", "numbers.parquet", "thesis.tex"])
def test_other_files_are_never_replaced(content: str, tmp_path: Path) -> None:
    (tmp_path / content).write_text("mine")
    with pytest.raises(UsageError, match="has other files"):
        call("export", QUICK, "--to-hub-folder", tmp_path)
    assert (tmp_path / content).read_text() == "mine"


@pytest.mark.parametrize("more", [("--format", "csv"), ("--per-class",), ("--predictions",), ("--output", "x.csv")])
def test_options_that_would_do_nothing_are_refused(more: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a folder of its own"):
        call("export", QUICK, "--to-hub-folder", tmp_path / "x", *more)


def test_records_without_a_page_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no page"):
        call("export", QUICK / "records.jsonl", "--to-hub-folder", tmp_path / "x")
