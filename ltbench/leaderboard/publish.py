"""Write, render and check the files of leaderboards.

A suite's folder has `records.jsonl` and `suite.json`, the source, and `README.md`, `table.csv`, `effects.csv` and
`figures/`, which are rendered from them alone: rendering needs neither plugins nor the suite. Large records and tables are
compressed (`records.jsonl.gz`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

import msgspec

from ltbench.columns import Column
from ltbench.core.generated_files import diff_text, display_path, read_text, splice
from ltbench.errors import OutOfDate, RecordError, UnknownName, UsageError
from ltbench.leaderboard.figures import FOLDER, place_figures
from ltbench.leaderboard.figures.canvas import is_current, svg
from ltbench.leaderboard.file_forms import EFFECTS, SHEET, reformed_records, tables_there, with_forms
from ltbench.leaderboard.page.answer import answer
from ltbench.leaderboard.page.claim_verdicts import Verdict, judge
from ltbench.leaderboard.page.missing_metrics import mark_missing_metrics, missing_metrics
from ltbench.leaderboard.page.page import failure_numbers, group_failures, page
from ltbench.leaderboard.page.readme_block import claims_block, compact_block
from ltbench.leaderboard.page.search_section import search_notice
from ltbench.leaderboard.page.verification_notes import VerificationNotes, mark_self_reported, verification_notes
from ltbench.leaderboard.searched_rows import with_cells_of_page
from ltbench.leaderboard.statistics.analysis import Analysis, analyse
from ltbench.leaderboard.statistics.record_groups import group_records
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.leaderboard.tables.columns import columns_of, installed_columns
from ltbench.leaderboard.tables.csv import effects_csv, table_csv
from ltbench.leaderboard.tables.published_rows import with_published
from ltbench.leaderboard.tables.table import Board, make_boards
from ltbench.leaderboard.tuned_rows import with_tuned_rows
from ltbench.records.json_file import read_json
from ltbench.records.locations import published
from ltbench.records.merging import merge
from ltbench.records.record import Record, sort_key
from ltbench.records.records_file import FILE as RECORDS
from ltbench.records.records_file import (
    RecordsFile,
    read_records_file,
    records_file,
    records_path,
    write_records_file,
)
from ltbench.records.search_file import FILE as SEARCH
from ltbench.records.search_file import Searched, read_search
from ltbench.records.tuning_file import FILE as TUNING
from ltbench.records.tuning_file import TunedRow, read_tuning
from ltbench.records.verifications import FILE as VERIFIED
from ltbench.records.verifications import read_verifications, verification_status
from ltbench.records.written_files import write_atomic

FACTS, PAGE = "suite.json", "README.md"
Refresh = Callable[[SuiteFacts], SuiteFacts]


class SuiteFolder(msgspec.Struct, frozen=True, dict=True):
    """The content of a suite's folder, and the boards made of it."""

    folder: Path
    facts: SuiteFacts
    records: list[Record]
    """Records that count, in their fixed order."""
    columns: tuple[Column, ...]
    """How its numbers are shown."""
    boards: list[Board]
    records_file: RecordsFile
    trust: VerificationNotes
    tuned: list[TunedRow] = []
    """How its rows were tuned."""
    searched: Searched | None = None
    """What a search has run; None for a page that shows all rows of its suite."""

    # Once for page, README, report and terminal: of ten thousand records they take seconds.
    @cached_property
    def analyses(self) -> list[Analysis]:
        """Effects, interactions and variances of each board."""
        return analyse(group_records(self.records, self.facts.metric, self.columns), self.facts.screen_pairs)

    @cached_property
    def answer(self) -> list[str]:
        """The answer of the page in a few sentences."""
        return [*search_notice(self.searched), *answer(self.boards, self.analyses, self.judged_claims)]

    @cached_property
    def judged_claims(self) -> list[Verdict]:
        """The verdicts on the claims of the suite, as on its page."""
        return judge(self.facts.claims, self.facts.reported, [one.group for one in self.analyses])


def add_records(old: RecordsFile, new: Iterable[Record], *, replace: bool = False) -> RecordsFile:
    """Return a records file with new records; withdrawn ones stay withdrawn.

    replace: whether a new record replaces one of the same cell that another type of machine has made.
    """
    fresh = records_file(new, old.invalidations, withdrawn_elsewhere=old.withdrawn)
    withdrawn = [*old.withdrawn, *fresh.withdrawn]
    return records_file([*merge(old.records, fresh.records, replace=replace), *withdrawn], old.invalidations)


def write_folder(folder: Path, facts: SuiteFacts, content: RecordsFile) -> tuple[list[Path], SuiteFolder]:
    """Write all files of a suite's folder; return their paths and the content."""
    # The sources first: if a later write fails, everything else can be rendered from them.
    records = write_records_file(folder / RECORDS, content)
    write_atomic(folder / FACTS, facts_text(facts).encode())
    loaded = _suite_folder(folder, facts, content)
    files = render(loaded)
    for target, text in files.items():
        write_atomic(target, text.encode())
    for path in _surplus_files(loaded, files):
        path.unlink(missing_ok=True)
    return [*files, records, folder / FACTS], loaded


def facts_text(facts: SuiteFacts) -> str:
    """Return the content of the file of facts."""
    return msgspec.json.format(msgspec.json.encode(facts), indent=2).decode() + "\n"


def load(folder: Path, metric: str = "") -> SuiteFolder:
    """Read a suite's folder. Raises `RecordError` naming file, line and field.

    metric: what to rank by, in place of what its suite says.
    """
    facts, content = read_folder(folder)
    return _suite_folder(folder, facts, content, metric)


def read_folder(folder: Path) -> tuple[SuiteFacts, RecordsFile]:
    """Read facts and records of a suite's folder. Raises `RecordError` naming file, line and field."""
    path = records_path(folder)
    return read_facts(folder), read_records_file(path) if path.exists() else records_file(())


def read_facts(folder: Path) -> SuiteFacts:
    """Read the facts of a suite's folder. Raises `RecordError` naming the file."""
    path = folder / FACTS
    if not path.exists():
        return SuiteFacts(name=folder.name)
    return read_json(path, SuiteFacts, "the facts of a suite cannot be read")


def _suite_folder(folder: Path, facts: SuiteFacts, content: RecordsFile, metric: str = "") -> SuiteFolder:
    """Return the content of a folder, ranked by `metric` if one is asked for, else by what its facts say."""
    stated, facts = facts.metric, msgspec.structs.replace(facts, metric=metric or facts.metric)
    status = verification_status(read_verifications(folder / VERIFIED), content.all_records)
    tuned = read_tuning(folder / TUNING)
    records = sorted(with_tuned_rows(content.records, tuned), key=sort_key) if tuned else content.records
    columns = columns_of(records, facts.columns or installed_columns(), facts.metric)
    try:
        boards = make_boards(records, facts.seeds, columns, facts.reference, facts.metric, facts.method_parts)
    except UsageError as error:
        if facts.metric != stated:
            raise  # what was asked for, not the page, is wrong
        raise RecordError(
            f"the page {display_path(folder)} cannot be ranked: {error.what}",
            where=f"`metric` in {display_path(folder / FACTS)}",
            why=error.why,
            fix=f"{error.fix}; correct it there" if error.fix else "correct it there",
        ) from None
    boards = with_published(boards, facts.reported)
    if (searched := read_search(folder / SEARCH)) is not None:
        searched = with_cells_of_page(searched, records)
        # What a search leaves out is not missing.
        boards = [msgspec.structs.replace(board, missing=[]) for board in boards]
    marked = mark_self_reported(boards, records, status)
    return SuiteFolder(
        folder=folder,
        facts=facts,
        records=records,
        columns=columns,
        boards=mark_missing_metrics(marked, missing_metrics(records)),
        records_file=content,
        trust=verification_notes(content, status),
        tuned=tuned,
        searched=searched,
    )


def folders(root: Path) -> list[Path]:
    """Return the folders of published suites below `root`, by name."""
    return [place.path for place in published(root)]


def render(loaded: SuiteFolder) -> dict[Path, str]:
    """Return the generated files of a suite's folder, path -> text.

    A figure that shows the same data is kept: drawing takes long, and another matplotlib draws other bytes.
    """
    facts = loaded.facts
    analyses = loaded.analyses
    with_columns = msgspec.structs.replace(facts, columns=loaded.columns)
    figures = place_figures(with_columns, loaded.records, analyses, loaded.boards)
    text = page(facts, loaded.records, loaded.boards, figures, loaded.trust, analyses, loaded.tuned, loaded.searched)
    text, tables = with_forms(loaded.folder, text, {SHEET: table_csv(loaded.boards), EFFECTS: effects_csv(analyses)})
    files = {loaded.folder / PAGE: text, **tables}
    for drawing in (drawing for one in figures for drawing in one.drawings):
        path = loaded.folder / FOLDER / drawing.name
        before = read_text(path)
        files[path] = before if is_current(drawing, before) else svg(drawing)
    return files


def _surplus_files(loaded: SuiteFolder, files: Iterable[Path]) -> list[Path]:
    """Return figures that the page no longer shows, and tables in the form that they no longer have."""
    there = {*(loaded.folder / FOLDER).glob("*.svg"), *tables_there(loaded.folder)}
    return sorted(there.difference(files))


def update(root: Path, readme: Path | None = None, refresh: Refresh | None = None) -> list[Path]:
    """Render all published suites below `root` and the tables of `readme`; return the changed files.

    refresh: returns facts with what the file of the suite says now; by default they stay.
    """
    files = list(_rendered_files(root, readme, refresh))
    changed = [path for path, text in files if text is not None and write_atomic(path, text.encode())]
    gone = [path for path, text in files if text is None]
    for path in gone:
        path.unlink(missing_ok=True)
    return changed + gone


def check(root: Path, readme: Path | None = None, refresh: Refresh | None = None) -> list[Path]:
    """Return the generated files; raise `OutOfDate` with a diff and the command that fixes it if one is out of date."""
    files = list(_rendered_files(root, readme, refresh))
    stale = [(path, text) for path, text in files if text is None or read_text(path) != text]
    if stale:
        names = ", ".join(display_path(path) for path, _ in stale)
        command = f"ltbench leaderboard --update{'' if refresh is None else ' --from-suites'}"
        options = [] if root == Path("leaderboards") else ["--leaderboards", display_path(root)]
        options += [] if readme is None or readme == Path("README.md") else ["--readme", display_path(readme)]
        fix = shlex.join([*command.split(), *options])
        raise OutOfDate(f"differs from the records: {names}\n{diff_text(stale)}", fix=fix)
    return [path for path, _ in files]


def _rendered_files(root: Path, readme: Path | None, refresh: Refresh | None) -> Iterator[tuple[Path, str | None]]:
    """Yield (file, text) of all generated files; the text is None for a file to remove."""
    suites = []
    for folder in folders(root):
        before, content = read_folder(folder)
        facts = before if refresh is None else refresh(before)
        suites.append(_suite_folder(folder, facts, content))
        yield from reformed_records(folder)
        if facts != before:
            yield folder / FACTS, facts_text(facts)
    for loaded in suites:
        files = render(loaded)
        yield from files.items()
        yield from ((path, None) for path in _surplus_files(loaded, files))
    if readme is not None and readme.is_file():
        by_name = {loaded.folder.name: loaded for loaded in suites}

        def block(suite: str) -> list[str]:
            if suite not in by_name:
                raise UnknownName.of("leaderboard", suite, by_name, where=f"{display_path(readme)} asks for it")
            return _block(by_name[suite], readme)

        text = splice(read_text(readme), "leaderboard", block, display_path(readme))
        yield readme, splice(text, "claims", lambda _: _claims(suites, readme), display_path(readme))


def update_readme(folder: Path, readme: Path) -> list[Path]:
    """Renew the table of one suite in a README, where it has one, and the table of claims; return the changed files."""
    if not readme.is_file():
        return []
    loaded = load(folder)
    text = splice(read_text(readme), "leaderboard",
                  lambda suite: _block(loaded, readme) if suite == folder.name else None, display_path(readme))  # fmt: skip
    if loaded.facts.claims:
        suites = [load(path) for path in folders(folder.parent)]
        text = splice(text, "claims", lambda _: _claims(suites, readme), display_path(readme))
    return [readme] if write_atomic(readme, text.encode()) else []


def _block(loaded: SuiteFolder, readme: Path) -> list[str]:
    failures = failure_numbers(group_failures(loaded.records))
    return compact_block(loaded.boards, failures, _link(loaded, readme), loaded.answer)


def _claims(suites: Iterable[SuiteFolder], readme: Path) -> list[str]:
    return claims_block(
        [(each.facts.name, _link(each, readme), each.judged_claims) for each in suites if each.facts.claims]
    )


def _link(loaded: SuiteFolder, readme: Path) -> str:
    return Path(os.path.relpath(loaded.folder / PAGE, readme.parent)).as_posix()
