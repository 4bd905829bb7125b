"""`ltbench merge`: merge records from other machines into a leaderboard."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from ltbench.cli.bad_lines import print_skipped
from ltbench.cli.options import find_page, leaderboards_option, load_registry
from ltbench.cli.output import print_json, print_table
from ltbench.cli.paths import PathOption
from ltbench.cli.writing import readme_lock, writing
from ltbench.core.words import counted
from ltbench.errors import CELLS_FAILED, DONE, UsageError
from ltbench.technique import written

if TYPE_CHECKING:
    from ltbench.leaderboard.merge import MergeResult, SuiteBoard
    from ltbench.leaderboard.suite_facts import SuiteFacts
    from ltbench.records.locations import RecordsLocation
    from ltbench.records.record import Record
    from ltbench.records.records_file import RecordsFile
    from ltbench.registry.registry import Registry

SHOWN = 20


@click.command("merge")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--into", "target", required=True, type=PathOption(file_okay=False), metavar="FOLDER",
              help="Suite folder to merge into; created if it does not exist.")  # fmt: skip
@click.option("--prefer", metavar="PATH",
              help="If the numbers of a cell differ, use those of this path (one of PATH, or FOLDER).")  # fmt: skip
@click.option("--accept", "accepted", multiple=True, type=click.Choice(["withdrawals", "verifications", "boards"]),
              help="Also take over withdrawals of cells, the verified.json beside the records, or boards (data set, profile, model, "
                   "recipe) that the page lacks, of a folder that says it is of the same suite. Anybody can write these: use it only if "
                   "you trust where they come from.")  # fmt: skip
@leaderboards_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    paths: Sequence[str], target: Path, prefer: str | None, accepted: Sequence[str], leaderboards: Path, as_json: bool
) -> int:
    """Merge the records of each PATH (a records file, a suite's folder or name, or a store) into a leaderboard.

    Cells are matched by id, and duplicates are dropped. What the folder has stays as it is: if the numbers of a cell
    differ, the old ones are kept, the cell is listed, and the exit code is 1, as for malformed lines, which are skipped.
    Withdrawals by others are proposals. Revisions of techniques that are newer than the installed ones are not
    merged. The order of paths does not matter, and records of different protocols are never ranked together. Merging can add rows, factors and seeds to a page, but no data set, profile, model or recipe
    that its suite does not have, and no text of another suite. If the README has a table of the leaderboard, it is updated.
    """
    from ltbench.leaderboard import publish
    from ltbench.records.lines import skipping_bad_lines
    from ltbench.records.records_file import records_path

    places = {str(place.path): place for place in (find_page(path, leaderboards) for path in paths)}
    if any(_same(place.path, target) or _same(place.file, records_path(target)) for place in places.values()):
        raise UsageError(f"{target} is the merge target", fix="remove it from PATH: its records are kept anyway")
    preferred = None if prefer is None else _preferred(prefer, places, target, leaderboards)
    with writing(target), skipping_bad_lines() as skipped:
        merged = _merge(places, target, preferred, accepted)
    result, paths_written = merged.result, merged.written
    if _same(target.parent, leaderboards):
        with writing(readme_lock(leaderboards)):
            paths_written += publish.update_readme(target, leaderboards.parent / "README.md")
    open_conflicts = [conflict for conflict in result.conflicts if preferred is None or not conflict.kept]
    if as_json:
        print_json({
            "records": len(result.records_file.records), "added": result.added, "duplicates": result.duplicates,
            "renewed": result.renewed, "withdrawn": len(result.records_file.withdrawn), "protocols": result.protocols,
            "other_versions": result.other_versions, "conflicts": result.conflicts, "refused": result.refused,
            "proposed": [{"place": place, "withdrawal": one} for place, one in result.proposed],
            "written": [str(p) for p in paths_written],
        })  # fmt: skip
    else:
        _print(result, target)
        if merged.verifications:
            click.echo(
                f"not merged: {counted(merged.verifications, 'verification')}; --accept verifications, if you trust them"
            )
    print_skipped(skipped)
    return CELLS_FAILED if open_conflicts or result.refused or skipped else DONE


class _Merged(NamedTuple):
    """What a merge did."""

    result: MergeResult
    written: list[Path]
    verifications: int
    """Verifications of others that were left out."""


def _merge(
    places: Mapping[str, RecordsLocation], target: Path, preferred: str | None, accepted: Collection[str]
) -> _Merged:
    """Merge locations, by name, into a suite's folder. Everything is read and checked before anything is written."""
    from ltbench.cli.running.reproduce_command import with_records
    from ltbench.leaderboard import publish
    from ltbench.leaderboard.merge import installed_versions, merge_facts, merge_records_files
    from ltbench.leaderboard.tuned_rows import with_tuned_rows
    from ltbench.records import search_file, tuning_file
    from ltbench.records.lines import needing_all_lines
    from ltbench.records.records_file import read_records_file, records_file, records_path
    from ltbench.records.verifications import FILE as VERIFIED
    from ltbench.records.verifications import read_verifications, write_verifications
    from ltbench.registry.discovery import PluginSelection

    mine = records_path(target)
    with needing_all_lines():
        # A line of the target that cannot be read would be lost.
        old = read_records_file(mine) if mine.exists() else records_file(())
        tuned_before = tuning_file.read_tuning(target / tuning_file.FILE)
    new = {name: _records_of(place) for name, place in places.items()}
    folders = [place.path for place in places.values() if place.kind == "suite"]
    source_facts = [publish.read_facts(folder) for folder in folders]
    is_page = bool(old.all_records) or (target / publish.FACTS).exists()
    target_facts = publish.read_facts(target) if is_page else None
    searches = (
        [] if is_page else [each for folder in folders if (each := search_file.read_search(folder / search_file.FILE))]
    )
    tuned = [row for folder in folders for row in tuning_file.read_tuning(folder / tuning_file.FILE)]
    beside = [target, *(place.file.parent for place in places.values() if place.kind != "store")]
    mine_verified, *theirs_verified = [read_verifications(folder / VERIFIED) for folder in beside]
    theirs = [entry for entries in theirs_verified for entry in entries if entry not in mine_verified]

    registry = load_registry(PluginSelection())
    installed = installed_versions(registry)
    result = merge_records_files(
        old, new, prefer=preferred, accept_withdrawals="withdrawals" in accepted, installed=installed
    )
    facts = _facts(merge_facts(target.name, target_facts, source_facts), target_facts, registry)
    definition = target_facts.definition if target_facts else ""
    theirs_said = {name: publish.read_facts(p.path).definition for name, p in places.items() if p.kind == "suite"}
    claiming = {name for name, said in theirs_said.items() if definition and said == definition}
    _refuse_other_boards(target, facts, claiming, "boards" in accepted, old.records, places, new)
    # A tuned row hides the default row of its cells, so nobody says it of cells that the target has.
    own = {record.id for record in old.all_records}
    tuned = [*(row for row in tuned if not own & set(row.cells)), *tuned_before]
    facts = with_records(facts, with_tuned_rows(result.records_file.records, tuned))

    if searches:
        search_file.write_search(target / search_file.FILE, max(searches, key=lambda one: one.cells))
    if len(tuned) > len(tuned_before):
        tuning_file.write_tuning(target / tuning_file.FILE, tuned)
    if theirs and "verifications" in accepted:
        write_verifications(target / VERIFIED, [*mine_verified, *theirs])
        theirs = []
    return _Merged(result, publish.write_folder(target, facts, result.records_file)[0], len(theirs))


def _records_of(place: RecordsLocation) -> RecordsFile:
    """Return the records of a source. Raises the `RecordError` of its first malformed line if it has no other line."""
    from ltbench.records.lines import needing_all_lines

    found = place.records_file()
    if not found.all_records and not found.invalidations:
        with needing_all_lines():
            return place.records_file()
    return found


def _facts(facts: SuiteFacts, before: SuiteFacts | None, registry: Registry) -> SuiteFacts:
    """Return the facts of a merged page; of a new one those of the installed suite of its name, if there is one.

    before: of the target, if it is a page.
    """
    import msgspec

    from ltbench.leaderboard.suite_facts import with_suite
    from ltbench.suite.suite import find_suite

    if before is not None or facts.name not in registry.suites:
        return facts
    facts = with_suite(facts, find_suite(facts.name, registry), registry)
    return msgspec.structs.replace(facts, command=f"ltbench run --suite {facts.name}")


def _refuse_other_boards(
    target: Path,
    facts: SuiteFacts,
    claiming: Collection[str],
    accepted: bool,
    old: Sequence[Record],
    places: Mapping[str, RecordsLocation],
    new: Mapping[str, RecordsFile],
) -> None:
    """Raise `UsageError` if a location has records that the command of the page does not produce.

    A folder without a command accepts any record, unless it has the name of an installed suite. claiming: the locations that
    say they are of the suite of the page; accepted: whether they are believed.
    """
    from ltbench.leaderboard.merge import board_of
    from ltbench.leaderboard.tuned_rows import shown_records

    suite_boards = _boards_of_suite(target.name)
    if not facts.command and not suite_boards:
        return
    # Tuned rows have another recipe and belong to the board of the defaults.
    records = {name: shown_records(place.path, new[name].records) for name, place in places.items()}
    old = shown_records(target, old)
    known: set[SuiteBoard] = suite_boards | {board_of(record) for record in old}
    # A new page copies the suite's facts from the merged folders.
    known = known or {
        board_of(record) for name, place in places.items() if place.kind == "suite" for record in records[name]
    }
    for name, found in records.items():
        if accepted and name in claiming:
            continue
        if other := next((record for record in found if board_of(record) not in known), None):
            s = other.setting
            recipe = ", ".join(f"{key}={written(value)}" for key, value in sorted(other.recipe.items()))
            raise UsageError(
                f"{name} has records of another data set, profile, model or recipe than {target}",
                where=f"{s.dataset}, {s.profile}, {s.model}, {recipe}",
                why="the page would mix both, and its command would not reproduce it",
                fix="use --into OTHER to create another page"
                + ("; or --accept boards, if you trust that it is of the same suite" if name in claiming else ""),
            )


def _boards_of_suite(name: str) -> set[SuiteBoard]:
    """Return the boards of the installed suite of that name; empty if there is none. Its page may have no others."""
    from ltbench.leaderboard.merge import boards_of_suite
    from ltbench.registry.discovery import PluginSelection
    from ltbench.suite.suite import find_suite

    registry = load_registry(PluginSelection())
    return boards_of_suite(find_suite(name, registry), registry) if name in registry.suites else set()


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _preferred(text: str, places: dict[str, RecordsLocation], target: Path, leaderboards: Path) -> str:
    """Return the name of the preferred location, as `merged` expects it."""
    if _same(Path(text), target):
        return ""
    if text in places:
        return text
    name = str(find_page(text, leaderboards).path)
    if name not in places:
        raise UsageError(f"--prefer names {text}, which is not merged", fix=f"one of {', '.join(places)}, or {target}")
    return name


def _print(result: MergeResult, target: Path) -> None:
    click.echo(
        f"{target}: {counted(len(result.records_file.records), 'record')}; {result.added} added, {result.renewed} previously failed "
        f"and now valid, {counted(result.duplicates, 'duplicate')}"
    )
    if result.records_file.withdrawn:
        click.echo(f"withdrawn records that stay in the file: {len(result.records_file.withdrawn)}")
    if len(result.protocols) > 1:
        click.echo(f"protocols {', '.join(result.protocols)}: ranked separately")
    if result.other_versions:
        click.echo(
            f"{counted(result.other_versions, 'cell')} {'has' if result.other_versions == 1 else 'have'} several versions, from different revisions of a technique; "
            "tables show the highest revision"
        )
    for dataset in result.other_images:
        click.echo(f"{dataset} has different images in some locations: ranked separately")
    _print_left_out(result)
    if not result.conflicts:
        return
    click.echo(
        f"\n{counted(len(result.conflicts), 'cell')} {'has' if len(result.conflicts) == 1 else 'have'} conflicting numbers:\n"
    )
    rows = [
        [conflict.id[:12] if not number else "", conflict.label if not number else "",
         f"{conflict.imbalance_factor:g}" if not number else "", conflict.seed if not number else "",
         "n/a" if version.top1 is None else f"{version.top1:.4f}", "kept" if version.outcome == conflict.kept else "",
         ", ".join(place or str(target) for place in version.places)]
        for conflict in result.conflicts[:SHOWN]
        for number, version in enumerate(conflict.versions)
    ]  # fmt: skip
    print_table(["cell", "techniques", "factor", "seed", "top-1", "", "in"], rows)
    if len(result.conflicts) > SHOWN:
        click.echo(f"and {len(result.conflicts) - SHOWN} more (--json has all)")
    if any(not conflict.kept for conflict in result.conflicts):
        click.echo("\nconflicting cells that the target does not have are not merged; choose with --prefer PATH")


def _print_left_out(result: MergeResult) -> None:
    """Print the records that were not merged, and the withdrawals that somebody proposes."""
    for one in result.refused[:SHOWN]:
        click.echo(f"not merged: {one.id[:12]} ({one.label}) of {one.place}: {one.why}")
    if len(result.refused) > SHOWN:
        click.echo(f"and {len(result.refused) - SHOWN} more (--json has all)")
    for place, withdrawal in result.proposed[:SHOWN]:
        by = f", by {withdrawal.by}" if withdrawal.by else ""
        click.echo(f"{place} withdraws cell {withdrawal.id[:12]}{by}: {withdrawal.reason}")
    if result.proposed:
        click.echo(
            f"{counted(len(result.proposed), 'withdrawal')} not applied; --accept withdrawals, if you trust them"
        )
