from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
import synthetic
from synthetic import boards, raw, record

from ltbench.leaderboard.page.effects_section import effect_lines
from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.page.terminal import leaderboard_text
from ltbench.leaderboard.statistics.analysis import analyse
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.csv import effects_csv, table_csv
from ltbench.leaderboard.tables.markdown import escape, fenced, plain_table
from ltbench.leaderboard.tables.table import make_boards
from ltbench.records.record import Record, plain_values, seal, sort_key, validate

FACTS = SuiteFacts(
    name="quick", title="Four techniques", question="Which one\nhelps?", notes="The trainings are short.",
    command="ltbench run --suite quick", seeds=((0, 0), (1, 1), (2, 2)),
)  # fmt: skip
ERROR = {"type": "JobFailed", "message": "loss 'x' returned | NaN", "job": "j", "log": "Traceback\n```\nboom"}


def rendered(records: list[Record], facts: SuiteFacts = FACTS) -> str:
    ordered = sorted(records, key=sort_key)
    return page(facts, ordered, boards(ordered, facts.seeds))


def lines_of(text: str, label: str) -> list[str]:
    """Return the table lines of one combination, each as cells with white space folded."""
    rows = [
        [cell.strip().replace("\xa0", " ").replace("\u2060", "") for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if "|" in line
    ]
    return ["|".join(row) for row in rows if len(row) > 5 and re.sub(r" <sup>.*|\*", "", row[1]) == label]


@pytest.fixture(scope="module")
def quick() -> list[Record]:
    return synthetic.suite()


def test_the_page_has_what_a_reader_asks_for(quick: list[Record]) -> None:
    text = rendered(quick)
    assert text.startswith("# Four techniques\n\nWhich one helps?\n\n")
    assert "> The trainings are short.\n" in text
    assert "```sh\nltbench run --suite quick\n```" in text
    for expected in (
        "### Imbalance factor 10\n", "### Imbalance factor 100\n", "Protocol `ltb1`",
        "self-reported", "[`table.csv`](table.csv)", "batch_size=64", "realised imbalance 100.0", "1,485 in all",
        "24.2 k parameters", "29,700 training images seen", "| cb_sampler", "ltbench 0.1.0",
    ):  # fmt: skip
        assert expected in text, expected
    assert "Missing cells" not in text
    assert "Failures" not in text


def test_the_same_records_in_any_order_are_the_same_bytes(quick: list[Record]) -> None:
    records = list(quick)
    expected = rendered(records), table_csv(boards(records, FACTS.seeds))
    for seed in range(4):
        random.Random(seed).shuffle(records)
        assert (rendered(records), table_csv(boards(records, FACTS.seeds))) == expected


def test_no_measured_second_and_no_date_is_on_the_page(quick: list[Record]) -> None:
    slower = [
        validate(seal(raw(dict(r.techniques), r.setting.imbalance_factor, r.setting.seed, r.metrics,
                          cost=r.cost | {"train_seconds": 999.0}, environment={"python": "3.99"})))
        for r in quick
    ]  # fmt: skip
    assert slower[0] != quick[0]
    assert rendered(slower) == rendered(quick)


def test_cells_of_a_row_are_as_worked_by_hand() -> None:
    records = [record(scores={"top1": 0.60 + 0.01 * s}, seed=s) for s in range(3)]
    records += [record({"mix": "mixup"}, scores={"top1": 0.70 + 0.01 * s + 0.001 * (s == 1)}, seed=s) for s in range(3)]
    text = rendered(records)
    assert lines_of(text, "baseline") == ["2|*baseline*|61.0 ± 2.5|reference|80.0|70.0|50.0|40.0"]
    # Differences 10.0, 10.1 and 10.0: sd 0.0577, half 4.303 * 0.0577 / sqrt(3) = 0.14.
    assert lines_of(text, "mixup") == [r"1|mixup|**71.0** ± 2.5|+10.0 ± 0.1 \*|80.0|70.0|50.0|40.0"]
    rest = [line.replace(" ", "") for line in text.splitlines() if line.startswith("| *baseline*")]
    assert rest[1:] == ["|*baseline*|80.0|70.0|50.0|15.0|69.0|8.0|"]


def test_best_is_bold_by_what_is_shown_and_low_is_good_for_spread() -> None:
    records = [record(scores={"top1": 0.70004, "sd_classes": 0.2}), record({"mix": "mixup"}, scores={"top1": 0.70003})]
    text = rendered([*records, record({"view": "tta"}, scores={"top1": 0.6})])
    assert text.count("**70.0**") == 2
    assert "20.0" in text
    assert "**20.0**" not in text
    assert "**15.0**" in text


def test_a_failed_cell_links_to_its_log() -> None:
    text = rendered([record(seed=s) for s in range(3)] + [record({"loss": "x"}, seed=s, error=ERROR) for s in range(3)])
    (line,) = lines_of(text, "x")
    assert line.startswith("–|x <sup>1</sup>|[FAILED](#failure-1)|0/3 seeds|")
    assert "- <sup>1</sup> 0 of 3 runs; 3 cells failed: [failure 1](#failure-1)" in text
    assert "### Failure 1\n\nJobFailed: loss 'x' returned \\| NaN\n" in text
    assert "````\nTraceback\n```\nboom\n````" in text


def test_failures_of_one_reason_are_told_once() -> None:
    other = ERROR | {"message": "something else"}
    records = [record({"loss": "x"}, seed=0, error=ERROR), record({"loss": "x"}, seed=1, error=ERROR)]
    text = rendered([*records, record({"loss": "y"}, error=other)])
    assert text.count("### Failure") == 2


def test_a_row_that_failed_at_one_factor_fails_there_and_has_no_mean() -> None:
    records = [record(factor=f) for f in (10.0, 100.0)]
    records += [record({"loss": "x"}, 10.0, scores={"top1": 0.6}), record({"loss": "x"}, 100.0, error=ERROR)]
    text = rendered(records, SuiteFacts(name="s"))
    assert lines_of(text, "x")[0].startswith("–|x <sup>1</sup>|–|0/1 seeds||60.0|[FAILED](#failure-1)")


def test_missing_runs_are_named_and_not_imputed() -> None:
    text = rendered([record(seed=s) for s in range(3)] + [record({"mix": "mixup"}, seed=1)])
    assert lines_of(text, "mixup")[0].split("|")[3] == "1/3 seeds"
    assert "2 cells of the combinations above have no record:" in text
    assert "- mixup at imbalance factor 100 (fashion_mini): seed 0, seed 2" in text


def test_what_a_run_left_unfinished_is_said() -> None:
    assert "left 7 planned cells unfinished" in rendered([record()], SuiteFacts(name="s", unfinished=7))


def test_doubtful_combinations_carry_their_note() -> None:
    doubtful = validate(seal(raw({"mix": "mixup"}, notes=["mixup with x: corrects twice"])))
    text = rendered([record(), doubtful], SuiteFacts(name="s"))
    assert "| mixup <sup>1</sup>" in text
    assert "- <sup>1</sup> mixup with x: corrects twice" in text


def test_more_than_thirty_rows_are_folded() -> None:
    records = [record({"mix": f"mix_{i:02}"}, scores={"top1": 0.5 + i / 1000}) for i in range(35)]
    text = rendered(records, SuiteFacts(name="s"))
    before, after = text.split("<details><summary>5 more rows</summary>")
    assert (len(re.findall(r"\| mix_\d\d", before)), len(re.findall(r"\| mix_\d\d", after))) == (30, 5 + 35 + 35)


def test_an_empty_store_is_a_page() -> None:
    text = rendered([])
    assert "No results yet." in text
    assert "ltbench run --suite quick" in text
    assert table_csv([]).startswith("protocol,dataset")
    assert "no results yet" in leaderboard_text(FACTS, [], [], 80)


def test_a_suite_with_nothing_but_a_name_is_a_page() -> None:
    assert rendered([], SuiteFacts(name="s_1")) == "# s_1\n\nNo results yet.\n"


ODD = {
    "one seed": [record()],
    "a single failed cell": [record(error=ERROR)],
    "a class never predicted": [record(scores={"worst_class": 0.0, "few": 0.0})],
    "undefined scores": [record(scores=dict.fromkeys(synthetic.SCORES, None) | {"top1": 0.5})],
    "non-ASCII class names": [record(classes=("猫", "Hündin", "🐦"))],
    "1,000 classes": [record(classes=[f"c{i}" for i in range(1000)], seed=s) for s in range(2)],
    "markdown in names": [record({"mix": "mix[a=1]|*x*"})],
    "a record without data": [validate(seal(raw(data={}, per_class={}, cost={}, plugins=[])))],
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_records_make_sensible_pages(kind: str) -> None:
    text = rendered(ODD[kind])
    table = table_csv(boards(ODD[kind]))
    assert "nan" not in (text + table).lower().replace("returned \\| nan", "")
    assert "None" not in text
    for width in (20, 80, 160):
        shown = leaderboard_text(FACTS, ODD[kind], boards(ODD[kind]), width)
        assert shown.strip()
        if width >= 80:
            assert max(map(len, shown.splitlines())) <= width


def test_a_thousand_classes_are_summed_up_in_a_line() -> None:
    text = rendered(ODD["1,000 classes"])
    assert "1,000 classes of 600 to 6 training images" in text
    assert "200,000 test images" in text


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_the_terminal_table_fits_the_window(quick: list[Record], width: int) -> None:
    text = leaderboard_text(FACTS, quick, boards(quick, FACTS.seeds), width)
    assert max(map(len, text.splitlines())) <= width
    assert ("ECE" in text) == (width >= 100)
    assert "\x1b[" not in text
    assert "\x1b[1m" in leaderboard_text(FACTS, quick, boards(quick, FACTS.seeds), width, color=True)


def test_text_is_escaped_where_markdown_would_read_it() -> None:
    assert escape("a|b *c* _d_ cb_sampler <x> [y]\nz") == "a\\|b \\*c\\* \\_d\\_ cb_sampler \\<x\\> \\[y\\] z"
    assert fenced("a ```` b") == ["`````", "a ```` b", "`````"]


def test_tables_do_not_depend_on_how_wide_characters_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    import tabulate

    # What tabulate does once the optional package wcwidth is there: an ideograph is two columns wide.
    monkeypatch.setattr(tabulate, "wcwidth", SimpleNamespace(wcswidth=lambda text: 2 * len(text)), raising=False)
    monkeypatch.setattr(tabulate, "WIDE_CHARS_MODE", True)
    assert plain_table(["a"], [["猫猫猫"], ["abc"]]) == ["| a   |", "|:----|", "| 猫猫猫 |", "| abc |"]


def test_the_csv_is_whole_and_loads_in_one_line(quick: list[Record], tmp_path: Path) -> None:
    import pandas as pd

    (tmp_path / "table.csv").write_text(table_csv(boards(quick, FACTS.seeds)))
    frame = pd.read_csv(tmp_path / "table.csv")
    assert len(frame) == 16 * 4
    assert set(frame["imbalance_factor"]) == {"10", "50", "100", "all"}
    best = frame[frame["imbalance_factor"] == "100"].sort_values("top1").iloc[-1]
    assert best["sampler"] == "cb_sampler"
    assert best["separated_from_reference"] == "yes"
    assert frame["few"].isna().sum() == 16 * 2


def test_a_table_in_which_no_test_separates_anything_says_so(quick: list[Record]) -> None:
    sentence = "No row is significantly better than another."
    assert sentence in rendered([record(scores={"top1": 0.5}), record({"mix": "mixup"}, scores={"top1": 0.9})])
    assert sentence not in rendered(quick)
    assert sentence not in rendered([record()])


def test_rows_that_do_not_differ_significantly_share_a_range_of_ranks() -> None:
    values = {"cb": (0.80, 0.81, 0.82, 0.81), "mixup": (0.80, 0.80, 0.83, 0.81), None: (0.60, 0.61, 0.62, 0.605)}
    records = [
        record({"mix": name} if name else {}, seed=s, scores={"top1": v}) for name, row in values.items() for s, v in enumerate(row)
    ]  # fmt: skip
    ranks = {name: lines_of(rendered(records), name)[0].split("|")[0] for name in ("cb", "mixup", "baseline")}
    assert ranks == {"cb": "1–2", "mixup": "1–2", "baseline": "3"}


def test_the_page_says_how_many_more_seeds_would_tell_the_first_two_apart() -> None:
    # Differences 1, 0 and -0.4 points: mean 0.2, SD 0.721, d_z 0.277. R: power.t.test(delta = 0.2, sd = 0.721, power = 0.8,
    # type = "paired") gives n = 104.
    pairs = [(0.71, 0.70), (0.70, 0.70), (0.706, 0.71)]
    records = [record({"mix": "mixup"}, seed=s, scores={"top1": a}) for s, (a, _) in enumerate(pairs)]
    text = rendered(records + [record(seed=s, scores={"top1": b}) for s, (_, b) in enumerate(pairs)])
    assert "The first two rows differ by 0.2 ± 1.8." in text
    assert "about 101 more pairs of seeds make it significant in 80 % of all repetitions." in text
    assert "3 pairs give only the order of magnitude" in text


def test_one_pair_of_seeds_says_that_it_tells_nothing_apart() -> None:
    text = rendered([record(), record({"mix": "mixup"}, scores={"top1": 0.9})])
    assert "With one pair of seeds no difference can be tested" in text
    assert "It cannot be estimated: it takes at least 3 pairs of seeds" in text
    assert "Tests against the baseline" not in text


def test_a_factorial_suite_has_main_effects_interactions_and_variance(quick: list[Record]) -> None:
    text = rendered(quick)
    for heading in ("### What each technique adds", "### What pairs add", "<summary>Sources of variance</summary>"):
        assert heading in text
    rows = [re.sub(r"[\s\xa0\\]", "", line) for line in text.splitlines() if line.startswith("| cb_sampler ")]
    assert "with and without it (8 of them), over 3 pairs of seeds." in " ".join(text.split())
    assert any(re.fullmatch(r"\|cb_sampler\|\+\d+\.\d±\d\.\d\*\|.*", row) for row in rows), rows
    assert "Across data sets" not in text


def test_what_the_difference_to_the_baseline_says_already_is_not_said_twice() -> None:
    records = [
        record({"mix": "mixup"} if on else {}, seed=s, scores={"top1": 0.5 + on / 10})
        for on in (0, 1)
        for s in range(3)
    ]
    assert "What each technique adds" not in rendered(records)


def test_a_suite_of_one_combination_is_a_page() -> None:
    text = rendered([record(seed=s, scores={"top1": 0.5 + s / 100}) for s in range(3)])
    assert "Sources of variance" not in text
    assert "best" not in [
        cell.strip() for line in text.splitlines() if line.startswith("|   rank") for cell in line.split("|")
    ]


def test_a_crossed_suite_tells_subset_from_training_seed() -> None:
    records = crossed([(subset, seed) for subset in range(3) for seed in range(3)])
    text = rendered(records, SuiteFacts(name="s"))
    assert "| subset seed" in text
    assert "| training seed" in text
    assert "cannot be separated" not in text
    assert "each is part of several runs" in text
    assert "cannot be separated here" in rendered(crossed([(0, 0), (1, 1), (2, 2)]), SuiteFacts(name="s"))


def crossed(runs: list[tuple[int, int]]) -> list[Record]:
    """Return records of two combinations with effects of subset and training seed of their own."""

    made = []
    for techniques in ({}, {"mix": "mixup"}):
        for subset, seed in runs:
            top1 = 0.6 + 0.03 * subset + 0.01 * seed + 0.05 * bool(techniques) + 0.001 * ((subset * 5 + seed * 3) % 4)
            plain = raw(techniques, seed=subset, scores={"top1": top1})
            plain["setting"] = plain["setting"] | {"seed": seed}  # type: ignore[operator]
            made.append(validate(seal(plain_values(plain) | {"id": f"{subset}{seed}{bool(techniques):d}" + "a" * 29})))
    return made


def test_effects_are_a_csv_beside_the_page(quick: list[Record]) -> None:
    import io

    import pandas as pd

    frame = pd.read_csv(io.StringIO(effects_csv(analyse(group_records(quick)))))
    assert frame["kind"].value_counts().to_dict() == {"interaction": 6 * 4, "main effect": 4 * 4}
    one = frame[
        (frame["technique"] == "cb_sampler") & frame["with"].isna() & (frame["imbalance_factor"] == "all")
    ].iloc[0]
    assert (one["n"], one["contexts"], one["differences"], one["separated"]) == (3, 8, 24, "yes")
    assert one["low95"] < one["mean"] < one["high95"]
    assert effects_csv([]).startswith("protocol,dataset")


def effects_of(records, reference=()) -> str:
    (board,) = make_boards(records, (), (), reference)
    (analysis,) = analyse(group_records(records))
    return " ".join(effect_lines(analysis, board, [], []))


def test_the_text_on_effects_says_how_they_were_estimated_and_what_was_tested() -> None:
    whole = synthetic.suite(factors=(10.0, 100.0), names=("cb_sampler", "mixup"))
    text = effects_of(whole)
    assert "averaged over every combination of the others" in text
    assert "*alone* is the difference of its row to the baseline," in text
    assert "*alone* is the difference of its row to mixup," in effects_of(whole, ("mixup",))
    once = effects_of([r for r in whole if r.setting.seed == 0])
    assert "±" not in once
    assert "None can be tested;" in once
    half = [r for r in synthetic.suite(factors=(100.0,), seeds=range(4)) if len(r.techniques) % 2 == 0]
    fitted = effects_of(half)
    assert "averaged over every" not in fitted
    assert "alone*" not in fitted
    assert "alone |" not in fitted
    assert (
        "- cb_sampler, mixup, label_smooth and tta were never varied alone: their effects are estimated by least squares "
        "and aliased with no interaction of two techniques." in fitted
    )


def test_a_page_of_thousands_of_rows_lists_the_first_ones_and_says_where_the_rest_is() -> None:
    rows = [("baseline", {})] + [(f"loss_{i}", {"loss": f"loss_{i}"}) for i in range(400)]
    chance = random.Random(3)
    scores = {label: chance.gauss(0.7, 0.05) for label, _ in rows} | {"baseline": 0.3}
    records = [
        record(picks, factor, seed, {"top1": scores[label] + chance.gauss(0, 0.01)})
        for label, picks in rows
        for factor in (10.0, 100.0)
        for seed in (0, 1)
    ]
    text = rendered(records)
    best = sorted(scores, key=lambda label: -scores[label])
    # Three tables; the reference is the last of all, and stands in each of them.
    assert text.count("not listed here") == 3
    assert "150 rows of lower ranks are not listed here; [`table.csv`](table.csv) has all rows." in text
    assert lines_of(text, best[0])
    assert lines_of(text, "baseline")
    assert not lines_of(text, best[-2])
    assert table_csv(boards(records)).count("\n") == 401 * 3 + 1


def test_a_page_of_many_boards_lists_fewer_rows_of_each_table() -> None:
    records = [
        record({"loss": f"loss_{i}"} if i else {}, 100.0, 0, {"top1": 0.5 + i / 1000}, dataset=f"data{board}")
        for board in range(20)
        for i in range(60)
    ]
    text = rendered(records)
    # A thousand rows are 50 of each table, the reference and nine more; the table over all data sets is one more table.
    assert text.count("9 rows of lower ranks are not listed here") == 20 + 1
    assert len(text) < 1_000_000
