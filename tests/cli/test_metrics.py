"""`--metric` of every command: which rows come first, in which unit, and what choices follow it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from support import call, suite_source

from ltbench.errors import UnknownName, UsageError
from ltbench.records.locations import location
from ltbench.records.search_file import read_search
from ltbench.records.tuning_file import read_tuning

RECIPE = {"epochs": 2, "batch_size": 32, "lr": 0.1, "precision": "fp32"}
NAMES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
TEXT = "*>*:none+" + "|".join(name for name in sorted(NAMES) if name != "Ankle boot") + ">*:1"
TEXT += "+Ankle boot>*:20"
METRIC = f"expected_cost[costs={TEXT}]"
"""Missing a boot, the rarest class, costs 20."""


def source(name: str, **fields: object) -> str:
    required: dict[str, object] = {"imbalance_factors": [100], "models": ["convnet[width=4]"], "seeds": [0, 1]}
    return suite_source(name, RECIPE, **(required | fields))


def places(folder: Path) -> list[str]:
    return [f"--{option}={folder / name}" for option, name in (("store", "store"), ("leaderboards", "leaderboards"))]


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("costs") / "what errors cost.csv"
    lines = [",".join(["", *NAMES])]
    lines += [
        ",".join([true, *("0" if true == one else "20" if true == "Ankle boot" else "1" for one in NAMES)])
        for true in NAMES
    ]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, costs: Path) -> Path:
    """A folder in which a suite was run, ranked by the costs of a file that is not there any more."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "mine.toml").write_text(source("mine", techniques=["cb_sampler", f"min_cost[costs={TEXT}]"]))
    words = ["--suite", folder / "mine.toml", "--executor", "inline", "--metric", f"expected_cost[costs={costs}]"]
    assert call("run", *words, *places(folder)).return_value == 0
    return folder


@pytest.fixture(scope="module")
def page(made: Path) -> Path:
    (page,) = {path.parent for path in (made / "leaderboards" / "local").glob("*/README.md")}
    return page


def test_what_is_published_names_the_costs_and_never_their_file(page: Path, costs: Path) -> None:
    assert json.loads((page / "suite.json").read_text())["metric"] == METRIC
    text = (page / "README.md").read_text()
    assert f"--metric '{METRIC}'" in text
    assert "any error with Ankle boot costs 20, any other error 1." in text
    assert not [path for path in page.rglob("*") if path.is_file() and costs.name in path.read_text()]
    # No record has the number, and each has what it follows from.
    for record in location(page).records_file().records:
        assert not [name for name in record.metrics if "cost" in name]
        spoilt = sum(
            n * (0 if true == one else 20 if true == 9 else 1)
            for true, row in enumerate(record.confusion.rows())
            for one, n in enumerate(row)
        )
        assert record.score(METRIC) == pytest.approx(spoilt / 2000)


def test_rows_and_exported_numbers_are_ranked_by_it(page: Path, made: Path) -> None:
    rows = list(csv.DictReader((page / "table.csv").read_text().splitlines()))
    found = [float(row[METRIC]) for row in rows]
    assert found == sorted(found)
    exported = list(csv.DictReader(call("export", page).stdout.splitlines()))
    values = {row["cell"]: float(row["value"]) for row in exported if row["metric"] == METRIC}
    assert values == {r.id: pytest.approx(r.score(METRIC)) for r in location(page).records_file().records}
    # Deciding by the costs pays: compared as the page compares it, without naming the metric.
    said = json.loads(call("compare", page, "baseline", f"min_cost[costs={TEXT}]", "--json").stdout)
    assert (said["metric"], said["unit"]) == (METRIC, "plain")
    assert said["lines"][0]["difference"]["mean"] < -0.1


@pytest.mark.parametrize(
    "metric", ["top1", "balanced_accuracy", "macro_f1", "worst_class", "ece", "nll", METRIC, f"balanced_{METRIC}"]
)
def test_every_reading_command_takes_every_metric(page: Path, tmp_path: Path, metric: str) -> None:
    shown = json.loads(call("leaderboard", page, "--metric", metric, "--json").stdout)
    assert metric in json.dumps(shown)
    text = call("leaderboard", page, "--metric", metric).stdout
    assert "Ranked by" in text
    low = metric in ("ece", "nll") or "cost" in metric
    assert ("(low is good)" in text) == low
    unit = "percent" if metric in ("top1", "balanced_accuracy", "macro_f1", "worst_class", "ece") else "plain"
    assert ("in %" in text) == (unit == "percent")
    compared = call("compare", page, "baseline", "cb_sampler", "--metric", metric).stdout
    assert ("times 100" in compared) == (unit == "percent")
    call("report", page, "--metric", metric, "--output", tmp_path / "r.html")
    assert "cb_sampler" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize("command", ["run", "plan", "search"])
def test_costs_that_do_not_fit_are_refused_before_anything_is_trained(
    command: str, made: Path, tmp_path: Path, costs: Path
) -> None:
    (tmp_path / "other.csv").write_text(costs.read_text().replace("Sneaker", "Sneakers"))
    suite = [made / "mine.toml"] if command == "search" else ["--suite", made / "mine.toml"]
    at = [f"--store={tmp_path / 'store'}"]
    for words in (
        ["--metric", f"expected_cost[costs={tmp_path / 'other.csv'}]"],
        ["--plugins", f"min_cost[costs={tmp_path / 'other.csv'}]"],
    ):
        with pytest.raises(UnknownName, match="unknown class 'Sneakers'") as caught:
            call(command, *suite, *words, *at)
        assert "Sneaker" in caught.value.fix
    with pytest.raises(UsageError, match="cannot be read"):
        call(command, *suite, "--metric", "expected_cost[costs=nowhere.csv]", *at)
    with pytest.raises(UsageError, match="has no costs"):
        call(command, *suite, "--metric", "expected_cost", *at)
    assert not (tmp_path / "store").exists() or not list((tmp_path / "store").rglob("*.safetensors"))


def test_a_suite_has_its_costs_in_itself(tmp_path: Path, costs: Path) -> None:
    (tmp_path / "own.toml").write_text(source("own", techniques=["tta"], metric=f"expected_cost[costs={costs}]"))
    with pytest.raises(UsageError, match="names a file") as caught:
        call("plan", "--suite", tmp_path / "own.toml", f"--store={tmp_path / 'store'}")
    (tmp_path / "own.toml").write_text(source("own", techniques=["tta"], metric=METRIC))
    assert METRIC in caught.value.fix
    said = call("plan", "--suite", tmp_path / "own.toml", f"--store={tmp_path / 'store'}").stdout
    assert "ranked by expected cost, as asked; low is good" in " ".join(said.split())


def test_epochs_trials_and_searches_take_the_lowest_cost_of_balanced_classes(made: Path) -> None:
    """The held-out images are long-tailed, the test images are not."""
    number = f"balanced_{METRIC}"
    (made / "epochs.toml").write_text(
        source("epochs", techniques=["tta"], held_out=0.2, selection="best", metric=METRIC)
    )
    assert call("run", "--suite", made / "epochs.toml", "--executor", "inline", *places(made)).return_value == 0
    for record in location(made / "leaderboards/local/epochs").records_file().records:
        chosen = record.curve["held_out"]
        assert chosen["number"] == number
        assert chosen["epoch"][chosen["score"].index(min(chosen["score"]))] == chosen["selected"]
    (made / "tuned.toml").write_text(
        source("tuned", techniques=["tta"], metric=METRIC, seeds=[0]) + "\n[tune]\ntrials = 2\n"
    )
    assert call("run", "--suite", made / "tuned.toml", "--executor", "inline", *places(made)).return_value == 0
    for row in read_tuning(made / "leaderboards/local/tuned/tuning.jsonl"):
        scores = [trial.score for trial in row.trials]
        assert (row.metric, row.higher_is_better) == (f"held_out.{number}", False)
        assert scores[row.chosen] == min(scores)
        # What is promised is how much better it gets, though the number falls.
        assert scores[0] - scores[row.chosen] >= 0
    page = (made / "leaderboards/local/tuned/README.md").read_text()
    trials = [line.split("|") for line in page.splitlines() if "→" in line and line.startswith("| ")]
    assert len(trials) == 2
    assert not [line for line in trials if "−" in line[4]]
    assert "compared by expected cost of balanced classes on" in page
    assert "points" not in page.partition("## Tuning")[2].partition("## fashion")[0]


def test_a_search_asks_for_the_same_cells_whatever_the_unit_of_the_costs(made: Path) -> None:
    found = []
    for unit in (1, 1000):
        metric = f"expected_cost[costs=*>*:{unit}+Ankle boot>*:{20 * unit}]"
        words = [
            "--executor",
            "inline",
            "--budget",
            "5cells",
            "--on",
            "test",
            "--metric",
            metric,
            "--name",
            f"by{unit}",
        ]
        assert call("search", made / "mine.toml", *words, *places(made)).return_value == 0
        searched = read_search(made / f"leaderboards/local/by{unit}/search.json")
        assert searched is not None
        assert searched.metric == metric
        found.append([(row.combination, row.cells, row.state) for row in searched.rows])
    assert found[0] == found[1]
    assert sum(cells for _, cells, _ in found[0]) == 5
