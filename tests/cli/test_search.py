"""`ltbench search`, from the command to its page."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections import Counter
from pathlib import Path

import pytest
from support import call, suite_source

from ltbench.core.folders import data_root
from ltbench.core.spec import is_partial
from ltbench.errors import UsageError
from ltbench.leaderboard.publish import load
from ltbench.records.records_file import read_records_file
from ltbench.records.search_file import Searched, read_search
from ltbench.store.store import Store

RECIPE = {"epochs": 2, "batch_size": 16, "lr": 0.1, "precision": "fp32"}
TECHNIQUES = ["cb_sampler", "mixup", "tta", "logit_adjust_posthoc", "ens"]


def places(folder: Path) -> list[str]:
    return [f"--{option}={folder / name}" for option, name in (("store", "store"), ("leaderboards", "leaderboards"))]


def source(name: str = "raced", **fields: object) -> str:
    required = {
        "imbalance_factors": [50, 100],
        "models": ["convnet[width=4]"],
        "seeds": [0, 1],
        "techniques": TECHNIQUES,
    }
    return suite_source(name, RECIPE, **(required | fields))


def search(folder: Path, *words: object, name: str = "raced", code: int = 0) -> Path:
    done = call("search", folder / f"{name}.toml", "--executor", "inline", *places(folder), *words)
    assert done.return_value == code, done.output
    return folder / "leaderboards" / "local" / f"{name}-search"


@pytest.fixture(scope="module")
def raced_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raced")
    (folder / "raced.toml").write_text(source())
    search(folder, "--budget", "12cells")
    return folder


@pytest.fixture
def raced(raced_once: Path, tmp_path: Path) -> Path:
    """A folder of the test's own in which 32 combinations were searched with a budget of 12 of 128 cells."""
    return shutil.copytree(raced_once, tmp_path / "raced")


@pytest.fixture
def page(raced: Path) -> Path:
    return raced / "leaderboards" / "local" / "raced-search"


def searched(page: Path) -> Searched:
    found = read_search(page / "search.json")
    assert found is not None
    return found


def test_a_budget_of_cells_is_kept_and_the_rest_never_run(page: Path) -> None:
    found = searched(page)
    assert (found.cells, found.all_cells) == (12, 32 * 2 * 2)
    assert len(found.rows) == 32
    records = read_records_file(page / "records.jsonl").records
    assert len(records) == 12
    for row in found.rows:
        assert row.cells == sum(record.label == row.combination for record in records)
        assert (row.cells == 0) == (row.state == "never run")
        assert row.state == "in the lead" or row.why


def test_the_baseline_is_run_whatever_the_race_asks_for(page: Path) -> None:
    baseline = next(row for row in searched(page).rows if row.combination == "baseline")
    assert baseline.cells >= 2


def test_what_was_never_run_has_no_row_and_no_rank(page: Path) -> None:
    text = (page / "README.md").read_text()
    never = [row.combination for row in searched(page).rows if not row.cells]
    ranked = {row.label for board in load(page).boards for table in board.all_tables for row in table.rows}
    assert never
    assert ranked.isdisjoint(never)
    section = text[text.index("## Search") :]
    folded = section[: section.index("</details>")]
    assert f"{len(never)} combinations never run" in folded
    for combination in never:
        assert re.search(rf"^\| {re.escape(combination)} +\| ", folded, re.MULTILINE), combination


def test_page_and_terminal_say_first_what_was_run(raced: Path, page: Path) -> None:
    said = f"A search ran 12 of 128 cells, and {sum(row.cells > 0 for row in searched(page).rows)} of 32 combinations."
    text = (page / "README.md").read_text()
    assert text.index(said) < text.index("## Search")
    shown = call("leaderboard", "local/raced-search", places(raced)[1], width=200).stdout
    assert said in shown
    assert "## Missing cells" not in text
    assert "It ended with its budget." in text


def test_the_command_of_the_page_is_a_search(raced: Path, page: Path) -> None:
    text = (page / "README.md").read_text()
    (command,) = re.findall(r"^ltbench .*$", text, re.MULTILINE)
    words = shlex.split(command)
    assert words[:2] == ["ltbench", "search"]
    assert Path(words[2]).read_bytes() == (raced / "raced.toml").read_bytes()
    assert words[3:] == ["--budget", "12cells"]


def test_the_page_says_which_row_it_recommends(raced: Path, page: Path) -> None:
    (best,) = (row for row in searched(page).rows if row.is_best)
    assert best.cells
    said = f"By held-out images it recommends {'the baseline' if best.combination == 'baseline' else best.combination}."
    assert said in (page / "README.md").read_text()
    assert said in call("leaderboard", "local/raced-search", places(raced)[1], width=400).stdout


def test_the_same_search_runs_nothing_and_a_larger_budget_goes_on(raced: Path, page: Path) -> None:
    search(raced, "--budget", "12cells")  # the page names the suite's file, which is a copy here
    before = {path.name: path.read_bytes() for path in page.iterdir() if path.is_file()}
    again = call(
        "search", raced / "raced.toml", "--executor", "inline", *places(raced), "--budget", "12cells", "--json"
    )
    facts = json.loads(again.stdout)
    assert not any(facts["executed"].values())
    assert facts["combinations"] == sum(row.cells > 0 for row in searched(page).rows) < facts["all_combinations"]
    assert {path.name: path.read_bytes() for path in page.iterdir() if path.is_file()} == before
    first = {record.id for record in read_records_file(page / "records.jsonl").records}
    search(raced, "--budget", "14cells")
    more = {record.id for record in read_records_file(page / "records.jsonl").records}
    assert first < more
    assert len(more) == 14


def test_a_smaller_budget_leaves_the_page_of_a_larger_one(raced: Path, page: Path) -> None:
    search(raced, "--budget", "14cells")
    before = {path.name: path.read_bytes() for path in page.iterdir() if path.is_file()}
    search(raced, "--budget", "3cells")
    assert {path.name: path.read_bytes() for path in page.iterdir() if path.is_file()} == before


def test_no_row_of_a_page_is_said_to_be_never_run(raced: Path, page: Path, tmp_path: Path) -> None:
    for budget in ("3cells", "12cells"):
        search(raced, "--budget", budget, "--name", f"of-{budget}")
    local = raced / "leaderboards" / "local"
    done = call("merge", local / "of-3cells", local / "of-12cells", "--into", tmp_path / "merged")
    assert done.exit_code == 0, done.output
    assert load(tmp_path / "merged").searched == load(local / "of-12cells").searched
    # A page that has more cells than its search ran says so.
    (tmp_path / "merged" / "search.json").write_bytes((local / "of-3cells" / "search.json").read_bytes())
    found = load(tmp_path / "merged").searched
    assert found is not None
    assert found.cells == 12
    with_rows = {record.label for record in load(tmp_path / "merged").records}
    assert {row.combination for row in found.rows if row.state == "never run"}.isdisjoint(with_rows)
    assert "not compared" in {row.state for row in found.rows}


def test_a_run_takes_the_place_of_a_search_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "raced.toml").write_text(source(techniques=[], seeds=[0]))
    page = search(tmp_path)
    assert (page / "search.json").exists()
    done = call(
        "run", "--suite", tmp_path / "raced.toml", "--executor", "inline", *places(tmp_path), "--name", page.name
    )
    assert done.exit_code == 0, done.output
    assert "search" not in (page / "README.md").read_text().replace("raced-search", "")
    assert not (page / "search.json").exists()


def test_a_row_whose_posthoc_is_fitted_to_held_out_images_is_not_compared_on_them(tmp_path: Path) -> None:
    (tmp_path / "raced.toml").write_text(source(techniques=["tta", "tau_norm[tau=held_out]"], seeds=[0]))
    page = search(tmp_path)
    never = {row.combination: row.why for row in searched(page).rows if row.state == "never run"}
    assert never == dict.fromkeys(
        ("tau_norm[tau=held_out]", "tta + tau_norm[tau=held_out]"),
        "tau_norm[tau=held_out] is fitted to the images on which rows are compared",
    )
    assert not any("tau_norm" in record.label for record in read_records_file(page / "records.jsonl").records)
    assert searched(page).all_cells == 4 * 2


def test_failed_and_undefined_rows_were_run(tmp_path: Path) -> None:
    (tmp_path / "raced.toml").write_text(source(techniques=["tta"], seeds=[0], imbalance_factors=[2], metric="few"))
    page = search(tmp_path)
    found = searched(page)
    assert {(row.state, row.cells) for row in found.rows} == {("undefined", 1)}
    assert found.ended == "It ended as no combination has a number to compare by."
    assert not any(row.is_best for row in found.rows)
    assert "never run" not in (page / "README.md").read_text()
    (tmp_path / "raced.toml").write_text(source(models=["convnet[width=4]"], techniques=["sam[rho=1e30]"], seeds=[0]))
    search(tmp_path, "--name", "failed", code=1)
    failed = searched(tmp_path / "leaderboards" / "local" / "failed")
    assert [(row.state, row.cells) for row in failed.rows] == [("in the lead", 2), ("failed", 2)]
    assert (failed.rows[0].is_best, failed.rows[1].is_best) == (True, False)


@pytest.mark.slow
def test_boards_share_a_budget_of_cells(tmp_path: Path) -> None:
    models = [f"convnet[width={width}]" for width in (4, 5, 6)]
    (tmp_path / "raced.toml").write_text(source(models=models, seeds=[0]))
    found = searched(search(tmp_path, "--budget", "7cells"))
    cells = Counter[str]()
    for row in found.rows:
        cells[row.board] += row.cells
    assert sorted(cells.values()) == [2, 2, 3]
    assert [row.cells for row in found.rows if row.combination == "baseline"] == [2, 2, 2]


def test_a_page_says_how_many_combinations_are_beyond_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ltbench.cli.running.search_parts.MOST_ROWS", 5)
    (tmp_path / "raced.toml").write_text(source(techniques=["mixup", "tta", "cb_sampler"], seeds=[0]))
    page = search(tmp_path, "--budget", "2cells")
    assert (searched(page).beyond, len(searched(page).rows)) == (3, 5)
    assert "3 others of the suite were not searched." in (page / "README.md").read_text()


def test_a_recipe_is_not_swept(tmp_path: Path) -> None:
    (tmp_path / "raced.toml").write_text(source() + "\n[sweep]\nlr = [0.1, 0.2]\n")
    with pytest.raises(UsageError, match="a search has one recipe") as error:
        search(tmp_path)
    assert error.value.fix == "--set lr=VALUE"


def test_without_held_out_images_nothing_is_compared_on_them(raced: Path) -> None:
    with pytest.raises(UsageError, match="nothing to compare rows by") as error:
        call("search", raced / "raced.toml", "--held-out", "0", *places(raced))
    assert "--on test" in error.value.fix


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(raced: Path, tmp_path: Path) -> None:
    (tmp_path / "raced.toml").write_text(source())
    done = call("search", tmp_path / "raced.toml", "--workers", 2, *places(tmp_path), "--budget", "12cells")
    assert done.return_value == 0
    mine = searched(tmp_path / "leaderboards" / "local" / "raced-search")
    (tmp_path / "inline").mkdir()
    (tmp_path / "inline" / "raced.toml").write_text(source())
    other = searched(search(tmp_path / "inline", "--budget", "12cells"))
    assert mine == other


@pytest.mark.slow
def test_a_search_that_was_stopped_goes_on(tmp_path: Path) -> None:
    (tmp_path / "raced.toml").write_text(source(techniques=["cb_sampler", "tta"]))
    whole = tmp_path / "whole"
    whole.mkdir()
    (whole / "raced.toml").write_text(source(techniques=["cb_sampler", "tta"]))
    expected = searched(search(whole))
    stopped = search(tmp_path, "--budget", "0.001s")
    assert not (stopped / "search.json").exists() or "It was stopped" in searched(stopped).ended
    assert searched(search(tmp_path)).rows == expected.rows


@pytest.mark.slow
def test_an_interrupted_round_changes_nothing(tmp_path: Path) -> None:
    """Planted: a store in which the cells of the first round are done, and those half-way through are not."""
    (tmp_path / "raced.toml").write_text(source())
    expected = searched(search(tmp_path, "--budget", "12cells"))
    assert expected.halves
    store = Store(tmp_path / "store")
    halves = [key for key in store.cells() if is_partial(store.record(key)["spec"])]
    assert halves
    for key in halves:
        store.record_path(key).unlink()
    shutil.rmtree(tmp_path / "leaderboards")
    assert searched(search(tmp_path, "--budget", "12cells")) == expected


@pytest.mark.slow
def test_without_a_budget_it_ends_when_rows_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "raced.toml").write_text(source(techniques=["cb_sampler", "tta"], seeds=[0, 1, 2]))
    found = searched(search(tmp_path))
    assert found.ended.startswith("It ended as")
    assert found.cells <= found.all_cells == 4 * 2 * 3
    assert any(row.state == "in the lead" for row in found.rows)


def test_rows_that_need_no_other_training_come_along_unless_cells_are_counted(tmp_path: Path) -> None:
    (tmp_path / "raced.toml").write_text(source(techniques=["tta", "logit_adjust_posthoc"], imbalance_factors=[100]))
    found = searched(search(tmp_path, "--budget", "1kpasses"))
    # A single round: the four rows share the trainings of the first one.
    assert found.rounds == 1
    assert len({row.cells for row in found.rows}) == 1


def test_held_out_images_decide_unless_test_images_are_asked_for(raced: Path, page: Path, tmp_path: Path) -> None:
    assert (searched(page).on, searched(page).metric) == ("held_out", "balanced_accuracy")
    assert (
        "Rows were compared by balanced accuracy on held-out images, never on test images."
        in (page / "README.md").read_text()
    )
    assert {r.fits[0]["data"]["held_out"] for r in read_records_file(page / "records.jsonl").records} == {0.2}
    (tmp_path / "raced.toml").write_text(source(techniques=["cb_sampler"]))
    search(tmp_path, "--on", "test")
    other = tmp_path / "leaderboards" / "local" / "raced-search-on-test"
    assert (searched(other).on, searched(other).metric) == ("test", "top1")
    assert "so the numbers of the best rows are too good" in (other / "README.md").read_text()
    assert "--on test" in (other / "README.md").read_text()


def test_no_test_label_reaches_a_choice(raced: Path, page: Path) -> None:
    """Planted: records whose test numbers say the opposite of the held-out ones."""
    from ltbench.cli.running.part_sources import Limits
    from ltbench.cli.running.search_parts import SearchParts
    from ltbench.executor import Context
    from ltbench.records.record import plain_values, seal
    from ltbench.registry.registry import Registry
    from ltbench.suite.suite import changed, read_suite

    suite = changed(read_suite(raced / "raced.toml"), held_out=0.2)
    store = Store(raced / "store")
    context = Context(store=store, registry=Registry.load(), data_root=data_root())

    def rows() -> list[tuple[str, str, int]]:
        parts = SearchParts(suite, context, "held_out", Limits(12))
        for _ in parts.parts(1):
            pass
        return [(row.combination, row.state, row.cells) for row in parts.searched.rows]

    before = rows()
    for record in read_records_file(page / "records.jsonl").records:
        raw = store.record(record.id)
        planted = raw | {
            "metrics": {name: 0.0 if value else 1.0 for name, value in raw["metrics"].items()},
            "digest": "",
        }
        store.put_record(seal(planted))
    try:
        assert rows() == before
    finally:
        for record in read_records_file(page / "records.jsonl").records:
            store.put_record(plain_values(record))


@pytest.mark.slow
def test_first_halves_are_on_no_page_and_not_trained_where_the_whole_is_there(tmp_path: Path) -> None:
    (tmp_path / "raced.toml").write_text(source())
    page = search(tmp_path, "--budget", "12cells")
    assert not any(record.is_partial for record in read_records_file(page / "records.jsonl").records)
    ran = json.loads(
        call(
            "run",
            "--suite",
            tmp_path / "raced.toml",
            "--held-out",
            "0.2",
            "--executor",
            "inline",
            *places(tmp_path),
            "--json",
        ).stdout
    )
    assert ran["executed"]["fit"] > 0
    fresh = call(
        "search", tmp_path / "raced.toml", "--executor", "inline", *places(tmp_path), "--budget", "40cells", "--json"
    )
    assert json.loads(fresh.stdout)["executed"]["fit"] == 0


def test_search_and_tuning_compose(tmp_path: Path) -> None:
    text = source(techniques=["cb_sampler"], imbalance_factors=[100])
    (tmp_path / "raced.toml").write_text(text + "\n[tune]\ntrials = 2\n")
    page = search(tmp_path)
    labels = {record.label for record in load(page).records}
    leading = {row.combination for row in searched(page).rows if row.state == "in the lead"}
    tuned = {
        label.removesuffix(" + tuned (2)").replace("tuned (2)", "baseline") for label in labels if "tuned" in label
    }
    assert tuned == leading


@pytest.fixture
def tuned_race(tmp_path: Path) -> Path:
    """A folder with a suite of four rows that tunes: eight cells with both pairs of seeds."""
    text = source(techniques=["cb_sampler", "tta"], imbalance_factors=[100])
    (tmp_path / "raced.toml").write_text(text + "\n[tune]\ntrials = 2\n")
    return tmp_path


def tuned_of(page: Path) -> set[str]:
    """Return the rows of a page that are tuned."""
    return {" + ".join(filter(None, row.combination.values())) or "baseline" for row in load(page).tuned}


@pytest.mark.parametrize("budget", ["3cells", "1kpasses"])
def test_a_budget_that_ends_the_race_leaves_nothing_for_tuning(tuned_race: Path, budget: str) -> None:
    done = call("search", tuned_race / "raced.toml", "--executor", "inline", *places(tuned_race), "--budget", budget)
    assert "note: the budget is spent, so not all rows in the lead are tuned; a larger one continues" in done.stderr
    assert "trials of" not in done.stderr
    page = tuned_race / "leaderboards" / "local" / "raced-search"
    assert not tuned_of(page)
    if budget == "3cells":
        assert searched(page).cells == len(read_records_file(page / "records.jsonl").records) == 3


@pytest.mark.slow
def test_a_budget_beyond_the_race_tunes_whole_rows_the_best_one_first_on_any_number_of_workers(
    tuned_race: Path, tmp_path: Path
) -> None:
    # Eight cells are the whole race; the first row has two trials, and two cells with their values at most.
    page = search(tuned_race, "--budget", "9cells")
    best = next(row.combination for row in searched(page).rows if row.is_best)
    assert tuned_of(page) == {best}
    (other := tmp_path / "other").mkdir()
    shutil.copy(tuned_race / "raced.toml", other / "raced.toml")
    done = call("search", other / "raced.toml", "--workers", 2, *places(other), "--budget", "9cells")
    assert done.return_value == 0, done.output
    mine = other / "leaderboards" / "local" / "raced-search"
    assert (mine / "tuning.jsonl").read_bytes() == (page / "tuning.jsonl").read_bytes()
    leading = {row.combination for row in searched(page).rows if row.state == "in the lead"}
    assert tuned_of(search(tuned_race)) == leading > {best}
    # All rounds are in the store, but there is no time to look at more than the first one.
    done = call("search", tuned_race / "raced.toml", "--executor", "inline", *places(tuned_race), "--budget", "0.001s")
    assert "the search is not finished; run the same command to continue" in done.stderr
    assert "not begun" not in done.stderr


@pytest.mark.slow
def test_a_screening_suite_is_searched_over_all_combinations(tmp_path: Path) -> None:
    (tmp_path / "raced.toml").write_text(source(strategy="screen", screen_rows=8))
    assert len(searched(search(tmp_path, "--budget", "10cells")).rows) == 32


def test_it_is_published_with_what_was_run(raced: Path, page: Path) -> None:
    done = call("publish", "raced-search", places(raced)[1])
    assert done.exit_code == 0, done.output
    published = raced / "leaderboards" / "raced-search"
    assert (published / "search.json").read_bytes() == (page / "search.json").read_bytes()
    assert "## Search" in (published / "README.md").read_text()
