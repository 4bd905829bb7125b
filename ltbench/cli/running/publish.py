"""Publishes the records of a plan on a suite's leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ltbench.cli.running.reproduce_command import reproducing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltbench.executor import Context
    from ltbench.leaderboard.publish import SuiteFolder
    from ltbench.planning.plan import Plan
    from ltbench.records.record import Record
    from ltbench.suite.suite import Suite


def publish_suite(folder: Path, suite: Suite, plan: Plan, context: Context) -> tuple[list[Path], SuiteFolder | None]:
    """Merge the records of a plan into a suite's leaderboard; return the files written and what they show.

    Nothing is written without a record, or where the leaderboard is up to date.
    """
    from ltbench.leaderboard import render_cache
    from ltbench.leaderboard.publish import add_records, read_folder, write_folder
    from ltbench.leaderboard.suite_facts import SuiteFacts
    from ltbench.leaderboard.tables.columns import columns_present, declared_columns, join_columns
    from ltbench.records.from_store import valid_records
    from ltbench.records.record import validate
    from ltbench.records.records_file import encode
    from ltbench.records.verifications import FILE as VERIFIED
    from ltbench.suite.published import as_recorded

    registry, store = context.registry, context.store
    keys = [cell.key for cell in plan.cells]
    records = [validate(record) for record in valid_records(keys, store)]
    if not records:
        return [], None
    before, old = read_folder(folder)
    labels = {t.label for text in suite.techniques for t in registry.parse_all(text)}
    labels |= {label for record in old.records for _, label in record.techniques}
    seeds = {*suite.seed_pairs(), *before.seeds}
    facts = SuiteFacts(
        name=suite.name,
        title=suite.title,
        question=suite.question,
        notes=suite.notes,
        command=reproducing(_with_settings_of(suite, old.records), labels, seeds, registry),
        seeds=tuple(sorted(seeds)),
        unfinished=len(keys) - len(records),
        reported=tuple(number.with_recorded_labels(registry) for number in suite.reported),
        claims=tuple(claim.with_recorded_labels(registry) for claim in suite.claims),
        figures=suite.figures,
        metric=suite.metric,
        columns=columns_present(
            [*old.records, *records], join_columns(declared_columns(registry.of("metric")), before.columns)
        ),
        highlight=None if suite.highlight is None else as_recorded(suite.highlight, registry),
        reference=as_recorded(suite.reference, registry),
    )
    merged = add_records(old, records)
    verified = folder / VERIFIED
    parts = [encode(merged), msgspec.json.encode(facts), verified.read_bytes() if verified.is_file() else b""]
    # The figures of a page take seconds, and a second run mostly changes nothing.
    source = render_cache.source_digest(parts)
    if render_cache.is_current(store.root, folder, source):
        return [], None
    paths, shown = write_folder(folder, facts, merged)
    render_cache.remember(store.root, folder, source, paths)
    return paths, shown


def _with_settings_of(suite: Suite, records: Sequence[Record]) -> Suite:
    """Return the suite with the data sets, models and factors of records that its page already has."""
    from ltbench.suite.suite import changed

    settings = [record.setting for record in records]
    return changed(
        suite,
        datasets=[*suite.datasets, *sorted({s.dataset for s in settings} - set(suite.datasets))],
        models=[*suite.models, *sorted({s.model for s in settings} - set(suite.models))],
        imbalance_factors=[
            *suite.imbalance_factors, *sorted({s.imbalance_factor for s in settings} - set(suite.imbalance_factors))
        ],
    )  # fmt: skip
