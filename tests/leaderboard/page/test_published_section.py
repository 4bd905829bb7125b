from __future__ import annotations

import random
from pathlib import Path

from reports import section
from synthetic import COLUMNS, publish, raw, record

from ltbench.leaderboard.publish import load
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record
from ltbench.registry.registry import Registry
from ltbench.suite.published import Claim, Reported, as_recorded

CB = {"sampler": "cb_sampler"}
MIX = {"mix": "mixup"}


def runs(effects: list[float], techniques: dict[str, str] = CB, factor: float = 100.0) -> list[Record]:
    """Return records of the baseline and of a combination that differs by `effects`, run by run."""
    base = [0.50, 0.52, 0.54, 0.51]
    made = []
    for seed, effect in enumerate(effects):
        made.append(record({}, factor, seed, {"top1": base[seed], "sd_classes": 0.3}))
        made.append(record(techniques, factor, seed, {"top1": base[seed] + effect, "sd_classes": 0.3 - effect}))
    return made


def helps(**changes: object) -> Claim:
    return Claim(**({"text": "It helps", "better": ("cb_sampler",)} | changes))


def test_numbers_that_no_table_has_stand_beside_what_was_measured() -> None:
    reported = (
        Reported(source="Table 1", imbalance_factor=100, value=0.60),
        Reported(source="Table 1", imbalance_factor=100, value=0.80, metric="nll", note="by eye"),
        Reported(source="Table 1", imbalance_factor=50, value=0.70, techniques=("mixup", "cb_sampler")),
        Reported(source="Table 2", imbalance_factor=100, techniques=("cb_sampler",), per_class=(0.4,) * 10),
    )
    records = [*runs([0.1, 0.1], CB), *runs([0.2, 0.2], CB | MIX)]
    text = section(reported, (), group_records(records), COLUMNS).replace("\u00a0", " ")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    rows = [line for line in lines if line[0].startswith("Table")]
    # Top-1 at factor 100 has its row in the table of that factor.
    assert rows == [
        [
            "Table 1 <sup>1</sup>",
            "baseline",
            "IF 100",
            "negative log-likelihood",
            "0.800",
            "0.900 ± 0.000",
            "2",
            "+0.100",
        ],
        ["Table 1", "cb_sampler + mixup", "IF 50", "top-1", "70.0", "–", "0", "–"],
    ]
    assert "- <sup>1</sup> by eye" in text
    assert "Table 2, class by class: cb_sampler, imbalance factor 100" in text
    assert ["c", "40.0", "50.0", "+10.0"] in lines


def test_numbers_that_every_table_has_need_no_section() -> None:
    reported = (Reported(source="Table 1", imbalance_factor=100, value=0.6, techniques=("focal",)),)
    assert section(reported, (), group_records(runs([0.1])), COLUMNS) == ""


def test_what_is_not_measured_is_a_dash() -> None:
    reported = (Reported(source="Table 1", imbalance_factor=50, value=0.6, techniques=("focal",)),)
    failed = [record(error={"type": "JobFailed", "message": "no"})]
    for records in ([], failed, runs([0.1])):
        text = section(reported, (helps(),), group_records(records))
        row = next(line for line in text.splitlines() if "focal" in line)
        assert [cell.strip() for cell in row.strip("|").split("|")][-3:] == ["60.0", "–", "–"]
    assert "1 is not measured" in section((), (helps(),), [])


def test_a_suite_without_a_report_has_no_such_section() -> None:
    assert section((), (), group_records(runs([0.1]))) == ""


def test_two_models_are_told_apart() -> None:
    base = raw({}, 100.0, 0)
    fit = dict(base["fits"][0])  # type: ignore[index]
    assert fit["model"]["name"] == "convnet"
    longer = [record({}, 100.0, 0, {"top1": 0.9}, epochs=40)]
    text = section(
        (Reported(source="T", imbalance_factor=100, value=0.6, metric="nll"),),
        (),
        group_records([*runs([0.1]), *longer]),
    )
    assert "epochs=20" in text
    assert "epochs=40" in text


def test_a_page_with_a_report_is_the_same_for_any_order_and_needs_its_folder_alone(tmp_path: Path) -> None:
    reported = (Reported(source="Tabelle 1 | ü", imbalance_factor=100, value=0.6),)
    facts = SuiteFacts(name="a", reported=reported, claims=(helps(text="Größer *ist* besser"),))
    records = runs([0.1, 0.11, 0.09])
    publish(tmp_path / "a", facts, records)
    random.Random(3).shuffle(records)
    publish(tmp_path / "b", facts, records)
    text = (tmp_path / "a" / "README.md").read_text(encoding="utf-8")
    assert text == (tmp_path / "b" / "README.md").read_text(encoding="utf-8")
    assert "## Against the report" in text
    assert "Größer \\*ist\\* besser" in text
    assert "**holds**" in text
    assert load(tmp_path / "a").facts == facts


def test_combinations_are_named_as_records_name_them(registry: Registry) -> None:
    assert as_recorded(("shuffle", "label_smooth[eps=0.2]", "cb_sampler", "of_no_plugin"), registry) == (
        "label_smooth",
        "cb_sampler",
        "of_no_plugin",
    )
    named = Claim(text="x", better=("cb_sampler",), worse=("cross_entropy",), model="convnet").with_recorded_labels(
        registry
    )
    assert (named.better, named.worse, named.model) == (("cb_sampler",), (), "convnet")
