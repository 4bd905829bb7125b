"""Suite folders as `publish` loads them, without files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ltbench.leaderboard.publish import SuiteFolder, _suite_folder
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record
from ltbench.records.records_file import Invalidation, records_file

FACTS = SuiteFacts(
    name="quick", title="Four techniques", question="Which one helps?", command="ltbench run --suite quick",
    seeds=((0, 0), (1, 1), (2, 2)),
)  # fmt: skip


def loaded(
    records: Iterable[Record], facts: SuiteFacts = FACTS, invalidations: Iterable[Invalidation] = ()
) -> SuiteFolder:
    """Return the folder of a suite with these records."""
    return _suite_folder(Path("there-is-no-such-folder"), facts, records_file(records, invalidations))
