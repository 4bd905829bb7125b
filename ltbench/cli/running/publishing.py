"""Publishes the page of a run: merges it into the published one of its name."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltbench.cli.options import leaderboards_words, load_registry
from ltbench.cli.page_names import NAME
from ltbench.cli.writing import readme_lock, writing
from ltbench.core.words import counted
from ltbench.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from ltbench.leaderboard.suite_facts import SuiteFacts
    from ltbench.records.record import Record
    from ltbench.records.records_file import RecordsFile


def print_published(written: Sequence[Path]) -> None:
    """Print the published files except figures."""
    click.echo(f"published: {', '.join(str(path) for path in written if path.suffix != '.svg')}", err=True)


def publish_page(name: str, leaderboards: Path, readme: Path | None, *, is_replaced: bool = False) -> list[Path]:
    """Write the published page of a local one, and its table in the README; return the files written.

    Raises `UnknownName` if there is no such local page, and `UsageError` as `check_publishable`.
    """
    from ltbench.leaderboard.publish import update_readme
    from ltbench.records.locations import LOCAL, published
    from ltbench.records.records_file import records_path

    name = name.removeprefix(f"{LOCAL}/")
    source, target = leaderboards / LOCAL / name, leaderboards / name
    if not NAME.fullmatch(name) or not records_path(source).is_file():
        raise UnknownName.of("local page", name, [place.path.name for place in published(source.parent)],
                             where=str(source.parent))  # fmt: skip
    replacing = shlex.join(["ltbench", "publish", name, "--replace", *leaderboards_words(leaderboards)])
    with writing(source, target):
        written = _write_page(source, target, is_replaced=is_replaced, replacing=replacing)
    with writing(readme_lock(leaderboards)):
        return [*written, *update_readme(target, readme or leaderboards.parent / "README.md")]


def _write_page(source: Path, target: Path, *, is_replaced: bool, replacing: str) -> list[Path]:
    """Write the published page at `target` of the local one at `source`; return the files written.

    replacing: the command that replaces the page of another suite.
    """
    from ltbench.leaderboard.publish import read_folder, write_folder
    from ltbench.leaderboard.tuned_rows import shown_records
    from ltbench.records import search_file, tuning_file, verifications
    from ltbench.records.merging import kept_from_other_machines
    from ltbench.records.page_sources import SUITE_FILE
    from ltbench.records.written_files import write_atomic

    (facts, content), (before, old) = read_folder(source), read_folder(target)
    if check_publishable(target, facts.definition, is_replaced=is_replaced, fix=replacing):
        old = _only_withdrawn(old)
    merged = _merged(old, content, is_replaced=is_replaced)
    kept = [] if is_replaced else kept_from_other_machines(old.records, content.records)
    if kept:
        click.echo(
            f"{counted(len(kept), 'cell')} {'keeps its record' if len(kept) == 1 else 'keep their records'} from another type of "
            "machine, so that rows stay paired; --replace replaces what is kept",
            err=True,
        )
    mine = {record.id for record in content.records}
    more = any(record.id not in mine for record in merged.records)
    if (source / SUITE_FILE).is_file():
        write_atomic(target / SUITE_FILE, (source / SUITE_FILE).read_bytes())
    elif not more:
        (target / SUITE_FILE).unlink(missing_ok=True)
    known = [
        entry for folder in (target, source) for entry in verifications.read_verifications(folder / verifications.FILE)
    ]
    if known:
        verifications.write_verifications(target / verifications.FILE, known)
    if is_replaced:
        for file in (tuning_file.FILE, search_file.FILE):
            (target / file).unlink(missing_ok=True)
    tuned = [row for folder in (target, source) for row in tuning_file.read_tuning(folder / tuning_file.FILE)]
    if tuned:
        tuning_file.write_tuning(target / tuning_file.FILE, tuned)
    if (searched := search_file.read_search(source / search_file.FILE)) is not None:
        search_file.write_search(target / search_file.FILE, searched)
    facts = _facts(facts, before, shown_records(target, merged.records), more, source / SUITE_FILE, target / SUITE_FILE)
    return write_folder(target, facts, merged)[0]


def check_publishable(target: Path, definition: str, *, is_replaced: bool, fix: str) -> bool:
    """Return whether a page with this definition replaces the published page at `target`.

    fix: how to replace the page. Raises `UsageError` if the folder cannot be a page, or if, without `is_replaced`, it
    belongs to another suite or recipe.
    """
    from ltbench.leaderboard.publish import read_facts
    from ltbench.records.locations import LOCAL

    if target.name == LOCAL:
        raise UsageError(f"a page cannot be published as {target}", why="that folder contains the local pages",
                         fix="run it with --name OTHER")  # fmt: skip
    before = read_facts(target)
    expected = before.definition or _definition(target.name)
    if expected in {"", definition}:
        return False
    if is_replaced:
        return True
    if before.definition:
        raise UsageError(f"{target} is the page of another suite or recipe", where=before.command,
                         why="the two pages would be mixed", fix=fix)  # fmt: skip
    raise UsageError(f"'{target.name}' is the name of an installed suite", where=str(target),
                     why="that page is reserved for the unchanged suite", fix="run it with --name OTHER")  # fmt: skip


def _definition(name: str) -> str:
    """Return the definition of the installed suite of that name; empty if there is none."""
    from ltbench.cli.running.page_of_run import definition_of
    from ltbench.registry.discovery import PluginSelection
    from ltbench.suite.suite import find_suite

    registry = load_registry(PluginSelection())
    return definition_of(find_suite(name, registry), registry) if name in registry.suites else ""


def _merged(old: RecordsFile, new: RecordsFile, *, is_replaced: bool) -> RecordsFile:
    from ltbench.records.merging import merge
    from ltbench.records.records_file import records_file

    # Records that one page withdraws are withdrawn on both.
    invalidations = [*old.invalidations, *new.invalidations]
    known = records_file([*old.all_records, *new.all_records], invalidations).withdrawn
    pages = [records_file(page.all_records, invalidations, withdrawn_elsewhere=known) for page in (old, new)]
    withdrawn = [record for page in pages for record in page.withdrawn]
    return records_file([*merge(pages[0].records, pages[1].records, replace=is_replaced), *withdrawn], invalidations)


def _only_withdrawn(page: RecordsFile) -> RecordsFile:
    from ltbench.records.records_file import records_file

    return records_file(page.withdrawn, page.invalidations)


def _facts(facts: SuiteFacts, before: SuiteFacts, records: Sequence[Record], more: bool, source: Path, target: Path) -> SuiteFacts:  # fmt: skip
    """Return the facts of the published page. more: whether it has records besides those of the local page."""
    import msgspec

    from ltbench.cli.running.reproduce_command import with_records, with_suite_file
    from ltbench.leaderboard.tables.columns import join_columns

    facts = msgspec.structs.replace(
        facts,
        command=with_suite_file(facts.command, source, target),
        columns=join_columns(facts.columns, before.columns),
    )
    return with_records(facts, records, is_whole=True) if more else facts
