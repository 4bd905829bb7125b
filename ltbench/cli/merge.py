"""`ltbench merge`: merge records from other machines into a leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ltbench.cli.options import find_page, leaderboards_option, load_registry
from ltbench.cli.output import print_json, print_table
from ltbench.cli.writing import readme_lock, writing
from ltbench.core.words import counted
from ltbench.errors import CELLS_FAILED, DONE, UsageError
from ltbench.technique import written

if TYPE_CHECKING:
    from ltbench.leaderboard.merge import MergeResult, SuiteBoard
    from ltbench.leaderboard.suite_facts import SuiteFacts
    from ltbench.records.locations import RecordsLocation
    from ltbench.records.record import Record

SHOWN = 20


@click.command("merge")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--into", "target", required=True, type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Suite folder to merge into; created if it does not exist.")  # fmt: skip
@click.option("--prefer", metavar="PATH",
              help="If the numbers of a cell differ, use those of this path (one of PATH, or FOLDER).")  # fmt: skip
@click.option("--with-verifications", "with_verified", is_flag=True,
              help="Also merge the verified.json beside the records. Use it only if you trust them.")  # fmt: skip
@leaderboards_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    paths: Sequence[str], target: Path, prefer: str | None, with_verified: bool, leaderboards: Path, as_json: bool
) -> int:
    """Merge the records of each PATH (a records file, a suite's folder or name, or a store) into a leaderboard.

    Cells are matched by id, and duplicates are dropped. If the numbers of a cell differ, the old ones are kept, the
    cell is listed, and the exit code is 1. The order of paths does not matter, and records of different protocols are
    never ranked together. Merging can add rows, factors and seeds to a page, but no data set, profile, model or recipe
    that its suite does not have. If the README has a table of the leaderboard, it is updated.
    """
    from ltbench.leaderboard import publish
    from ltbench.records.records_file import records_path

    places = {str(place.path): place for place in (find_page(path, leaderboards) for path in paths)}
    if any(_same(place.path, target) or _same(place.file, records_path(target)) for place in places.values()):
        raise UsageError(f"{target} is the merge target", fix="remove it from PATH: its records are kept anyway")
    preferred = None if prefer is None else _preferred(prefer, places, target, leaderboards)
    with writing(target):
        result, paths_written = _merge(places, target, preferred, with_verified=with_verified)
    if _same(target.parent, leaderboards):
        with writing(readme_lock(leaderboards)):
            paths_written += publish.update_readme(target, leaderboards.parent / "README.md")
    open_conflicts = [conflict for conflict in result.conflicts if preferred is None or not conflict.kept]
    if as_json:
        print_json({
            "records": len(result.records_file.records), "added": result.added, "duplicates": result.duplicates,
            "renewed": result.renewed, "withdrawn": len(result.records_file.withdrawn), "protocols": result.protocols,
            "other_versions": result.other_versions, "conflicts": result.conflicts, "written": [str(p) for p in paths_written],
        })  # fmt: skip
    else:
        _print(result, target)
    return CELLS_FAILED if open_conflicts else DONE


def _merge(
    places: Mapping[str, RecordsLocation], target: Path, preferred: str | None, *, with_verified: bool
) -> tuple[MergeResult, list[Path]]:
    """Merge locations, by name, into a suite's folder; return what came of it and the files written."""
    from ltbench.cli.running.reproduce_command import with_records
    from ltbench.leaderboard import publish
    from ltbench.leaderboard.merge import merge_facts, merge_records_files
    from ltbench.leaderboard.searched_rows import add_search
    from ltbench.leaderboard.tuned_rows import shown_records
    from ltbench.records import tuning_file
    from ltbench.records.records_file import read_records_file, records_file, records_path
    from ltbench.records.verifications import FILE as VERIFIED
    from ltbench.records.verifications import read_verifications, write_verifications

    mine = records_path(target)
    old = read_records_file(mine) if mine.exists() else records_file(())
    result = merge_records_files(old, {name: place.records_file() for name, place in places.items()}, prefer=preferred)
    source_facts = [publish.read_facts(place.path) for place in places.values() if place.kind == "suite"]
    target_facts = publish.read_facts(target) if (target / publish.FACTS).exists() else None
    facts = merge_facts(target.name, target_facts, source_facts)
    _refuse_other_boards(target, facts, target_facts.definition if target_facts else "", old.records, places)
    folders = [place.path for place in places.values() if place.kind == "suite"]
    if not old.records:
        add_search(target, folders)
    tuning_file.add_tuning(target, folders)
    facts = with_records(facts, shown_records(target, result.records_file.records))
    if with_verified:
        beside = [target, *(place.file.parent for place in places.values() if place.kind != "store")]
        known = [entry for folder in beside for entry in read_verifications(folder / VERIFIED)]
        target.mkdir(parents=True, exist_ok=True)
        write_verifications(target / VERIFIED, known)
    return result, publish.write_folder(target, facts, result.records_file)[0]


def _refuse_other_boards(
    target: Path, facts: SuiteFacts, definition: str, old: Sequence[Record], places: Mapping[str, RecordsLocation]
) -> None:
    """Raise `UsageError` if a location has records that the command of the page does not produce.

    A folder without a command accepts any record, unless it has the name of an installed suite. definition: of the
    page before the merge; records with the same definition belong to its suite.
    """
    from ltbench.leaderboard.merge import board_of
    from ltbench.leaderboard.publish import read_facts
    from ltbench.leaderboard.tuned_rows import shown_records

    suite_boards = _boards_of_suite(target.name)
    if not facts.command and not suite_boards:
        return
    # Tuned rows have another recipe and belong to the board of the defaults.
    records = {name: shown_records(place.path, place.records_file().records) for name, place in places.items()}
    old = shown_records(target, old)
    definitions = {name: read_facts(p.path).definition for name, p in places.items() if p.kind == "suite"}
    known: set[SuiteBoard] = suite_boards | {board_of(record) for record in old}
    # A new page copies the suite's facts from the merged folders.
    known = known or {board_of(record) for name in definitions for record in records[name]}
    for name, found in records.items():
        if definition and definitions.get(name) == definition:
            continue
        if other := next((record for record in found if board_of(record) not in known), None):
            s = other.setting
            recipe = ", ".join(f"{key}={written(value)}" for key, value in sorted(other.recipe.items()))
            raise UsageError(
                f"{name} has records of another data set, profile, model or recipe than {target}",
                where=f"{s.dataset}, {s.profile}, {s.model}, {recipe}",
                why="the page would mix both, and its command would not reproduce it",
                fix="use --into OTHER to create another page",
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
