"""Suite folders as `publish` loads them, without files; and those that are committed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from ltbench.columns import Column
from ltbench.leaderboard.page.claim_verdicts import judge
from ltbench.leaderboard.page.published_section import published_lines
from ltbench.leaderboard.publish import SuiteFolder, _suite_folder, folders
from ltbench.leaderboard.statistics.record_groups import RecordGroup
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record
from ltbench.records.records_file import Invalidation, records_file
from ltbench.suite.published import Claim, Reported

FACTS = SuiteFacts(
    name="quick", title="Four techniques", question="Which one helps?", command="ltbench run --suite quick",
    seeds=((0, 0), (1, 1), (2, 2)),
)  # fmt: skip

COMMITTED = folders(Path(__file__).parents[1] / "leaderboards")
BIG = {"probe"}
"""Pages that take more than ten seconds to load and analyse."""
each_committed_page = pytest.mark.parametrize(
    "folder",
    [pytest.param(one, id=one.name, marks=[pytest.mark.slow] if one.name in BIG else []) for one in COMMITTED],
)


def loaded(
    records: Iterable[Record], facts: SuiteFacts = FACTS, invalidations: Iterable[Invalidation] = ()
) -> SuiteFolder:
    """Return the folder of a suite with these records."""
    return _suite_folder(Path("there-is-no-such-folder"), facts, records_file(records, invalidations))


def section(
    reported: Sequence[Reported], claims: Sequence[Claim], groups: Sequence[RecordGroup], columns: Sequence[Column] = ()
) -> str:
    """Return the section of a page on a report with these numbers and claims."""
    return "\n".join(published_lines(reported, judge(claims, reported, groups), groups, columns))
