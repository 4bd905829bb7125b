"""A suite with [tune], from its file to its page."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import msgspec
import pytest
from support import call, suite_source

import ltbench
from ltbench.cli.running.reproduce_command import with_records
from ltbench.errors import CELLS_FAILED, MissingExtra, RecordError, SuiteError, UsageError
from ltbench.leaderboard.page.tuning_section import tuning_lines
from ltbench.leaderboard.publish import load, read_folder
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.tuned_rows import shown_records
from ltbench.records.comparability import TUNED
from ltbench.records.locations import RecordsLocation
from ltbench.records.records_file import read_records_file
from ltbench.records.tuning_file import read_tuning
from ltbench.registry.registry import Registry
from ltbench.verification.choices import choice_findings

RECIPE = {"epochs": 1, "batch_size": 16, "lr": 0.1, "precision": "fp32"}
TUNE = "\n[tune]\ntrials = 3\n"


def options(folder: Path) -> list[str]:
    return [f"--{option}={folder / name}" for option, name in (("store", "store"), ("leaderboards", "leaderboards"))]


def run(folder: Path, *words: str, code: int = 0) -> Path:
    """Run the suite of the folder into its store; return the folder of the page."""
    done = call("run", "--suite", folder / "tuned.toml", "--executor", "inline", *options(folder), *words)
    assert done.exit_code == 0 or done.return_value == code, done.output
    return folder / "leaderboards" / "local" / "tuned"


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a tuned suite was run and published."""
    folder = tmp_path_factory.mktemp("tuned")
    source = suite_source(
        "tuned", RECIPE, imbalance_factors=[50, 100], models=["convnet[width=4]"], seeds=[0, 1],
        combinations=[["cb_sampler"], ["logit_adjust_posthoc"]],
    )  # fmt: skip
    (folder / "tuned.toml").write_text(source + TUNE)
    run(folder, "--publish")
    return folder


@pytest.fixture(scope="module")
def page(tuned: Path) -> Path:
    return tuned / "leaderboards" / "local" / "tuned"


def test_rows_are_there_with_the_defaults_and_tuned(page: Path) -> None:
    loaded = load(page)
    (group,) = group_records(loaded.records, "", loaded.columns)
    found = {(record.label, record.setting.imbalance_factor, record.seeds) for record in group.records}
    labels = {label for label, _, _ in found}
    plain = {"baseline", "cb_sampler", "logit_adjust_posthoc"}
    assert labels == plain | {"tuned (3)", *(f"{label} + tuned (3)" for label in plain - {"baseline"})}
    assert len(found) == 2 * 3 * 2 * 2


def test_no_record_says_that_it_is_tuned_and_none_is_a_trial(page: Path) -> None:
    for record in read_records_file(page / "records.jsonl").records:
        assert TUNED not in record.combination
        assert not record.is_partial
        assert "held_out" not in record.fits[0]["data"]


def test_an_export_keeps_tuned_and_default_cells_apart(page: Path) -> None:
    frame = ltbench.load(page)
    top1 = frame[frame.metric == "top1"]
    shown = {(one.id, one.label): one for one in load(page).records}
    assert set(zip(top1.cell, top1.techniques, strict=True)) == shown.keys()
    assert len(top1) == len(shown)
    assert (top1.tuned.notna() == top1.techniques.str.contains("tuned (3)", regex=False)).all()
    recipes = {record.id: record.recipe for record in read_records_file(page / "records.jsonl").records}
    assert {row.cell: json.loads(row.recipe) for row in top1.itertuples()} == recipes


def test_the_page_names_trials_values_cost_and_optimism(page: Path) -> None:
    text = (page / "README.md").read_text()
    section = text[text.index("## Tuning") : text.index("## fashion_mini")]
    assert "Each row had 3 trials, the first one with the defaults." in section
    held_out = "20 % of the training images of each class (at least one, but never its only one)"
    assert f"by balanced accuracy on {held_out}, never on test images" in section
    assert re.search(
        r"On held-out images the chosen values were \S+ points better than the defaults on average, on test images",
        section,
    )
    assert "### Imbalance factor 50: tuning" in section
    for row in read_tuning(page / "tuning.jsonl"):
        label = " + ".join(filter(None, row.combination.values())) or "baseline"
        (line,) = re.findall(
            rf"^\| {label} +\| (?:the defaults|lr=\S+, weight_decay=\S+) .*\|$",
            part(section, row.imbalance_factor),
            re.MULTILINE,
        )
        first, best = row.trials[0].score, row.best.score
        assert f"{100 * first:.1f} → {100 * best:.1f}" in line
    assert "would report" in section


def part(section: str, factor: float) -> str:
    begin = section.index("Trials of", section.index(f"### Imbalance factor {factor:g}"))
    end = section.index("</details>", begin)
    return section[begin:end]


def test_promised_and_delivered_are_differences_of_the_printed_numbers(page: Path) -> None:
    loaded = load(page)
    scores: dict[tuple[str, float], list[float]] = {}
    for record in loaded.records:
        scores.setdefault((record.label, record.setting.imbalance_factor), []).append(record.metrics["top1"])
    section = (page / "README.md").read_text().split("## Tuning")[1]
    mean = {key: 100 * sum(values) / len(values) for key, values in scores.items()}
    delivered = mean["cb_sampler + tuned (3)", 100.0] - mean["cb_sampler", 100.0]
    line = next(line for line in part(section, 100).splitlines() if line.startswith("| cb_sampler"))
    cells = [cell.strip() for cell in line.split("|")]
    shown = f"{delivered:+.1f}".replace("-", "\N{MINUS SIGN}")
    assert cells[6] == (shown if float(f"{delivered:.1f}") else "0.0")
    assert cells[5] == f"{mean['cb_sampler', 100.0]:.1f} → {mean['cb_sampler + tuned (3)', 100.0]:.1f}"


def section_of(page: Path, **changes: object) -> str:
    """Return the section on tuning if the rows of a page were tuned otherwise."""
    loaded = load(page)
    rows = [msgspec.structs.replace(row, **changes) for row in loaded.tuned]
    return "\n".join(tuning_lines(rows, group_records(loaded.records, "", loaded.columns), loaded.columns))


def test_low_scores_are_better_where_the_metric_says_so(page: Path) -> None:
    high, low = section_of(page), section_of(page, higher_is_better=False)

    def differences(section: str) -> list[float]:
        found = re.findall(r"^\| cb_sampler +\| +(\S+) \| +(\S+) \| +(\S+) \|$", section, re.MULTILINE)
        return [float(number.replace("\N{MINUS SIGN}", "-")) for numbers in found for number in numbers]

    assert any(differences(high))
    assert differences(low) == [-number for number in differences(high)]


def test_the_section_counts_trials_and_names_rows_without_them(page: Path) -> None:
    loaded = load(page)
    groups = group_records(loaded.records, "", loaded.columns)
    one, *others = loaded.tuned
    fewer = msgspec.structs.replace(one, trials=one.trials[:1], chosen=0)
    text = tuning_lines([fewer, *others], groups, loaded.columns)[2]
    assert (
        "Rows had 1 to 3 trials, the first one with the defaults. Those with fewer than 3 have no other values." in text
    )
    assert "not tuned" not in text
    failed = msgspec.structs.replace(one, trials=[*one.trials[:2], msgspec.structs.replace(one.trials[2], score=None)])
    assert (
        "3 trials, the first one with the defaults. 1 trial had no score." in tuning_lines([failed, *others], groups)[2]
    )
    rest = [row for row in loaded.tuned if row.combination["sampler"] != "cb_sampler"]
    assert tuning_lines(rest, groups, loaded.columns)[2].endswith("1 of 3 rows was not tuned: cb_sampler.")


def test_trials_at_another_factor_promise_nothing(page: Path) -> None:
    text = section_of(page, tuned_at=100.0)
    assert "At the imbalance factor of the trials, on held-out images" in text
    assert "Trials of 3 rows, imbalance factor 100<" in part(text, 50)
    lines = [line.split("|") for line in part(text, 50).splitlines() if "→" in line]
    assert {line[4].strip() for line in lines} == {"n/a"}


def test_a_second_run_trains_nothing_and_changes_nothing(tuned: Path, page: Path) -> None:
    before = {path.name: path.read_bytes() for path in page.iterdir() if path.is_file()}
    done = call("run", "--suite", tuned / "tuned.toml", "--executor", "inline", *options(tuned), "--json")
    facts = json.loads(done.stdout)
    assert not any(facts["executed"].values())
    assert {path.name: path.read_bytes() for path in page.iterdir() if path.is_file()} == before


def test_the_published_page_is_that_of_the_records(tuned: Path, page: Path) -> None:
    published = tuned / "leaderboards" / "tuned"
    assert (published / "tuning.jsonl").read_bytes() == (page / "tuning.jsonl").read_bytes()
    assert "## Tuning" in (published / "README.md").read_text()
    assert (
        call("leaderboard", "--check", f"--leaderboards={tuned / 'leaderboards'}", "--readme", tuned / "none").exit_code
        == 0
    )


def test_a_plan_counts_the_trials(tuned: Path) -> None:
    done = call("plan", "--suite", tuned / "tuned.toml", options(tuned)[0])
    assert "tuning      3 trials for each row and factor (6 in all); 18 of 18 cells done" in done.stdout
    assert "of the rarest class with exp these are 2 at factor 50, 1 at factor 100" in done.stdout
    facts = json.loads(call("plan", "--suite", tuned / "tuned.toml", options(tuned)[0], "--json").stdout)
    # The trials of the two rows without a sampler differ in the posthoc only.
    assert (facts["tuning"]["trainings"], facts["tuning"]["trainings_naive"]) == (2 * 2 * 3, 18)


@pytest.mark.slow
def test_a_run_whose_budget_ends_goes_on_later(tuned: Path, page: Path, tmp_path: Path) -> None:
    shutil.copy(tuned / "tuned.toml", tmp_path / "tuned.toml")
    done = call(
        "run", "--suite", tmp_path / "tuned.toml", "--executor", "inline", *options(tmp_path), "--budget", "0.001s"
    )
    assert "remain" in done.output
    mine = run(tmp_path)
    assert read_tuning(mine / "tuning.jsonl") == read_tuning(page / "tuning.jsonl")


def test_merging_keeps_the_tuned_rows(tuned: Path, page: Path, tmp_path: Path) -> None:
    done = call("merge", str(page), "--into", str(tmp_path / "merged"))
    assert done.exit_code == 0, done.output
    assert {record.label for record in load(tmp_path / "merged").records} == {
        record.label for record in load(page).records
    }


def test_a_merged_page_of_an_installed_suite_keeps_its_command() -> None:
    folder = Path(__file__).parents[2] / "leaderboards" / "quick-tuned"
    facts, content = read_folder(folder)
    records = shown_records(folder, content.records)
    assert with_records(facts, records).command == "ltbench run --suite quick-tuned"
    few = [record for record in records if "cb_sampler" not in record.label]
    assert with_records(facts, few).command == "ltbench run --suite quick-tuned --plugins label_smooth,mixup,tta"


def test_tuned_rows_are_compared_as_the_page_writes_them(page: Path) -> None:
    found = json.loads(call("compare", page, "baseline", "cb_sampler + tuned (3)", "--json").stdout)
    rows = {line["factor"]: line["second"]["mean"] for line in found["lines"]}
    scores = [
        record.metrics["top1"]
        for record in load(page).records
        if record.label == "cb_sampler + tuned (3)" and record.setting.imbalance_factor == 50
    ]
    assert rows[50.0] == pytest.approx(sum(scores) / 2)


def test_a_bundle_shows_the_tuned_rows(tuned: Path, page: Path, tmp_path: Path) -> None:
    done = call("export", page, "--predictions", "--output", tmp_path / "bundle", options(tuned)[0])
    assert done.exit_code == 0, done.output
    assert [record.label for record in load(tmp_path / "bundle").records] == [r.label for r in load(page).records]


def test_a_store_is_merged_without_its_trials(tuned: Path, tmp_path: Path) -> None:
    assert call("merge", str(tuned / "store"), "--into", str(tmp_path / "merged")).exit_code == 0
    assert not any(record.is_partial for record in read_records_file(tmp_path / "merged" / "records.jsonl").records)


def test_the_page_of_a_suite_that_holds_images_out_does_not_say_that_rows_train_on_all(
    tuned: Path, tmp_path: Path
) -> None:
    text = (tuned / "tuned.toml").read_text().replace("[recipe]", "held_out = 0.25\n[recipe]")
    (tmp_path / "tuned.toml").write_text(text.replace("[0, 1]", "[0]").replace("[50, 100]", "[50]"))
    planned = call("plan", "--suite", tmp_path / "tuned.toml", options(tmp_path)[0]).stdout
    assert "then each row with its best values, on what the suite does not hold out, with all seeds" in planned
    text = (run(tmp_path) / "README.md").read_text()
    assert "trained on the subset without the 25 % that rows of this page hold out" in text
    assert "whole subset" not in text


def test_verify_finds_values_that_the_cells_do_not_have_and_says_what_it_does_not_check(
    page: Path, tmp_path: Path
) -> None:
    before = json.loads(call("verify", page, "--json").stdout)["findings"]
    assert [(one["level"], one["where"]) for one in before] == [("note", "tuning.jsonl")]
    assert "the scores of trials are not checked" in before[0]["what"]
    shutil.copytree(page, tmp_path / "page")
    rows = [json.loads(line) for line in (page / "tuning.jsonl").read_text().splitlines()]
    number = next(n for n, row in enumerate(rows) if row["trials"][row["chosen"]]["values"])
    chosen = rows[number]["trials"][rows[number]["chosen"]]
    chosen["values"]["lr"] *= 2
    (tmp_path / "page" / "tuning.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = call("verify", tmp_path / "page", "--json")
    assert done.return_value == CELLS_FAILED
    wrong = [one for one in json.loads(done.stdout)["findings"] if one["level"] == "wrong"]
    assert {one["where"] for one in wrong} == {f"tuning.jsonl, line {number + 1}"}
    assert {one["what"] for one in wrong} == {
        f"cell {cell[:12]} does not have the recipe of the chosen trial" for cell in rows[number]["cells"]
    }


def test_verify_finds_parameters_that_the_cells_do_not_have(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / "leaderboards" / "quick-tuned"
    shutil.copytree(folder, tmp_path / "page")
    rows = [json.loads(line) for line in (folder / "tuning.jsonl").read_text().splitlines()]
    best = [row["trials"][row["chosen"]]["values"] for row in rows]
    values, name = next(
        (values, name) for values in best for name in values if "." in name and isinstance(values[name], float)
    )
    values[name] += 0.01
    (tmp_path / "page" / "tuning.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = choice_findings(
        RecordsLocation(path=tmp_path / "page", kind="suite"), read_folder(folder)[1].records, Registry.load()
    )
    wrong = [one.what for one in found if one.level == "wrong"]
    assert wrong
    assert all(f"but {name} of the chosen trial is" in one for one in wrong)


def test_a_changed_choice_is_left_out_and_named(page: Path, tmp_path: Path) -> None:
    shutil.copytree(page, tmp_path / "page")
    lines = (page / "tuning.jsonl").read_text().splitlines()
    first = json.loads(lines[0])
    first["chosen"] = (first["chosen"] + 1) % 3
    (tmp_path / "page" / "tuning.jsonl").write_text("\n".join([json.dumps(first), *lines[1:]]) + "\n")
    found = call("leaderboard", tmp_path / "page")
    assert found.return_value == 1
    assert "tuning.jsonl, line 1: a tuned row is malformed" in found.stderr
    assert "but the best trial is" in found.stderr
    with pytest.raises(RecordError, match="but the best trial is"):
        read_tuning(tmp_path / "page" / "tuning.jsonl")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('on = "test"', "tune.on: held_out"),
        ("trails = 3", "did you mean tune.trials"),
        ("seeds = 3", "it has 2 seed pairs"),
        ("recipe = { momentum = [0.1, 0.9] }", "tune.recipe: table of lr | weight_decay, each a list of 2 float > 0"),
        ("recipe = { lr = [0.1] }", "tune.recipe: table of lr | weight_decay, each a list of 2 float > 0"),
    ],
)
def test_an_invalid_table_is_named(tuned: Path, tmp_path: Path, more: str, said: str) -> None:
    (tmp_path / "tuned.toml").write_text((tuned / "tuned.toml").read_text() + more + "\n")
    with pytest.raises(SuiteError) as error:
        call("plan", "--suite", tmp_path / "tuned.toml")
    assert said in str(error.value)


def test_a_failed_trial_is_not_looked_for_on_the_page(tmp_path: Path) -> None:
    source = suite_source("tuned", RECIPE | {"steps": 2}, models=["convnet[width=4]"], seeds=[0], techniques=[])
    (tmp_path / "tuned.toml").write_text(source.replace("epochs = 1\n", "") + TUNE + "recipe = { lr = [1e30, 1e36] }\n")
    done = call("run", "--suite", tmp_path / "tuned.toml", "--executor", "inline", *options(tmp_path))
    assert done.return_value == CELLS_FAILED
    assert "2 cells of no page failed (trials, or first halves of trainings); see FAILED above" in done.stderr
    assert done.stderr.count("FAILED fit") == 2
    assert "see the page" not in done.stderr


@pytest.mark.parametrize("command", [("run", "--suite"), ("search",)])
def test_without_optuna_nothing_runs(
    command: tuple[str, ...], tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    (tmp_path / "tuned.toml").write_text((tuned / "tuned.toml").read_text() + 'sampler = "tpe"\nbatch = 2\n')
    with pytest.raises(MissingExtra, match='sampler = "tpe" needs the package optuna'):
        call(*command, tmp_path / "tuned.toml", "--executor", "inline", *options(tmp_path))
    assert not list(tmp_path.rglob("records.jsonl"))


def test_it_is_not_swept_and_not_run_without_sharing(tuned: Path, tmp_path: Path) -> None:
    text = (tuned / "tuned.toml").read_text()
    (tmp_path / "swept.toml").write_text(text + "\n[sweep]\nlr = [0.1, 0.2]\n")
    with pytest.raises(SuiteError, match="so it cannot sweep it as well"):
        call("plan", "--suite", tmp_path / "swept.toml")
    with pytest.raises(UsageError, match="cannot run with --no-sharing"):
        call("run", "--suite", tuned / "tuned.toml", "--no-sharing", *options(tuned))
