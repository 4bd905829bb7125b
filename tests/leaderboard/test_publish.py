from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import synthetic
from synthetic import publish, raw, record

from ltbench.core.generated_files import splice
from ltbench.errors import OutOfDate, RecordError, StoreError, UnknownName, UsageError
from ltbench.leaderboard.publish import check, folders, load, update
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import plain_values, seal

FACTS = SuiteFacts(name="quick", title="Quick", command="ltbench run", seeds=((0, 0), (1, 1)))
README = "# Mine\r\n\nbefore\n<!-- ltbench:leaderboard quick -->\nstale lines\n<!-- /ltbench:leaderboard -->\nafter"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a README and one published suite."""
    monkeypatch.chdir(tmp_path)
    records = synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1), names=("mixup", "tta"))
    publish(tmp_path / "leaderboards" / "quick", FACTS, records)
    (tmp_path / "README.md").write_bytes(README.encode())
    return tmp_path


def state(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_publishing_writes_five_files_from_plain_dictionaries(tmp_path: Path) -> None:
    paths = publish(tmp_path / "quick", FACTS, [seal(raw()), seal(raw({"mix": "mixup"}))])
    assert [path.name for path in paths] == ["README.md", "table.csv", "effects.csv", "records.jsonl", "suite.json"]
    assert sorted(state(tmp_path / "quick")) == sorted(path.name for path in paths)
    assert load(tmp_path / "quick").facts == FACTS


def test_publishing_in_parts_and_in_any_order_gives_the_same_bytes(tmp_path: Path) -> None:
    records = synthetic.suite(factors=(10.0,), seeds=(0, 1), names=("mixup", "tta"))
    publish(tmp_path / "whole", FACTS, records)
    random.Random(2).shuffle(records)
    for start in range(0, len(records), 3):
        publish(tmp_path / "parts", FACTS, [plain_values(r) for r in records[start : start + 3]])
    assert state(tmp_path / "whole") == state(tmp_path / "parts")


def test_a_page_is_rendered_from_its_folder_alone(place: Path) -> None:
    folder = place / "leaderboards" / "quick"
    before = state(folder)
    (folder / "README.md").unlink()
    (folder / "table.csv").write_text("nonsense")
    assert {path.name for path in update(place / "leaderboards")} == {"README.md", "table.csv"}
    assert state(folder) == before
    assert update(place / "leaderboards") == []


def test_publishing_refuses_a_record_that_was_changed(place: Path) -> None:
    changed = seal(raw())
    changed["metrics"]["top1"] = 0.99
    before = state(place / "leaderboards" / "quick")
    with pytest.raises(RecordError, match="digest"):
        publish(place / "leaderboards" / "quick", FACTS, [changed])
    assert state(place / "leaderboards" / "quick") == before


def test_publishing_refuses_a_record_that_contradicts_itself(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="contradicts itself"):
        publish(tmp_path / "quick", FACTS, [seal(raw() | {"id": "0" * 32})])
    assert not (tmp_path / "quick").exists()


def test_a_changed_number_in_the_published_records_is_named(place: Path) -> None:
    path = place / "leaderboards" / "quick" / "records.jsonl"
    lines = path.read_text().splitlines()
    one = json.loads(lines[4])
    one["metrics"]["top1"] = 0.99
    lines[4] = json.dumps(one)
    path.write_text("\n".join(lines))
    with pytest.raises(RecordError, match="digest") as caught:
        check(place / "leaderboards")
    assert caught.value.where.endswith("records.jsonl, line 5")


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "quick").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="cannot be written"):
        publish(tmp_path / "quick", FACTS, [record()])


def test_facts_that_cannot_be_read_are_named(place: Path) -> None:
    path = place / "leaderboards" / "quick" / "suite.json"
    path.write_text('{"name": "quick", "sauce": 1}')
    with pytest.raises(RecordError, match="facts of a suite") as caught:
        load(path.parent)
    assert "sauce" in str(caught.value)


def test_records_without_facts_are_a_page_too(place: Path) -> None:
    folder = place / "leaderboards" / "quick"
    (folder / "suite.json").unlink()
    update(place / "leaderboards")
    assert (folder / "README.md").read_text().startswith("# quick\n")


def test_check_is_content_with_what_update_wrote(place: Path) -> None:
    update(place / "leaderboards", place / "README.md")
    assert len(check(place / "leaderboards", place / "README.md")) == 4


def test_check_names_the_file_the_difference_and_the_command(place: Path) -> None:
    update(Path("leaderboards"), Path("README.md"))
    page = Path("leaderboards/quick/README.md")
    page.write_text(page.read_text().replace("# Quick", "# Slow"))
    with pytest.raises(OutOfDate) as caught:
        check(Path("leaderboards"), Path("README.md"))
    text = str(caught.value)
    assert "leaderboards/quick/README.md" in text
    assert "-# Slow\n+# Quick" in text
    assert "try: ltbench leaderboard --update" in text
    assert caught.value.exit_code == 5


def test_check_sees_a_missing_page_and_other_line_ends(place: Path) -> None:
    update(place / "leaderboards")
    page = place / "leaderboards" / "quick" / "README.md"
    page.write_bytes(page.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(OutOfDate):
        check(place / "leaderboards")
    page.unlink()
    with pytest.raises(OutOfDate):
        check(place / "leaderboards")


def test_a_long_difference_is_cut(place: Path) -> None:
    (place / "leaderboards" / "quick" / "README.md").write_text("x\n" * 500)
    with pytest.raises(OutOfDate) as caught:
        check(place / "leaderboards")
    assert "more lines" in str(caught.value)
    assert len(str(caught.value).splitlines()) < 80


def test_only_the_lines_between_the_markers_change(place: Path) -> None:
    update(place / "leaderboards", place / "README.md")
    text = (place / "README.md").read_bytes().decode()
    assert text.startswith("# Mine\r\n\nbefore\n<!-- ltbench:leaderboard quick -->\n")
    assert text.endswith("<!-- /ltbench:leaderboard -->\nafter")
    assert "stale lines" not in text
    assert "| mixup + tta" in text
    assert "(leaderboards/quick/README.md)" in text


def test_a_readme_that_asks_for_no_leaderboard_stays_as_it_is(place: Path) -> None:
    (place / "README.md").write_text("nothing here\n")
    assert update(place / "leaderboards", place / "README.md") == []


def test_a_marker_of_an_unknown_suite_is_an_error_with_the_nearest_name(place: Path) -> None:
    (place / "README.md").write_text(README.replace("leaderboard quick", "leaderboard quik"))
    with pytest.raises(UnknownName, match="quik") as caught:
        check(place / "leaderboards", place / "README.md")
    assert "did you mean quick?" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n<!-- ltbench:leaderboard x -->\n", 2),
        ("a\nb\n<!-- /ltbench:leaderboard -->\n", 3),
        ("<!-- ltbench:leaderboard x -->\n<!-- ltbench:leaderboard y -->\n<!-- /ltbench:leaderboard -->\n", 2),
    ],
)
def test_a_marker_without_its_partner_is_named(text: str, line: int) -> None:
    with pytest.raises(UsageError, match="no counterpart") as caught:
        splice(text, "leaderboard", lambda suite: [suite], "README.md")
    assert f"README.md, line {line}" in str(caught.value)


def test_splicing_twice_changes_nothing_more() -> None:
    once = splice(README, "leaderboard", lambda suite: ["", suite, ""], "README.md")
    assert splice(once, "leaderboard", lambda suite: ["", suite, ""], "README.md") == once
    assert "\n\nquick\n\n<!-- /ltbench" in once


def test_folders_are_those_with_records(place: Path) -> None:
    (place / "leaderboards" / "empty").mkdir()
    assert [folder.name for folder in folders(place / "leaderboards")] == ["quick"]
    assert folders(place / "nowhere") == []
