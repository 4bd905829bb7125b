"""From the records of a plan to a suite's leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ltbench.cli.reproducing import reproducing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltbench.leaderboard.publish import Loaded
    from ltbench.plan import Plan
    from ltbench.records import Record
    from ltbench.registry import Registry
    from ltbench.store import Store
    from ltbench.suite import Suite


def publish_suite(
    folder: Path, suite: Suite, plan: Plan, registry: Registry, store: Store
) -> tuple[list[Path], Loaded | None]:
    """Merge the records of a plan into a suite's leaderboard; return the files written and what they show.

    Without a record nothing is written, and nothing where the leaderboard is what its records say.
    """
    from ltbench import pages
    from ltbench.leaderboard.page import SuiteFacts
    from ltbench.leaderboard.publish import joined, read, written
    from ltbench.ledger import text_of
    from ltbench.records import validate
    from ltbench.reported import as_recorded
    from ltbench.trusted import trusted_records
    from ltbench.verification import FILE as VERIFIED

    keys = [cell.key for cell in plan.cells]
    records = [validate(record) for record in trusted_records(keys, store)]
    if not records:
        return [], None
    before, old = read(folder)
    labels = {t.label for text in suite.techniques for t in registry.parse_all(text)}
    seeds = set(suite.seed_pairs())
    labels |= {label for record in old.records for _, label in record.techniques}
    seeds |= set(before.seeds)
    facts = SuiteFacts(
        name=suite.name,
        title=suite.title,
        question=suite.question,
        notes=suite.notes,
        command=reproducing(_with(suite, old.records), labels, seeds, registry),
        seeds=tuple(sorted(seeds)),
        unfinished=len(keys) - len(records),
        reported=tuple(one.named(registry) for one in suite.reported),
        claims=tuple(one.named(registry) for one in suite.claims),
        figures=suite.figures,
        highlight=None if suite.highlight is None else as_recorded(suite.highlight, registry),
    )
    one = joined(old, records)
    verified = folder / VERIFIED
    parts = [text_of(one), msgspec.json.encode(facts), verified.read_bytes() if verified.is_file() else b""]
    source = pages.source_of(parts)
    if pages.is_current(store.root, folder, source):
        return [], None
    paths, shown = written(folder, facts, one)
    pages.remember(store.root, folder, source, paths)
    return paths, shown


def _with(suite: Suite, records: Sequence[Record]) -> Suite:
    """Return a suite that asks, too, for the data sets, models and factors of records that are on its page already."""
    from ltbench.suite import changed

    settings = [record.setting for record in records]
    return changed(
        suite,
        datasets=[*suite.datasets, *sorted({s.dataset for s in settings} - set(suite.datasets))],
        models=[*suite.models, *sorted({s.model for s in settings} - set(suite.models))],
        imbalance_factors=[
            *suite.imbalance_factors, *sorted({s.imbalance_factor for s in settings} - set(suite.imbalance_factors))
        ],
    )  # fmt: skip
