"""What a reader does with a report, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import synthetic
from playwright.sync_api import Locator, Page, expect
from reports import each_committed_page, loaded
from synthetic import record

from ltbench.leaderboard.html import content, differences
from ltbench.leaderboard.html.document import document
from ltbench.leaderboard.page.answer import answer
from ltbench.leaderboard.publish import load
from ltbench.leaderboard.statistics.analysis import analyse
from ltbench.leaderboard.statistics.effects import Effect
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record, plain_values, seal, validate
from ltbench.suite.published import Reported
from ltbench.verification.rerun import command_of

ERROR = {
    "type": "JobFailed",
    "message": "loss is not finite",
    "job": "j",
    "log": "Traceback\n  <b>here</b>\nValueError",
}
HOSTILE = "</script><script>window.hacked=1</script><!-- \"'&amp; Ünïcødé 日本"


def detailed(records: list[Record]) -> list[Record]:
    """Return the records with curves, confusion matrices and accuracies by class that tell them apart."""
    made = []
    for number, one in enumerate(records):
        right = [(number * 7 + c * 11) % 150 for c in range(10)]
        confusion = [
            [right[t] if t == p else (200 - right[t] if p == (t + 1) % 10 else 0) for p in range(10)] for t in range(10)
        ]
        changes = {
            "confusion": confusion,
            "per_class": {"accuracy": [n / 200 for n in right], "support": [200] * 10},
            "curve": {"epoch": [1.0, 2.0, 3.0], "loss": [2.0, 1.0, 0.5], "accuracy": [0.3, 0.5, 0.7], "lr": [0.1, 0.1, 0.0]},
            "cost": one.cost | {"train_seconds": 10.0 * (1 + len(one.techniques)) + number % 3},
        }  # fmt: skip
        made.append(validate(seal(plain_values(one) | changes)))
    return made


@pytest.fixture(scope="module")
def quick() -> list[Record]:
    made = detailed(synthetic.suite())
    failing = next(
        r for r in made if r.label == "mixup + tta" and r.setting.imbalance_factor == 50 and r.setting.seed == 2
    )
    failed = record(dict(failing.techniques), 50.0, 2, error=ERROR)
    return [failed if r is failing else r for r in made]


@pytest.fixture(scope="module")
def file(quick: list[Record], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    with pytest.MonkeyPatch.context() as patch:
        real = content.effects
        patch.setattr(content, "effects", lambda _, unit: real(EFFECTS, unit))
        file.write_text(document(loaded(quick)), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Return a function that makes the report of a folder, once."""
    made: dict[Path, Path] = {}

    def report(folder: Path) -> Path:
        if folder not in made:
            made[folder] = tmp_path_factory.mktemp("committed") / "report.html"
            made[folder].write_text(document(load(folder)), encoding="utf-8")
        return made[folder]

    return report


@pytest.fixture
def page(visit: Callable[..., Page], file: Path) -> Page:
    return visit(file)


def effect(techniques: tuple[str, ...], mean: float, ends: tuple[float, float] | None, n: int, contexts: int) -> Effect:
    low, high = ends or (None, None)
    p = None if ends is None else 0.01 if ends[0] > 0 or ends[1] < 0 else 0.5
    return Effect(
        techniques=techniques,
        factor=None,
        mean=mean,
        low=low,
        high=high,
        n=n,
        contexts=contexts,
        cells=n * contexts,
        p=p,
    )


EFFECTS = [
    effect(("mixup",), -0.025, (-0.03, -0.02), 3, 8),
    effect(("tta",), 0.005, (-0.005, 0.015), 3, 8),
    effect(("mixup", "tta"), 0.0125, None, 1, 4),
]


def labels(page: Page) -> list[str]:
    return page.locator("#table tbody th.name button").all_inner_texts()


def column(page: Page, heading: str) -> list[str]:
    """Return the texts of a column as they stand in the rows."""
    heads = page.locator("#table thead th")
    place = next(i for i in range(heads.count()) if heads.nth(i).get_attribute("data-heading") == heading)
    return [
        row.locator("th, td").nth(place).inner_text().replace("\n", " ")
        for row in page.locator("#table tbody tr").all()
    ]


def header(page: Page, heading: str) -> Locator:
    return page.locator(f'#table thead th[data-heading="{heading}"]')


def at_factor(page: Page, name: str) -> None:
    page.locator("#places label").get_by_text(name, exact=True).click()


def drawn(page: Page, section: str, number: int = 1) -> Locator:
    """Return the pictures of a section, once there are `number` of them."""
    pictures = page.locator(f"{section} .plotting svg")
    expect(pictures).to_have_count(number)
    return pictures


# --- the table ------------------------------------------------------------------------------------------------------


def test_the_report_opens_with_the_answer(page: Page, quick: list[Record]) -> None:
    made = loaded(quick)
    analyses = analyse(group_records(made.records, made.facts.metric, made.columns))
    assert page.title() == "Four techniques"
    assert page.locator("#answer .answer p").all_inner_texts() == answer(made.boards, analyses)
    assert page.get_by_role("region", name="Answer").count() == 1
    expect(page.locator("#best")).to_be_hidden()  # the answer has named the best row over all factors
    assert len(labels(page)) == 16


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844)])
@each_committed_page
def test_the_first_screen_of_a_committed_report_has_title_answer_and_figure(
    visit: Callable[..., Page], reports: Callable[[Path], Path], folder: Path, width: int, height: int
) -> None:
    page = visit(reports(folder), width=width)
    figure = drawn(page, "#figure").first
    boxes = [page.locator(where).bounding_box() for where in ("h1", "#answer .answer")]
    assert all(box is not None and box["y"] + box["height"] <= height for box in boxes)
    box = figure.bounding_box()
    assert box is not None
    seen = min(height - box["y"], box["height"])
    assert seen >= (box["height"] if width == 1280 else 100)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert (page.locator("#figure .plotting").get_attribute("aria-label") or "").startswith(
        ("Line chart. ", "Dot chart. ")
    )


def test_the_figure_has_the_numbers_of_the_tables(page: Page) -> None:
    figure = page.locator("#figure figure")
    figure.locator("summary").click()
    expect(figure.locator("tbody tr")).not_to_have_count(0)
    shown = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in figure.locator("tbody tr").all()
    }
    assert "baseline" in shown
    for place, factor in enumerate(("10", "50", "100")):
        at_factor(page, factor)
        numbers = dict(zip(labels(page), column(page, "top-1"), strict=True))
        for label, texts in shown.items():
            assert texts[place] == numbers[label]


def test_a_combination_has_one_mark_everywhere(page: Page) -> None:
    drawn(page, "#figure")
    legend = page.locator("#figure .legend li").filter(has_text=re.compile(r"^\S*mixup$")).locator(".mark")
    wanted = legend.inner_text(), legend.evaluate("one => getComputedStyle(one).color")
    page.get_by_label("Compare mixup", exact=True).check()
    for where in (
        "#table tr:has([aria-label='Compare mixup'])",
        "#tray .chip:has-text('mixup')",
        "#compare .chip:has-text('mixup')",
    ):
        mark = page.locator(f"{where} .mark").last
        expect(mark).to_have_text(wanted[0])
        assert mark.evaluate("one => getComputedStyle(one).color") == wanted[1]
    for section in ("#figure", "#compare", "#cost"):
        assert (
            page.locator(f'{section} svg path[fill="{wanted[1]}"]').count()
            + page.locator(f'{section} svg path[stroke="{wanted[1]}"]').count()
        )


def test_the_list_of_ticked_rows_stays_in_sight_once_the_reader_ticks(page: Page) -> None:
    assert page.locator("#tray").evaluate("one => getComputedStyle(one).position") == "static"
    page.get_by_label("Compare tta", exact=True).check()
    assert page.locator("#tray").evaluate("one => getComputedStyle(one).position") == "sticky"


def test_a_row_that_may_be_the_best_has_a_filled_dot_where_rows_are_tested(page: Page) -> None:
    ranks = column(page, "rank")
    assert page.locator("#table .may-be-best").count() == sum(text.split("–")[0] == "1" for text in ranks)
    at_factor(page, "100")
    page.get_by_label("Metric", exact=True).select_option(label="Worst-class accuracy")
    assert not page.locator("#table .may-be-best").count()


def test_published_numbers_are_grey_rows_below_their_own(opened: Callable[..., Page]) -> None:
    reported = (
        Reported(source="Table 1", techniques=("mixup",), imbalance_factor=10.0, value=0.99, note=HOSTILE),
        Reported(source="Table 2", techniques=("focal",), imbalance_factor=10.0, value=0.98),
    )
    facts = SuiteFacts(name="quick", reported=reported, columns=synthetic.COLUMNS)
    page = opened(synthetic.suite(factors=(10.0,), seeds=(0, 1, 2), names=("mixup", "tta")), facts)
    rows, grey = page.locator("#table tbody tr"), page.locator("#table tr.published")

    def names() -> list[str]:
        return [text.split("\n")[0] for text in rows.locator("th").all_inner_texts()]

    assert grey.count() == 2
    assert names()[names().index("mixup") + 1] == "↳ reported, Table 1"
    assert names()[-1] == "focal: reported, Table 2"
    assert HOSTILE in grey.first.inner_text()
    assert not grey.locator("input, button").count()
    muted = page.evaluate("getComputedStyle(document.querySelector('.count')).color")
    assert grey.first.locator("td").last.evaluate("one => getComputedStyle(one).color") == muted
    expect(page.locator("#count")).to_have_text("4 combinations")
    header(page, "techniques").locator("button").click()
    assert names()[names().index("mixup") + 1] == "↳ reported, Table 1"
    page.get_by_label("Search").fill("tta")
    assert not grey.count()
    page.get_by_label("Search").fill("mixup -tta")
    assert names() == ["mixup", "↳ reported, Table 1"]


def test_the_row_that_others_are_compared_with_is_marked(page: Page) -> None:
    assert page.locator("#table tr.reference th.name button").all_inner_texts() == ["baseline"]


def test_a_click_on_a_header_sorts_and_says_so(page: Page) -> None:
    assert header(page, "rank").get_attribute("aria-sort") == "ascending"
    header(page, "techniques").locator("button").click()
    assert header(page, "techniques").get_attribute("aria-sort") == "ascending"
    assert header(page, "rank").get_attribute("aria-sort") is None
    assert labels(page) == sorted(labels(page))
    header(page, "techniques").locator("button").click()
    assert header(page, "techniques").get_attribute("aria-sort") == "descending"
    assert labels(page) == sorted(labels(page), reverse=True)


def test_a_score_is_sorted_by_its_number_and_the_best_comes_first(page: Page) -> None:
    at_factor(page, "50")
    page.get_by_label("Columns", exact=True).select_option(label="all of them")
    for heading, is_high_good in (("many", True), ("worst", True), ("n", True)):
        header(page, heading).locator("button").click()
        numbers = [float(text.split("/")[0]) for text in column(page, heading)]
        assert numbers == sorted(numbers, reverse=is_high_good)
        assert len(set(numbers)) > 1


def test_what_has_no_number_comes_last_in_both_directions(opened: Callable[..., Page]) -> None:
    records = [
        record(scores={"top1": 0.6}),
        record({"mix": "mixup"}, error=ERROR),
        record({"view": "tta"}, scores={"top1": 0.7}),
    ]
    page = opened(records)
    button = header(page, "top-1").locator("button")
    button.click()
    assert labels(page) == ["tta", "baseline", "mixup"]
    button.click()
    assert labels(page) == ["baseline", "tta", "mixup"]
    assert column(page, "top-1")[-1] == "FAILED"


def test_the_keyboard_alone_sorts_ticks_and_opens(page: Page) -> None:
    header(page, "n").locator("button").focus()
    page.keyboard.press("Enter")
    assert header(page, "n").get_attribute("aria-sort") == "descending"
    assert page.evaluate("document.activeElement.closest('th').dataset.heading") == "n"  # the focus stays where it was
    page.locator("#table tbody tr").nth(3).locator("input").focus()
    page.keyboard.press("Space")
    expect(page.locator("#table tbody tr").nth(3).locator("input")).to_be_checked()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()
    assert page.evaluate("document.activeElement.className") == "link"


def test_rows_are_filtered_by_stage_technique_and_text(page: Page) -> None:
    page.locator("#stage-sampler").select_option(label="cb_sampler")
    assert len(labels(page)) == 8
    assert all("cb_sampler" in label for label in labels(page))
    page.locator("#stage-mix").select_option(label="baseline only")
    assert sorted(labels(page)) == [
        "cb_sampler",
        "cb_sampler + label_smooth",
        "cb_sampler + label_smooth + tta",
        "cb_sampler + tta",
    ]
    page.get_by_label("Search").fill("tta -label_smooth")
    assert labels(page) == ["cb_sampler + tta"]
    expect(page.locator("#count")).to_have_text("1 of 16 combinations")
    page.get_by_role("button", name="Clear filters").click()
    assert len(labels(page)) == 16
    page.locator("#stage-view").select_option(label="any technique")
    assert len(labels(page)) == 8


def test_the_imbalance_factor_and_the_metric_change_the_table(page: Page) -> None:
    at_factor(page, "100")
    expect(page.locator("#best")).to_contain_text("Best at imbalance factor 100: ")
    expect(page.locator("#table caption")).to_contain_text("Imbalance factor 100")
    page.get_by_label("Metric", exact=True).select_option(label="Worst-class accuracy")
    assert page.locator("#table thead th").nth(3).get_attribute("data-heading") == "worst"
    assert re.fullmatch(r"\d+\.\d ± \d+\.\d", column(page, "worst")[0])
    assert not page.locator('th[data-heading="ECE"]').count()
    page.get_by_label("Columns", exact=True).select_option(label="all of them")
    assert page.locator('th[data-heading="ECE"]').count() == 1


def test_runs_that_are_lacking_and_cells_that_failed_are_said_on_the_row(page: Page) -> None:
    page.get_by_label("Search").fill("failed")
    assert labels(page) == ["mixup + tta"]
    assert "2 of 3 runs at every factor" in page.locator("#table tbody th.name").inner_text()
    assert "1 cell failed" in page.locator("#table tbody th.name").inner_text()
    assert column(page, "n")[0].startswith("2/3")


# --- comparisons and charts -----------------------------------------------------------------------------------------


def test_ticked_rows_are_compared_side_by_side(page: Page) -> None:
    drawn(page, "#compare", 5)  # classes, two curves, and two matrices: the baseline and the best are ticked
    page.get_by_label("Compare tta", exact=True).check()
    drawn(page, "#compare", 6)
    expect(page.locator("#compare .matrices figcaption")).to_contain_text(["baseline", "+", "tta"])
    expect(page.locator("#tray")).to_contain_text("3 of 6 ticked")
    page.get_by_role("button", name="Untick all").click()
    expect(page.locator("#compare-body")).to_contain_text("Tick rows")


def test_the_differences_of_ticked_rows_are_those_of_the_table(page: Page) -> None:
    shown = page.locator("#compare .differences tbody tr")
    deltas = dict(zip(labels(page), column(page, "Δ"), strict=True))
    best = labels(page)[0]
    expect(shown).to_have_count(1)
    assert shown.first.inner_text().split("\t")[:3] == [best, "baseline", deltas[best]]
    page.get_by_label("Compare tta", exact=True).check()
    expect(shown).to_have_count(3)
    found = {tuple(row.inner_text().split("\t")[:2]): row.inner_text().split("\t")[2] for row in shown.all()}
    assert found["tta", "baseline"] == deltas["tta"]
    assert (best, "tta") in found
    at_factor(page, "50")
    expect(page.locator("#compare .differences caption")).to_contain_text("at imbalance factor 50")
    deltas = dict(zip(labels(page), column(page, "Δ"), strict=True))
    found = {tuple(row.inner_text().split("\t")[:2]): row.inner_text().split("\t")[2] for row in shown.all()}
    assert found["tta", "baseline"] == deltas["tta"]


def test_a_difference_that_the_file_does_not_have_says_so(
    opened: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(differences, "MOST", 1)
    page = opened(synthetic.suite(factors=(10.0,), seeds=(0, 1), names=("mixup", "tta")))
    for _ in range(2):
        page.locator("#table tbody input:not(:checked)").first.click()
    expect(page.locator("#compare .differences tbody tr")).to_have_count(6)
    rows = [row.inner_text().split("\t") for row in page.locator("#compare .differences tbody tr").all()]
    kept = {labels(page)[0], "baseline"}
    for first, second, text, *_ in rows:
        assert (text != "not in this file") == ({first, second} <= kept)


def test_no_more_rows_are_ticked_than_colours_tell_apart(page: Page) -> None:
    for _ in range(4):
        page.locator("#table tbody input:not(:checked)").first.click()
    assert page.locator("#table tbody input:not(:checked):not(:disabled)").count() == 0
    page.get_by_role("button", name="Stop comparing baseline").click()
    assert page.locator("#table tbody input:not(:checked):not(:disabled)").count() == 11


def test_a_chart_says_what_it_shows_and_has_its_numbers_as_a_table(page: Page, quick: list[Record]) -> None:
    figure = page.locator("#compare figure").first
    assert "Line chart of the accuracy of 10 classes: " in (
        figure.locator(".plotting").get_attribute("aria-label") or ""
    )
    figure.locator("summary").click()
    runs = [r for r in quick if not r.techniques and r.setting.imbalance_factor == 100]
    head = [f"{100 * sum(r.per_class['accuracy'][c] for r in runs) / 3:.1f}" for c in (0, 9)]
    rows = figure.locator("tbody tr")
    expect(rows).to_have_count(10)
    assert rows.nth(0).locator("td").all_inner_texts()[:2] == ["600", head[0]]
    assert rows.nth(9).locator("td").all_inner_texts()[:2] == ["6", head[1]]
    for picture in page.locator(".plotting").all():
        assert picture.get_attribute("role") == "img"
        assert len(picture.get_attribute("aria-label") or "") > 20


def test_the_confusion_matrix_is_the_sum_over_runs(page: Page, quick: list[Record]) -> None:
    drawn(page, "#compare", 5)
    page.locator("#compare figure").first.evaluate("figure => { figure.id = 'before' }")
    page.get_by_role("combobox", name="Imbalance factor").select_option("10")
    expect(page.locator("#before")).to_have_count(0)
    figure = page.locator("#compare .matrices figure").first
    expect(figure).to_contain_text("3 runs")
    figure.locator("summary").click()
    total = sum(next(r.confusion.rows())[0] for r in quick if not r.techniques and r.setting.imbalance_factor == 10)
    expect(figure.locator("tbody tr").first.locator("td").first).to_have_text(str(total))


def test_the_pareto_front_is_as_worked_by_hand(opened: Callable[..., Page]) -> None:
    cells = [
        ({}, 60.0, 10),
        ({"mix": "mixup"}, 59.0, 20),
        ({"view": "tta"}, 70.0, 30),
        ({"loss": "focal"}, 70.0, 40),
        ({"loss": "ldam"}, 80.0, 500),
    ]
    # Times that would turn the front around, as on a machine that was doing something else.
    records = [
        record(
            t, scores={"top1": top1 / 100}, cost={"samples": s, "macs": 7, "train_seconds": 1000.0 - s, "parameters": 9}
        )
        for t, top1, s in cells
    ]
    page = opened(records)
    drawn(page, "#cost")
    assert [text.split()[0] for text in page.locator("#cost ol li").all_inner_texts()] == ["baseline", "tta", "ldam"]
    page.get_by_label("Cost", exact=True).select_option(label="Training time, s")
    assert [text.split()[0] for text in page.locator("#cost ol li").all_inner_texts()] == ["ldam"]
    page.get_by_label("Cost", exact=True).select_option(label="Parameters")
    assert [text.split()[0] for text in page.locator("#cost ol li").all_inner_texts()] == ["ldam"]


def test_the_heat_map_has_main_effects_and_interactions(page: Page) -> None:
    picture = drawn(page, "#effects")
    assert {"+0.5", "−2.5", "+1.2"} <= set(picture.locator("text").all_text_contents())
    assert "tta +0.5 (−0.5 to +1.5); mixup −2.5 * (−3.0 to −2.0)" in page.locator("#effects .plotting").get_attribute(
        "aria-label"
    )
    page.locator("#effects summary").click()
    assert page.locator("#effects figure tbody tr").last.inner_text().split("\t") == [
        "mixup with tta",
        "+1.2",
        "no test",
        "1",
        "4 combinations",
    ]


def test_dark_and_light_follow_the_system_and_the_switch(visit: Callable[..., Page], file: Path) -> None:
    page = visit(file, scheme="dark")

    def look() -> tuple[str, str | None]:
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return background, drawn(page, "#effects").locator("text").first.get_attribute("fill")

    assert look()[0] == "rgb(19, 21, 25)"
    dark = look()
    drawn(page, "#compare", 5)
    assert page.locator('#compare path[stroke="rgb(163, 163, 163)"]').count()
    button = page.get_by_role("button", name="Dark")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    expect(page.locator("#effects .plotting svg text").first).not_to_have_attribute("fill", dark[1])
    assert look()[0] == "rgb(250, 250, 248)"
    # The colours of what is compared change, too, and not only those of axes.
    expect(page.locator("#compare figure").first.locator('path[stroke="rgb(107, 107, 107)"]').first).to_be_attached()
    assert not page.locator('#compare path[stroke="rgb(163, 163, 163)"]').count()
    page.wait_for_timeout(500)  # Chromium writes what a page keeps behind its back
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert look()[0] == "rgb(250, 250, 248)"
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("#effects .plotting svg text").first).to_have_attribute("fill", dark[1])


# --- where a number comes from ---------------------------------------------------------------------------------------


def test_a_row_leads_to_configuration_environment_plugins_and_command(page: Page, quick: list[Record]) -> None:
    page.get_by_role("button", name="cb_sampler + tta", exact=True).click()
    dialog = page.get_by_role("dialog", name="cb_sampler + tta")
    cells = [r for r in quick if r.label == "cb_sampler + tta"]
    expect(dialog.locator("button[data-cell]")).to_have_count(9)
    wanted = next(r for r in cells if r.setting.imbalance_factor == 50 and r.setting.seed == 1)
    dialog.get_by_role("button", name=wanted.id[:12]).click()
    expect(dialog.locator("h3")).to_have_text(f"Cell {wanted.id}")
    expect(dialog.locator(".command")).to_have_text(command_of(wanted))
    facts = {
        row.locator("dt").inner_text(): row.locator("dd").inner_text() for row in dialog.locator(".pairs div").all()
    }
    assert (facts["sampler"], facts["view"], facts["python"], facts["epochs"]) == ("cb_sampler", "tta", "3.12", "20")
    assert "ltbench 0.1.0" in dialog.get_by_role("table", name="Plugins").inner_text()
    dialog.get_by_text("Exactly, as").click()
    exact = msgspec.json.decode(dialog.locator("details pre").inner_text())
    assert exact == {"spec": wanted.spec, "fits": wanted.fits}
    assert wanted.digest in dialog.inner_text()


def test_a_failed_cell_shows_its_error_and_log(page: Page) -> None:
    page.get_by_text("Failed: 1 row").scroll_into_view_if_needed()
    page.locator("#about").get_by_role("button", name="mixup + tta").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".problem")).to_have_text("JobFailed: loss is not finite")
    expect(dialog.locator("details[open] pre")).to_have_text(ERROR["log"])
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


def test_it_is_said_who_vouches_for_the_numbers(visit: Callable[..., Page], file: Path) -> None:
    expect(visit(file).locator("#about .provenance")).to_contain_text("self-reported")


def test_an_address_leads_to_a_cell(visit: Callable[..., Page], file: Path, quick: list[Record]) -> None:
    wanted = quick[40]
    page = visit(file, fragment=f"#cell-{wanted.id[:10]}")
    expect(page.get_by_role("dialog").locator("h3")).to_have_text(f"Cell {wanted.id}")


# --- whatever records hold ------------------------------------------------------------------------------------------


def test_text_of_records_is_never_markup(opened: Callable[..., Page]) -> None:
    names = [HOSTILE, *"bcdefghij"]
    facts = SuiteFacts(name="quick", title=HOSTILE, question=HOSTILE, notes=HOSTILE, command=HOSTILE)
    error = ERROR | {"message": HOSTILE, "log": HOSTILE}
    mixed = record({"mix": "mixup"}, notes=[HOSTILE], environment={HOSTILE: HOSTILE}, classes=names)
    page = opened([*detailed([record(classes=names), mixed]), record({"view": "tta"}, error=error)], facts)
    assert page.evaluate("window.hacked") is None
    assert page.title() == " ".join(HOSTILE.split())
    expect(page.locator("h1")).to_have_text(HOSTILE)
    expect(page.locator("#table small").first).to_have_text(HOSTILE)
    drawn(page, "#compare", 5)
    page.locator("#compare figure summary").first.click()
    expect(page.locator("#compare figure tbody th").first).to_have_text(HOSTILE)
    page.get_by_role("button", name="tta", exact=True).first.click()
    expect(page.locator("dialog details pre").first).to_have_text(HOSTILE)
    assert page.evaluate("window.hacked") is None


def never_predicted() -> list[Record]:
    confusion = [[0 if p == 9 else 20 + (10 if p == t else 0) for p in range(10)] for t in range(10)]
    accuracy = [*[30 / 210] * 9, 0.0]
    return [
        record({}, seed=s, confusion=confusion, per_class={"accuracy": accuracy, "precision": [None] * 10})
        for s in range(2)
    ]


def thousand_classes() -> list[Record]:
    names = [f"class {c}" for c in range(1000)]
    matrix = [[2 if p == t else 1 if p == (t + 1) % 1000 else 0 for p in range(1000)] for t in range(1000)]
    accuracy = [1 - c / 2000 for c in range(1000)]
    return [record(classes=names, confusion=matrix, per_class={"accuracy": accuracy})]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (list, "No results yet"),
        (lambda: [record()], "only row with a number"),
        (lambda: [record(), record({"mix": "mixup"}, scores={"top1": 0.8})], "no difference can be tested"),
        (never_predicted, "only row with a number"),
        (lambda: [record(error=ERROR), record({"mix": "mixup"}, error=ERROR)], "No combination has a number"),
        (lambda: [record(scores={"top1": None}), record({"mix": "mixup"})], "only row with a number"),
        (
            lambda: [record(), record(dataset="cifar10"), record({"mix": "mixup"}, epochs=7)],
            "the baseline is the only row",
        ),
    ],
    ids=["empty", "single", "one_seed", "never_predicted", "all_failed", "undefined", "several_boards"],
)
def test_a_report_of_little_is_sensible(
    opened: Callable[..., Page], make: Callable[[], list[Record]], says: str
) -> None:
    page = opened(make(), width=400)
    expect(page.locator("#answer")).to_contain_text(says)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400  # it scrolls nowhere but in the table


def test_a_thousand_classes_are_drawn_in_groups(opened: Callable[..., Page]) -> None:
    page = opened(thousand_classes())
    expect(page.locator("#compare .matrices canvas")).to_have_count(1)
    expect(page.locator("#compare .plotting").first).to_have_attribute(
        "aria-label", re.compile("100 groups of 10 classes")
    )
    expect(page.locator("#compare .matrices .plotting").first).to_have_attribute(
        "aria-label", re.compile("100 groups of classes")
    )


def test_a_board_is_chosen_where_there_are_several(opened: Callable[..., Page]) -> None:
    page = opened([record(), record(dataset="cifar10"), record({"mix": "mixup"}, dataset="cifar10")])
    assert labels(page) == ["baseline", "mixup"]
    figure = page.locator("#figure .plotting")
    expect(figure).to_have_attribute("aria-label", re.compile("mixup: "))
    page.get_by_label("Board", exact=True).select_option(index=1)
    assert labels(page) == ["baseline"]
    expect(figure).not_to_have_attribute("aria-label", re.compile("mixup: "))


def test_it_prints_the_table_in_light_colours(visit: Callable[..., Page], file: Path) -> None:
    page = visit(file, scheme="dark")
    drawn(page, "#cost")
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 29, 33)"
    expect(page.locator("#filters")).to_be_hidden()
    expect(page.locator("#table table")).to_be_visible()
