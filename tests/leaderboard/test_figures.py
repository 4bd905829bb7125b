from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree as ET

import pytest
from synthetic import COLUMNS, publish, record

from ltbench.columns import Column
from ltbench.errors import OutOfDate
from ltbench.leaderboard.figures import FOLDER, FigureGroup, place_figures
from ltbench.leaderboard.figures.canvas import Drawing, is_current, svg
from ltbench.leaderboard.figures.head_to_tail import smooth
from ltbench.leaderboard.figures.histogram import bag, rates
from ltbench.leaderboard.publish import check, update
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record, plain_values, seal, validate
from ltbench.suite.published import FIGURES, Reported

ALL = tuple(f"{name}[threshold=120]" if name in ("resampling", "bags") else name for name in FIGURES)
CURVE = {"epoch": [1.0, 2.0], "loss": [2.0, 1.0], "lr": [0.1, 0.1], "accuracy": [0.3, 0.6]}
CB, MIX = {"sampler": "cb_sampler"}, {"mix": "mixup"}


def full(
    techniques: Mapping[str, str] = MappingProxyType({}), seed: int = 0, *, classes: list[str], factor: float = 100.0
) -> Record:
    """Return a record with everything that a figure shows: class c has 10 + c % 80 of 100 test images right."""
    many = len(classes)
    right = [10 + c % 80 for c in range(many)] if many > 1 else [100]
    confusion = [[0] * many for _ in classes]
    for c, hits in enumerate(right):
        confusion[c][c] = hits
        confusion[c][(c + 1) % many] += 100 - hits
    accuracy = [hits / 100 for hits in right]
    per_class = dict.fromkeys(("accuracy", "precision", "recall", "f1"), accuracy) | {"support": [100.0] * many}
    top1 = sum(accuracy) / many + 0.01 * len(techniques) + 0.002 * seed
    return record(techniques, factor, seed, {"top1": top1}, classes=classes, per_class=per_class, confusion=confusion,
                  curve=CURVE)  # fmt: skip


def suite(classes: list[str]) -> list[Record]:
    return [full(techniques, seed, classes=classes) for techniques in ({}, CB, MIX, CB | MIX) for seed in (0, 1)]


def drawings(found: list[FigureGroup]) -> dict[str, Drawing]:
    return {drawing.kind: drawing for one in found for drawing in one.drawings}


def texts(drawing: Drawing) -> list[str]:
    """Return what a reader of the SVG can read, and thereby that it is XML and writes text as text."""
    root = ET.fromstring(svg(drawing))
    return ["".join(node.itertext()).strip() for node in root.iter("{http://www.w3.org/2000/svg}text")]


TEN = [f"class {letter}" for letter in "abcdefghij"]


def test_every_figure_has_a_file_and_says_what_it_shows() -> None:
    found = drawings(place_figures(SuiteFacts(name="s", figures=ALL), suite(TEN)))
    # A single pair is no heat map, one data set no comparison over data sets, and all of these cost the same.
    assert set(found) == set(FIGURES) - {"scores", "interactions", "critical_difference", "cost"}
    for kind, drawing in found.items():
        shown = texts(drawing)
        assert len(svg(drawing).encode()) < 200_000, kind
        if kind in ("head_to_tail", "confusion", "before_after", "histogram", "resampling", "bags"):
            assert set(TEN) <= set(shown), kind
        if kind in ("head_to_tail", "bars", "spread", "before_after", "curves"):
            assert "baseline" in shown, kind
            assert "cb_sampler + mixup" in shown, kind


def test_figures_have_the_numbers_of_the_records() -> None:
    found = drawings(place_figures(SuiteFacts(name="s", figures=ALL), suite(TEN)))
    matrix = found["confusion"].data.matrices[0]
    assert (matrix.runs, matrix.images[3][3], matrix.images[3][4]) == (2, 26, 174)  # two runs of 13 and 87 images
    assert {"13", "87"} <= set(texts(found["confusion"]))
    assert any(text.startswith("14.6 ± ") for text in texts(found["bars"]))  # the baseline: 14.5 and 14.7
    # The population SD of 10, 11 ... 19 is the root of 99 / 12.
    assert {"mean 14.5", "SD 2.9"} <= set(texts(found["spread"]))
    assert "×0.2" in texts(found["resampling"])  # 120 of 600 images
    assert "600" in texts(found["histogram"])


def test_figures_are_the_same_bytes_for_any_order_of_records() -> None:
    records = suite(TEN)
    first = {d.name: svg(d) for one in place_figures(SuiteFacts(name="s", figures=ALL), records) for d in one.drawings}
    random.Random(5).shuffle(records)
    assert {
        d.name: svg(d) for one in place_figures(SuiteFacts(name="s", figures=ALL), records) for d in one.drawings
    } == first
    assert not any(re.search(r"\d{4}-\d\d-\d\dT|matplotlib v|Matplotlib v", text) for text in first.values())


@pytest.mark.parametrize("classes", [["one"], ["IDC(−)", "良性 $x_1$ <&>"], [f"c{i}" for i in range(100)]], ids=len)
def test_figures_bear_one_class_and_a_hundred_and_any_name(classes: list[str]) -> None:
    for kind, drawing in drawings(place_figures(SuiteFacts(name="s", figures=ALL), suite(classes))).items():
        shown, size = texts(drawing), len(svg(drawing).encode())
        assert size < 200_000, kind
        if kind in ("confusion", "histogram"):
            assert (classes[-1] in shown) is (len(classes) <= 20), kind


def test_classes_without_names_are_numbered() -> None:
    record_ = full(classes=TEN)
    nameless = validate(
        seal(
            plain_values(record_) | {"data": {name: value for name, value in record_.data.items() if name != "classes"}}
        )
    )
    found = drawings(place_figures(SuiteFacts(name="s", figures=ALL), [nameless]))
    assert set(map(str, range(10))) <= set(texts(found["confusion"]))


def test_without_results_there_are_no_figures() -> None:
    failed = record(error={"type": "JobFailed", "message": "no"})
    assert place_figures(SuiteFacts(name="s", figures=ALL), []) == []
    assert place_figures(SuiteFacts(name="s", figures=ALL), [failed]) == []
    assert place_figures(SuiteFacts(name="s", figures=()), suite(TEN)) == []


def test_what_records_lack_is_left_out() -> None:
    plain = record(scores={"top1": None})  # no confusion, no curve, no score
    assert set(drawings(place_figures(SuiteFacts(name="s", figures=ALL), [plain]))) == {
        "head_to_tail",
        "spread",
        "histogram",
        "resampling",
        "bags",
    }


def test_a_suite_says_what_is_set_against_the_baseline() -> None:
    wish = SuiteFacts(name="s", figures=("before_after", "confusion"), highlight=("mixup",))
    found = drawings(place_figures(wish, suite(TEN)))
    assert [matrix.label for matrix in found["before_after"].data.matrices] == ["baseline", "mixup"]
    assert [matrix.label for matrix in found["confusion"].data.matrices] == ["mixup"]


def test_what_the_report_prints_is_shown_first_and_beside() -> None:
    reported = (Reported(source="T", imbalance_factor=100, techniques=("mixup",), per_class=(0.5,) * 10),)
    facts = SuiteFacts(name="s", figures=("head_to_tail",), reported=reported)
    drawing = drawings(place_figures(facts, suite(TEN)))["head_to_tail"]
    assert [(line.name, line.values[0]) for line in drawing.data.reported] == [("mixup", 0.5)]
    assert "mixup" in texts(drawing)
    assert "dotted: as reported" in " ".join(texts(drawing))


def test_a_data_set_has_one_figure_of_a_kind_and_factor() -> None:
    longer = [record({}, 100.0, 0, epochs=40), record({}, 10.0, 0, epochs=40)]
    found = place_figures(SuiteFacts(name="s", figures=ALL), [*suite(TEN), *longer])
    names = [drawing.name for one in found for drawing in one.drawings]
    assert len(names) == len(set(names))
    assert sum(name.startswith("spread-if100") for name in names) == 1


def test_scores_are_a_table_of_precision_recall_and_f1() -> None:
    (one,) = place_figures(SuiteFacts(name="s", figures=("scores",), columns=COLUMNS), suite(TEN))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in one.lines if line[:1] == "|"]
    assert ["class d", "129", "13.0", "13.0", "13.0", "100"] in rows
    assert sum(row[0] == "*mean of the classes*" for row in rows) == 2  # the baseline and the best


def test_a_number_of_each_class_that_somebody_declares_has_a_column_among_the_scores() -> None:
    records = [
        validate(seal(plain_values(r) | {"per_class": {**r.per_class, "brier": [0.25] * 10}, "digest": ""}))
        for r in suite(TEN)
    ]
    columns = (*COLUMNS, Column(name="per_class.brier", title="Brier", unit="plain"))
    (one,) = place_figures(SuiteFacts(name="s", figures=("scores",), columns=columns), records)
    assert one.lines[0].startswith("Precision, recall, F1 and Brier of each class (n = 2): ")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in one.lines if line[:1] == "|"]
    assert ["class d", "129", "13.0", "13.0", "13.0", "0.250", "100"] in rows


def test_resampling_rates_are_those_of_the_report() -> None:
    assert rates([500, 100, 0], 300) == [0.6, 3.0, 0.0]


def test_a_bag_has_the_minority_whole_and_a_share_of_the_majority() -> None:
    counts = [500, 301, 120, 80, 50]
    bags, held, dealt = bag(counts, 120)
    assert (bags, held, dealt) == (4, [125, 76, 120, 80, 50], [True, True, False, False, False])
    assert bag([10, 5], 20) == (1, [10, 5], [False, False])
    assert bag([40, 40, 40], 10)[1] == [10, 10, 10]


def test_a_moving_mean_leaves_out_what_is_undefined() -> None:
    assert smooth([1.0, 2.0, 3.0, float("nan")], 3) == [1.5, 2.0, 2.5, 3.0]


# --- files ------------------------------------------------------------------------------------------------------

FACTS = SuiteFacts(name="quick", title="Quick", figures=("bars", "spread"))


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    publish(tmp_path / "leaderboards" / "quick", FACTS, suite(TEN))
    return tmp_path / "leaderboards"


def test_a_page_links_every_file_of_its_figures(place: Path) -> None:
    page = (place / "quick" / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", page)
    assert sorted(links) == [f"{FOLDER}/bars.svg", f"{FOLDER}/spread-if100.svg"]
    assert all((place / "quick" / link).is_file() for link in links)
    assert len(check(place)) == 5


def test_a_figure_that_was_touched_is_out_of_date_and_is_drawn_again(place: Path) -> None:
    path = place / "quick" / FOLDER / "bars.svg"
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace("baseline", "basement"), encoding="utf-8")
    with pytest.raises(OutOfDate, match=r"bars\.svg"):
        check(place)
    assert update(place) == [path]
    assert path.read_text(encoding="utf-8") == before


def test_a_figure_that_no_page_shows_goes(place: Path) -> None:
    odd = place / "quick" / FOLDER / "old.svg"
    odd.write_text("<svg/>")
    with pytest.raises(OutOfDate, match=r"old\.svg"):
        check(place)
    assert update(place) == [odd]
    publish(place / "quick", SuiteFacts(name="quick"), [])
    assert list((place / "quick" / FOLDER).iterdir()) == []


def test_checking_draws_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(drawing: Drawing) -> str:
        raise AssertionError(drawing.name)

    monkeypatch.setattr("ltbench.leaderboard.publish.svg", draw)
    check(place)
    assert update(place) == []


def test_a_figure_of_other_numbers_is_not_current() -> None:
    drawing = drawings(place_figures(SuiteFacts(name="s", figures=("bars",)), suite(TEN)))["bars"]
    other = drawings(place_figures(SuiteFacts(name="s", figures=("bars",)), suite(TEN)[:4]))["bars"]
    assert is_current(drawing, svg(drawing))
    assert not is_current(other, svg(drawing))
    assert not is_current(drawing, "")


def test_facts_of_before_figures_are_read(place: Path) -> None:
    facts = json.loads((place / "quick" / "suite.json").read_text())
    kept = {key: facts[key] for key in ("name", "title", "command", "seeds", "unfinished")}
    (place / "quick" / "suite.json").write_text(json.dumps(kept))
    update(place)
    assert "![" not in (place / "quick" / "README.md").read_text(encoding="utf-8")


def test_effects_and_interactions_are_drawn_with_their_numbers() -> None:
    import synthetic

    records = synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1, 2))
    found = drawings(place_figures(SuiteFacts(name="s", figures=("effects", "interactions")), records))
    effects, pairs = texts(found["effects"]), texts(found["interactions"])
    assert {"cb_sampler", "mixup", "label_smooth", "tta", "factor 10", "mean over 2 factors"} <= set(effects)
    assert any("3 seeds" in text for text in effects)
    square = found["interactions"].data.squares[0]
    shown = f"{abs(100 * square.mean):.1f}"
    assert any(shown in text for text in pairs)
    assert len(found["interactions"].data.squares) == 6


def test_effects_bear_any_name_one_run_and_many_techniques() -> None:
    names = [f"技術_{i}[β=0.{i}]" for i in range(30)]
    made = [record({"loss": name} if name else {}, 100.0, 0, {"top1": 0.5 + len(name) / 1000 + i / 100})
            for i, name in enumerate(["", *names])]  # fmt: skip
    made += [record({"loss": name, "mix": "mixup"} if name else {"mix": "mixup"}, 100.0, 0, {"top1": 0.6 + (i % 7) / 100})
             for i, name in enumerate(["", *names])]  # fmt: skip
    found = drawings(place_figures(SuiteFacts(name="s", figures=("effects", "interactions")), made))
    assert "the 10 largest of 31" in " ".join(texts(found["effects"]))
    assert any("1 seed)" in text for text in texts(found["interactions"]))
    assert all(len(svg(drawing).encode()) < 200_000 for drawing in found.values())
