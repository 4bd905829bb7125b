"""From the records of a plan to a suite's leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.cli.reproducing import reproducing

if TYPE_CHECKING:
    from ltbench.plan import Plan
    from ltbench.registry import Registry
    from ltbench.store import Store
    from ltbench.suite import Suite


def publish_suite(folder: Path, suite: Suite, plan: Plan, registry: Registry, store: Store) -> list[Path]:
    """Merge the records of a plan into a suite's leaderboard; return the files written, none without a record."""
    from ltbench.leaderboard.page import SuiteFacts
    from ltbench.leaderboard.publish import load, publish
    from ltbench.reported import as_recorded
    from ltbench.trusted import trusted_records

    keys = [cell.key for cell in plan.cells]
    records = list(trusted_records(keys, store))
    if not records:
        return []
    before = load(folder) if folder.is_dir() else None
    labels = {t.label for text in suite.techniques for t in registry.parse_all(text)}
    seeds = set(suite.seed_pairs())
    if before is not None:
        labels |= {label for record in before.records for _, label in record.techniques}
        seeds |= set(before.facts.seeds)
    facts = SuiteFacts(
        name=suite.name,
        title=suite.title,
        question=suite.question,
        notes=suite.notes,
        command=reproducing(suite, labels, seeds, registry),
        seeds=tuple(sorted(seeds)),
        unfinished=len(keys) - len(records),
        reported=tuple(one.named(registry) for one in suite.reported),
        claims=tuple(one.named(registry) for one in suite.claims),
        figures=suite.figures,
        highlight=None if suite.highlight is None else as_recorded(suite.highlight, registry),
    )
    return publish(folder, facts, records)
