"""What is in the file of a report, without a browser."""

from __future__ import annotations

import base64
import gzip
import html
import itertools
import random
import re
import sys
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import synthetic
from reports import COMMITTED, each_committed_page, loaded
from synthetic import record

from ltbench.errors import MissingExtra
from ltbench.leaderboard.compare.compare import compare_combinations
from ltbench.leaderboard.figures.looks import MARKERS, Look
from ltbench.leaderboard.figures.shown import ShownOnPage
from ltbench.leaderboard.html import content as content_module
from ltbench.leaderboard.html import differences as differences_module
from ltbench.leaderboard.html.content import report_content
from ltbench.leaderboard.html.differences import Differences, p_text
from ltbench.leaderboard.html.document import SCRIPTS, document
from ltbench.leaderboard.html.embedded_json import Pool, compressed_json, script_json
from ltbench.leaderboard.html.per_class_and_epoch import classes, lines, matrix
from ltbench.leaderboard.html.tables import ReportTable
from ltbench.leaderboard.html.vega import library
from ltbench.leaderboard.html.wording import EFFECT, P
from ltbench.leaderboard.page.answer import answer
from ltbench.leaderboard.publish import SuiteFolder, load
from ltbench.leaderboard.statistics.analysis import analyse
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables import cell_text
from ltbench.leaderboard.tables.caption import caption
from ltbench.leaderboard.tables.columns import AREA
from ltbench.leaderboard.tables.table import Table
from ltbench.records.agreement import result_digest
from ltbench.records.records_file import Invalidation
from ltbench.suite.published import Reported
from ltbench.verification.rerun import command_of

ERROR = {"type": "JobFailed", "message": "NaN", "job": "j", "log": "boom"}


def unpacked(text: str) -> Any:
    return msgspec.json.decode(gzip.decompress(base64.b64decode(text)))


def every_table(made: SuiteFolder) -> list[tuple[Table, ReportTable]]:
    """Return the tables of a page with those of its report."""
    return [
        pair
        for board, its in zip(made.boards, report_content(made).core["boards"], strict=True)
        for pair in zip([*([board.across] if board.across else []), *board.tables], its["tables"], strict=True)
    ]


def elements(text: str) -> dict[str, str]:
    """Return the content of the script elements that hold data, as a browser takes them apart."""
    return dict(re.findall(r'<script type="[^"]+" id="(\w+)">(.*?)</script', text, flags=re.DOTALL))


# --- the file -------------------------------------------------------------------------------------------------------


def test_the_same_records_in_any_order_are_the_same_bytes() -> None:
    records = synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1), names=("mixup", "tta"))
    expected = document(loaded(records))
    random.Random(3).shuffle(records)
    assert document(loaded(records)) == expected


def test_the_file_names_nothing_to_load_and_forbids_it() -> None:
    text = document(loaded([record()]))
    for kind, held in elements(text).items():
        if kind != "library":
            assert "http" not in held
    frame = re.sub(r'(<script type="[^"]+" id="\w+">).*?</script', r"\1</script", text, flags=re.DOTALL)
    assert not re.findall(r"https?://|\bsrc=|<link|@import|url\(", frame)
    assert "default-src 'none'" in frame


def test_every_script_is_shipped_and_ends_no_element() -> None:
    assets = Path(content_module.__file__).parent / "assets"
    assert sorted(SCRIPTS) == sorted(path.name for path in assets.glob("*.js"))
    for path in assets.glob("*.js"):
        source = path.read_text(encoding="utf-8")
        assert "</script" not in source
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|fetch\(|XMLHttpRequest", source)


def test_the_browser_computes_no_test_of_its_own() -> None:
    assets = Path(content_module.__file__).parent / "assets"
    for path in assets.glob("*.js"):
        assert not re.search(
            r"Math\.(sqrt|pow)|\*\* *0\.5|quantile|variance|0\.05|1\.96|toFixed\(1\)} ±",
            path.read_text(encoding="utf-8"),
        )


def test_hostile_text_stays_text() -> None:
    hostile = "</script><script>alert(1)</script> 'x' \"y\" & Ünïcødé 日本"
    facts = SuiteFacts(name="q", title=hostile, question=hostile, notes=hostile, command=hostile)
    records = [record(classes=[hostile, "b"], confusion=[[1, 0], [0, 1]], per_class={"accuracy": [1.0, 0.5]})]
    text = document(loaded(records, facts))
    assert "<script>alert" not in text
    core = unpacked(elements(text)["core"])
    assert hostile in core["pool"][core["boards"][0]["tables"][0]["classes"]]["names"]


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    library.cache_clear()
    with pytest.raises(MissingExtra, match="vl-convert-python") as caught:
        document(loaded([record()]))
    assert caught.value.fix == "pip install 'ltbench[report]'"


def test_packed_values_come_back_and_inline_ones_hold_no_tag() -> None:
    value = {"a": ["</script>", 1.5, None], "b": "Ü"}
    assert unpacked(compressed_json(value)) == value
    assert "<" not in script_json(value)
    assert msgspec.json.decode(script_json(value)) == value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[2J\r\x08\x0c\x00", "a\\u001b[2J\\r\\b\\f\\u0000"),
        ("\x7f\x85\u202e\u2028\ufeff", "\\u007f\\u0085\\u202e\\u2028\\ufeff"),
        ('lines\n\tstay "quoted" \\u001b \\\\n', None),
        ("Ünïcødé 日本 </script>", None),
    ],
)
def test_embedded_texts_show_control_characters(text: str, shown: str | None) -> None:
    expected = {shown or text: [shown or text]}
    assert unpacked(compressed_json({text: [text]})) == expected
    assert msgspec.json.decode(script_json({text: [text]})) == expected


def test_a_pool_keeps_equal_values_once() -> None:
    pool = Pool()
    assert [pool.put({"b": 1, "a": 2}), pool.put("x"), pool.put({"a": 2, "b": 1})] == [0, 1, 0]
    assert pool.values == [{"b": 1, "a": 2}, "x"]


# --- its content ----------------------------------------------------------------------------------------------------


def test_the_table_has_the_texts_of_the_page_and_its_numbers() -> None:
    made = loaded(synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1, 2), names=("mixup", "tta")))
    core = report_content(made).core
    across, first, second = core["boards"][0]["tables"]
    assert [table.factor for table in (across, first, second)] == [None, 10.0, 100.0]
    shown = made.boards[0].tables[0]
    expected = {one.name: one.texts for one in (*cell_text.main_columns(shown), *cell_text.shown_in(shown, "folded"))}
    expected |= {P: [p_text(row.p) for row in shown.rows]}
    texts = {column.heading: column.texts for column in first.columns}
    assert texts.pop(EFFECT)[0] == f"{shown.rows[0].effect:.1f}"
    assert texts == expected
    top1 = next(column for column in first.columns if column.score == "top1")
    best = made.boards[0].tables[0].rows[0]
    assert top1.numbers[0] == pytest.approx(100 * best.scores["top1"].mean, abs=1e-3)
    assert top1.ends[0] == pytest.approx([100 * end for end in best.scores["top1"].interval], abs=1e-3)
    assert [core["combinations"][number]["label"] for number in first.combinations] == [
        row.label for row in made.boards[0].tables[0].rows
    ]
    assert (first.first_row, second.first_row) == (0, 4)


@each_committed_page
def test_the_table_begins_with_the_columns_of_the_page(folder: Path) -> None:
    made = load(folder)
    for table, its in every_table(made):
        first = [column.heading for column in its.columns if column.first]
        assert first == [column.name for column in cell_text.columns(table)]
        assert len(first) <= 8
        assert not {AREA, P, EFFECT} & set(first)
        assert ("n" in first) == (len({row.n for row in table.rows}) > 1)
        assert len({column.heading for column in its.columns}) == len(its.columns)
        assert its.caption == caption(table)


def test_published_numbers_stand_below_their_row_and_count_nowhere() -> None:
    reported = (
        Reported(source="Table 1", techniques=("mixup",), imbalance_factor=10.0, value=0.99, note="read off a plot"),
        Reported(source="Table 2", techniques=("focal",), imbalance_factor=10.0, value=0.98),
    )
    records = synthetic.suite(factors=(10.0,), seeds=(0, 1, 2), names=("mixup", "tta"))
    facts = SuiteFacts(name="quick", columns=synthetic.COLUMNS)
    bare, beside = (
        report_content(loaded(records, one)).core for one in (facts, msgspec.structs.replace(facts, reported=reported))
    )
    (table,), (before,) = (core["boards"][0]["tables"] for core in (beside, bare))
    mixup, focal = table.published
    assert beside["combinations"][table.combinations[mixup.below]]["label"] == "mixup"
    assert (mixup.source, mixup.notes) == ("Table 1", ["read off a plot"])
    assert (focal.below, focal.name, focal.notes) == (None, "focal", [])
    shown = {column.heading: text for column, text in zip(table.columns, mixup.texts, strict=True) if text}
    assert shown == {"rank": "–", "top-1": "99.0"}
    for name in ("ranks", "combinations", "differences", "n", "costs", "columns"):
        assert msgspec.to_builtins(getattr(table, name)) == msgspec.to_builtins(getattr(before, name))


def test_every_score_has_the_words_and_the_direction_that_its_metric_declares() -> None:
    made = loaded(synthetic.suite(factors=(10.0,), seeds=(0, 1), names=("mixup",)))
    (only,) = report_content(made).core["boards"][0]["tables"]
    declared = {column.name: column for column in synthetic.COLUMNS}
    scores = [column for column in only.columns if column.score]
    assert {one.score for one in scores} == {
        name for name, column in declared.items() if column.shown != "export" and not column.per_class
    }
    for one in scores:
        column = declared[one.score]
        assert (one.heading, one.name, one.unit) == (column.title, column.full_title, column.unit)
        assert one.about.startswith(column.description)
        assert (one.sign == 1) == column.higher_is_better == ("Low is good." not in one.about)


def test_every_cell_can_be_traced() -> None:
    records = [
        *synthetic.suite(factors=(10.0,), seeds=(0, 1), names=("mixup",)),
        record({"view": "tta"}, 10.0, error=ERROR),
    ]
    made = report_content(loaded(records))
    traces = [trace for chunk in made.traces for row in unpacked(chunk) for trace in row]
    assert {trace["id"] for trace in traces} == {one.id for one in records}
    for trace in traces:
        mine = next(one for one in records if one.id == trace["id"])
        assert (trace["spec"], trace["fits"], trace["digest"]) == (mine.spec, mine.fits, mine.digest)
        assert made.core["pool"][trace["environment"]] == mine.environment
        assert trace["command"] == command_of(mine)
    (failed,) = [trace for trace in traces if trace.get("error")]
    assert (failed["error"], failed["log"]) == ("JobFailed: NaN", "boom")


def test_what_was_withdrawn_is_said_with_its_reason_and_shown_nowhere_else() -> None:
    good, bad = record(), record({"mix": "mixup"})
    word = Invalidation(id=bad.id, outcome=result_digest(bad), reason="wrong data", by="me", digest="x")
    made = report_content(loaded([good, bad], invalidations=[word])).core
    assert [(one["id"], one["reason"]) for one in made["withdrawn"]] == [(bad.id, "wrong data (me)")]
    assert [one["label"] for one in made["combinations"]] == ["baseline"]
    assert "self-reported" in made["provenance"][0]


def test_classes_come_from_head_to_tail_with_their_numbers() -> None:
    one = record(data={"counts": [5, 50, 20], "classes": ["few", "many", "medium"]}, confusion=[[1, 2, 3], [4, 5, 6], [7, 8, 9]],
                 per_class={"accuracy": [0.1, 0.5, None]}, curve={"epoch": [1.0, 2.0], "loss": [2.0, 1.0], "accuracy": [0.25, 0.5]})  # fmt: skip
    its = classes([one])
    assert (its.names, its.counts) == (["many", "medium", "few"], [50, 20, 5])
    assert matrix([one, one], its.order).images == [[10, 12, 8], [16, 18, 14], [4, 6, 2]]
    shown = lines([one], its.order)
    assert shown.accuracy == [50.0, None, 10.0]
    assert (shown.epoch, shown.train_loss, shown.train_accuracy) == ([1.0, 2.0], [2.0, 1.0], [25.0, 50.0])


def test_many_classes_are_pooled_with_their_neighbours_and_no_image_is_lost() -> None:
    size = 250
    confusion = np.arange(size * size).reshape(size, size).tolist()
    one = record(classes=[str(c) for c in range(size)], confusion=confusion, per_class={"accuracy": [0.5] * size})
    pooled = matrix([one], list(range(size)))
    assert (pooled.size, len(pooled.images)) == (3, 84)
    assert sum(map(sum, pooled.images)) == sum(map(sum, confusion))
    assert pooled.images[0][0] == sum(confusion[t][p] for t in range(3) for p in range(3))


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    epochs = [float(e) for e in range(1, 501)]
    shown = lines([record(curve={"epoch": epochs, "loss": epochs, "accuracy": [0.5] * 500})], list(range(10)))
    assert len(shown.epoch) == 60
    assert (shown.epoch[0], shown.epoch[-1], shown.train_loss[-1]) == (1.0, 500.0, 500.0)


def test_what_does_not_fit_is_left_out_from_the_end_of_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    records = [
        record(t, scores={"top1": top1}, confusion=rng.integers(0, 99, (10, 10)).tolist())
        for t, top1 in (({}, 0.1), ({"mix": "mixup"}, 0.9), ({"view": "tta"}, 0.8), ({"loss": "focal"}, 0.7))
    ]
    whole = report_content(loaded(records)).matrices
    monkeypatch.setattr(content_module, "MATRIX_BYTES", sum(len(text or "") for text in (whole[0], whole[1], whole[3])))
    assert report_content(loaded(records)).matrices == [
        whole[0],
        whole[1],
        None,
        whole[3],
    ]  # the last row is the baseline


# --- the answer -----------------------------------------------------------------------------------------------------


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of the answer as a browser shows them."""
    (block,) = re.findall(r'<div class="answer">(.*?)</div>', text, flags=re.DOTALL)
    return [html.unescape(words) for words in re.findall(r"<p>(.*?)</p>", block)]


@each_committed_page
def test_the_answer_of_the_page_comes_before_the_table(folder: Path) -> None:
    made = load(folder)
    analyses = analyse(group_records(made.records, made.facts.metric, made.columns), made.facts.screen_pairs)
    text = document(made)
    assert paragraphs(text) == answer(made.boards, analyses, made.judged_claims)
    assert text.index("<h1>") < text.index('class="answer"') < text.index('id="leaderboard"')


def test_an_answer_is_text_and_never_markup() -> None:
    records = [record({"mix": "a<b>&c"}, seed=s, scores={"top1": 0.7 + s / 100}) for s in range(2)]
    text = document(loaded(records))
    assert paragraphs(text)[0].startswith("a<b>&c is the only row with a number")
    assert "a<b>" not in text


def test_without_a_number_the_answer_says_so() -> None:
    assert paragraphs(document(loaded([]))) == ["No results yet. The command below makes them."]
    assert paragraphs(document(loaded([record(error=ERROR)]))) == ["No combination has a number yet."]


def test_the_best_row_of_a_table_is_named_where_the_answer_does_not() -> None:
    made = report_content(loaded(synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1, 2), names=("mixup", "tta"))))
    across, first, second = made.core["boards"][0]["tables"]
    assert any(sentence.startswith("The best row is ") for sentence in made.answer)
    assert across.best == ""
    for table in (first, second):
        best = made.core["combinations"][table.combinations[0]]["label"]
        assert table.best.startswith(f"{'the baseline' if best == 'baseline' else best} with ")


@each_committed_page
def test_combinations_have_the_marks_of_the_figures_of_the_page(folder: Path) -> None:
    made = load(folder)
    analyses = analyse(group_records(made.records, made.facts.metric, made.columns))
    page = ShownOnPage(made.facts, [one.group for one in analyses], made.boards)
    core = report_content(made).core
    for one in core["combinations"]:
        look = page.looks[one["label"]]
        assert (one["look"].color, one["look"].marker, one["look"].dashed) == (look.color, look.marker, look.dashed)
    for board, analysis in zip(core["boards"], analyses, strict=True):
        shown = [core["combinations"][number]["label"] for number in board["shown"]]
        assert shown == [one.label for one in page.series(analysis.group)]
        looks = [core["combinations"][number]["look"] for number in board["shown"]]
        assert len({(one.color, one.marker) for one in looks}) == len(looks)


def test_every_marker_of_a_figure_has_a_glyph_and_a_shape() -> None:
    source = (Path(content_module.__file__).parent / "assets" / "charts.js").read_text(encoding="utf-8")
    for name in ("GLYPHS", "SHAPES"):
        (block,) = re.findall(rf"const {name} = \{{(.*?)\}};", source, flags=re.DOTALL)
        assert set(re.findall(r'(?:^|[,{\s])"?([\w^])"?: "', block)) == {Look().marker, *MARKERS}


# --- differences ----------------------------------------------------------------------------------------------------


def pairs(found: Differences) -> dict[tuple[int, int], tuple[str, str, int]]:
    every = itertools.combinations(found.rows, 2)
    return dict(zip(every, zip(found.texts, found.p, found.runs, strict=True), strict=True))


@pytest.mark.parametrize("name", ["quick", "report-schmidt-fast"])
def test_the_differences_of_two_rows_are_those_of_the_comparison_and_of_the_table(name: str) -> None:
    made = load(next(folder for folder in COMMITTED if folder.name == name))
    for table, its in every_table(made):
        found = pairs(its.differences)
        assert len(found) == len(table.rows) * (len(table.rows) - 1) / 2
        reference = next(i for i, row in enumerate(table.rows) if row.label == table.reference)
        for i, row in enumerate(table.rows):
            if i < reference:
                assert found[i, reference][0] == cell_text.delta_text(row)
        first, last = table.rows[0], table.rows[-1]
        compared = compare_combinations(made.records, last.label, first.label, table.ranking.name)
        line = next(line for line in compared.lines if line.factor == table.factor)
        text, p, runs = found[0, len(table.rows) - 1]
        assert text.removesuffix(" *") == cell_text.signed(line.difference.mean) + cell_text.half_text(line.difference)
        assert text.endswith(" *") == (line.p < 0.05)
        assert (p, runs) == (p_text(line.p), line.difference.n)


def test_a_long_table_keeps_the_differences_of_its_first_rows_and_of_the_reference(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(differences_module, "MOST", 2)
    rows = {"baseline": 0.5, "a": 0.7, "b": 0.65, "c": 0.6}
    records = [
        record({} if name == "baseline" else {"mix": name}, seed=s, scores={"top1": top1 + s * 0.01 + (s == 1) * top1 / 50})
        for name, top1 in rows.items() for s in range(3)
    ]  # fmt: skip
    (table,) = report_content(loaded(records)).core["boards"][0]["tables"]
    assert table.differences.rows == [0, 1, 3]
    assert [text.split(" ±")[0] for text in table.differences.texts] == ["+5.0", "+20.1", "+15.1"]


def test_one_run_of_each_has_differences_without_a_test() -> None:
    made = loaded([record(), record({"mix": "mixup"}, scores={"top1": 0.8})])
    (table,) = report_content(made).core["boards"][0]["tables"]
    assert all("±" not in text and "*" not in text for text in table.differences.texts)
    assert table.differences.p == [""]


def test_effects_have_the_marks_of_the_page() -> None:
    made = load(next(folder for folder in COMMITTED if folder.name == "quick"))
    (analysis,) = analyse(group_records(made.records, made.facts.metric, made.columns))
    shown = report_content(made).core["boards"][0]["effects"]
    assert [one.text.endswith("*") for one in shown] == [one.separated for one in (*analysis.effects, *analysis.pairs)]
    # An interval that leaves out zero does not seem to end there.
    assert not any("0.0" in one.interval.split(" to ") for one in shown if one.sure)
    assert any(one.sure for one in shown)
    assert not all(one.sure for one in shown)


def test_techniques_that_were_never_varied_alone_say_so() -> None:
    records = [record(t, seed=s) for t in ({}, {"mix": "mixup", "view": "tta"}) for s in range(3)]
    (board,) = report_content(loaded(records)).core["boards"]
    assert board["inseparable"] == [
        "mixup and tta were not varied independently, so their effects cannot be separated."
    ]
    fraction = [
        {},
        {"mix": "mixup", "view": "tta"},
        {"mix": "mixup", "loss": "focal"},
        {"view": "tta", "loss": "focal"},
    ]
    records = [record(t, seed=s, scores={"top1": 0.5 + s / 50 + len(t) / 10}) for t in fraction for s in range(3)]
    (board,) = report_content(loaded(records)).core["boards"]
    assert {one.over for one in board["effects"]} == {
        "least squares, aliased with focal × tta", "least squares, aliased with mixup × tta",
        "least squares, aliased with mixup × focal",
    }  # fmt: skip


def test_the_first_cost_counts_passes_which_no_machine_changes() -> None:
    """Two hundred test images in each of ten classes; tta predicts each twice, an ensemble of two trains twice."""
    cost = {"samples": 1000, "macs": 50, "train_seconds": 9.0}
    records = [
        record(cost=cost),
        record({"view": "tta"}, cost=cost | {"macs": 100, "train_seconds": 1.0}),
        record({"ensemble": "stacking"}, cost=cost | {"samples": 2000, "macs": 100}),
        record({"mix": "mixup"}, cost={"train_seconds": 5.0}),
    ]
    content = report_content(loaded(records))
    assert content.core["costs"][0]["cost"] == "passes"
    table = content.core["boards"][0]["tables"][0]
    labels = [content.core["combinations"][number]["label"] for number in table.combinations]
    costs = dict(zip(labels, table.costs["passes"], strict=True))
    assert costs == {"baseline": 5000, "tta": 7000, "stacking": 10_000, "mixup": None}
