"""The README table of claims, generated from records."""

from __future__ import annotations

from pathlib import Path

import pytest
from synthetic import publish, record

from ltbench.errors import OutOfDate, UsageError
from ltbench.leaderboard.publish import check, update
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record
from ltbench.suite.published import Claim

MARKED = "# Mine\n\n<!-- ltbench:claims -->\nold\n<!-- /ltbench:claims -->\nend\n"


def records(effects: list[float]) -> list[Record]:
    return [
        record({"mix": "mixup"} if is_on else {}, seed=seed, scores={"top1": 0.5 + 0.01 * seed + is_on * effect})
        for seed, effect in enumerate(effects)
        for is_on in (False, True)
    ]


def claims(*difference: float) -> tuple[Claim, ...]:
    return tuple(Claim(text=f"Mixup | adds {d:g}", better=("mixup",), difference=d) for d in difference)


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    root = tmp_path / "leaderboards"
    publish(root / "good", SuiteFacts(name="good", claims=claims(0.1, 0.3)), records([0.10, 0.11, 0.09]))
    publish(root / "bad", SuiteFacts(name="bad", claims=claims(0.1)), records([-0.10, -0.11, -0.09]))
    publish(root / "none", SuiteFacts(name="none"), records([0.1]))
    (tmp_path / "README.md").write_text(MARKED)
    return tmp_path / "README.md"


def table(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_each_suite_with_claims_has_a_line_of_counts_and_what_does_not_hold_is_listed(readme: Path) -> None:
    root = readme.parent / "leaderboards"
    with pytest.raises(OutOfDate, match=r"README\.md"):
        check(root, readme)
    assert readme in update(root, readme)
    check(root, readme)
    text = readme.read_text(encoding="utf-8")
    head, _, *rows = table(text)
    assert head[1:7] == ["claims", "comparisons", "holds", "does not hold", "undecided", "not tested"]
    assert head[7:] == ["size within interval"]
    # Two claims about one pair are one comparison, with the size of the first.
    assert rows == [
        ["[bad](leaderboards/bad/README.md)", "1", "1", "0", "1", "0", "0", "0\u00a0of\u00a01"],
        ["[good](leaderboards/good/README.md)", "2", "1", "1", "0", "0", "0", "1\u00a0of\u00a01"],
    ]
    assert "- bad: Mixup \\| adds 0.1 (factor 100)" in text
    assert text.startswith("# Mine\n")
    assert text.endswith("<!-- /ltbench:claims -->\nend\n")


def test_numbers_changed_by_hand_are_found(readme: Path) -> None:
    root = readme.parent / "leaderboards"
    update(root, readme)
    readme.write_text(
        readme.read_text(encoding="utf-8").replace("0\u00a0of\u00a01", "1\u00a0of\u00a01", 1), encoding="utf-8"
    )
    with pytest.raises(OutOfDate, match=r"README\.md"):
        check(root, readme)


def test_a_readme_without_claims_has_an_empty_table(readme: Path) -> None:
    for name in ("good", "bad"):
        (readme.parent / "leaderboards" / name / "suite.json").unlink()
    update(readme.parent / "leaderboards", readme)
    assert len(table(readme.read_text(encoding="utf-8"))) == 2


def test_a_marker_without_its_partner_is_named(readme: Path) -> None:
    readme.write_text("<!-- ltbench:claims -->\n")
    with pytest.raises(UsageError, match="has no counterpart"):
        update(readme.parent / "leaderboards", readme)
