"""Writes the page of a run: its records in the store, rendered below `leaderboards/local/`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ltbench.core.words import counted
from ltbench.errors import UsageError
from ltbench.records.page_sources import SUITE_FILE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ltbench.cli.running.page_of_run import PageOfRun
    from ltbench.executor import Context
    from ltbench.leaderboard.publish import SuiteFolder
    from ltbench.leaderboard.suite_facts import SuiteFacts
    from ltbench.planning.plan import Plan
    from ltbench.records.record import Record
    from ltbench.records.records_file import RecordsFile
    from ltbench.records.search_file import Searched
    from ltbench.records.tuning_file import TunedRow
    from ltbench.store.store import Store


def check_page(page: PageOfRun, store: Store) -> None:
    """Print that the page of another run is replaced; raise `UsageError` if the store does not have its records."""
    from ltbench.leaderboard.publish import read_folder

    before, old = read_folder(page.folder)
    _check_nothing_is_lost(page, before, old, store)
    if old.records and before.definition != page.definition:
        click.echo(
            f"{page.folder} was the page of another run; its cells are removed from the page and kept in the store",
            err=True,
        )


def _check_nothing_is_lost(page: PageOfRun, before: SuiteFacts, old: RecordsFile, store: Store) -> None:
    lost = [] if before.definition == page.definition else [r for r in old.records if store.status(r.id) is None]
    if lost:
        raise UsageError(
            f"{counted(len(lost), 'record')} of {page.folder} would be lost",
            why=f"it is the page of another run ({before.command}), and the store {store.root} does not have them",
            fix="use --name OTHER to write another page",
        )


def write_local_page(
    page: PageOfRun,
    plan: Plan,
    context: Context,
    tuned: Sequence[TunedRow] = (),
    searched: Searched | None = None,
) -> tuple[list[Path], SuiteFolder | None]:
    """Write the records of a plan to the page of its run; return the files written and what they show.

    tuned: how rows were tuned, as far as they are; searched: what a search has run. Records of the same cells from earlier parts and runs are kept. Nothing is written if there is no record or the page
    is up to date.
    Raises `UsageError` if another run has written the page meanwhile, and the store does not have its records.
    """
    from ltbench.core.spec import is_partial
    from ltbench.leaderboard import render_cache
    from ltbench.leaderboard.publish import add_records, read_folder, write_folder
    from ltbench.leaderboard.suite_facts import SuiteFacts, with_suite
    from ltbench.leaderboard.tables.columns import columns_present, declared_columns, join_columns
    from ltbench.records import search_file, tuning_file
    from ltbench.records.from_store import valid_records
    from ltbench.records.merging import kept_from_other_machines
    from ltbench.records.plugins_needed import with_plugins
    from ltbench.records.record import validate
    from ltbench.records.records_file import encode
    from ltbench.records.verifications import FILE as VERIFIED
    from ltbench.records.written_files import write_atomic

    registry, store, folder, suite = context.registry, context.store, page.folder, page.suite
    # Trials and first parts of trainings are on no page.
    keys = [cell.key for cell in plan.cells if not is_partial(cell.spec)]
    records = [validate(record) for record in valid_records(keys, store)]
    if not records:
        return [], None
    before, old = read_folder(folder)
    _check_nothing_is_lost(page, before, old, store)
    is_same = before.definition == page.definition
    kept = _current(old, records, is_same=is_same)
    merged = add_records(kept, records, replace=page.is_replaced)
    if not page.is_replaced and (others := kept_from_other_machines(kept.records, records)):
        click.echo(
            f"{counted(len(others), 'cell')} of the page {'keeps its record' if len(others) == 1 else 'keep their records'} from "
            "another type of machine, so that rows stay paired; --replace replaces what is kept",
            err=True,
        )
    known = search_file.read_search(folder / search_file.FILE) if is_same else None
    # A search that was stopped, or has a smaller budget, repeats a part of what the page has.
    is_repeated = searched is not None and known is not None and known.cells > searched.cells
    facts = SuiteFacts(
        name=folder.name,
        command=before.command if is_repeated else with_plugins(page.command, merged.records, page.plugin_files),
        definition=page.definition,
        seeds=tuple(sorted(suite.seed_pairs())),
        unfinished=len(keys) - len(records),
        columns=columns_present(
            merged.records, join_columns(declared_columns(registry.of("metric")), before.columns), suite.metric
        ),
    )  # fmt: skip
    facts = with_suite(facts, suite, registry)
    # So that git ignores local pages; `ltbench publish` writes published ones.
    write_atomic(folder.parent / ".gitignore", b"*\n")
    if page.suite_file is not None:
        write_atomic(folder / SUITE_FILE, page.suite_file)
    if page.suite.tune is not None and (tuned or not is_same):
        earlier = tuning_file.read_tuning(folder / tuning_file.FILE) if is_same else []
        tuning_file.write_tuning(folder / tuning_file.FILE, [*earlier, *tuned])
    elif page.suite.tune is None:
        (folder / tuning_file.FILE).unlink(missing_ok=True)
    if searched is not None and not is_repeated:
        search_file.write_search(folder / search_file.FILE, searched)
    elif searched is None:
        (folder / search_file.FILE).unlink(missing_ok=True)
    beside = [folder / name for name in (VERIFIED, tuning_file.FILE, search_file.FILE)]
    parts = [encode(merged), msgspec.json.encode(facts), *(path.read_bytes() for path in beside if path.is_file())]
    # Drawing the figures takes seconds, and a repeated run rarely changes anything.
    source = render_cache.source_digest(parts)
    if render_cache.is_current(store.root, folder, source):
        return [], None
    paths, shown = write_folder(folder, facts, merged)
    render_cache.remember(store.root, folder, source, paths)
    return paths, shown


def _current(old: RecordsFile, records: Sequence[Record], *, is_same: bool) -> RecordsFile:
    """Return the records of a page that stay: none of another run or of other images, and none that the new ones supersede."""
    from ltbench.core.spec import canonical
    from ltbench.records.records_file import records_file

    def what(record: Record) -> object:
        return record.setting, record.techniques, canonical(record.recipe)

    new = {what(record) for record in records}
    ids = {record.id for record in records}
    now = {(record.setting.dataset, record.fingerprint) for record in records}
    names = {dataset for dataset, _ in now}
    kept, changed = [], 0
    for record in old.all_records if is_same else ():
        if record.setting.dataset in names and (record.setting.dataset, record.fingerprint) not in now:
            changed += 1
        elif record.id in ids or what(record) not in new:
            kept.append(record)
    if changed:
        click.echo(
            f"{counted(changed, 'record')} of images that have changed since {'is' if changed == 1 else 'are'} "
            "removed from the page and kept in the store",
            err=True,
        )
    return records_file(kept, old.invalidations)
