"""Which form the files of a page have: as they are, or compressed if they are large."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ltbench.core import compressed_file
from ltbench.records.records_file import FILE as RECORDS
from ltbench.records.records_file import records_path

SHEET: Final = "table.csv"
EFFECTS: Final = "effects.csv"


def with_forms(folder: Path, page: str, tables: Mapping[str, str]) -> tuple[str, dict[Path, str]]:
    """Return the text of a page with links to the files that there are, and its tables in CSV by path.

    tables: by the names that the page has.
    """
    paths = {name: compressed_file.form_for(folder / name, text.encode()) for name, text in tables.items()}
    named = {name: path.name for name, path in paths.items()} | {RECORDS: _records_form(folder).name}
    for name, link in named.items():
        page = page.replace(f"[`{name}`]({name})", f"[`{link}`]({link})")
    return page, {paths[name]: text for name, text in tables.items()}


def tables_there(folder: Path) -> set[Path]:
    """Return the files of tables in CSV that are there, in any form."""
    return {form for name in (SHEET, EFFECTS) for form in compressed_file.forms(folder / name) if form.is_file()}


def reformed_records(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Yield (file, text) of the records if they do not have the form for their size, or have both; None for one to remove."""
    there = [form for form in compressed_file.forms(folder / RECORDS) if form.is_file()]
    right = _records_form(folder)
    if there and there != [right]:
        yield right, compressed_file.read(records_path(folder)).decode()
        yield from ((form, None) for form in there if form != right)


def _records_form(folder: Path) -> Path:
    path = records_path(folder)
    return compressed_file.form_for(path, compressed_file.read(path)) if path.is_file() else path
