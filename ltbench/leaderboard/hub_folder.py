"""A folder that a hub of data sets shows and the library datasets of Hugging Face reads: numbers, leaderboard, records, card.

README.md           the card, with the metadata that the library reads
numbers.parquet     one row for each cell and metric, as `ltbench export` writes them
leaderboard.parquet     the tables of the page
records.jsonl, suite.json, ...   what both come from: ltbench renders, compares and verifies them
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ltbench.core import atomic_files
from ltbench.core.words import counted
from ltbench.errors import UsageError
from ltbench.leaderboard.export import encode_table, table_of
from ltbench.leaderboard.publish import FACTS, facts_text, load
from ltbench.leaderboard.tables.csv import table_csv
from ltbench.leaderboard.tables.markdown import escape
from ltbench.records.page_sources import BESIDE, beside
from ltbench.records.records_file import FILE, encode
from ltbench.records.written_files import write_atomic

if TYPE_CHECKING:
    from ltbench.leaderboard.publish import SuiteFolder
    from ltbench.records.locations import RecordsLocation

CARD: Final = "README.md"
NUMBERS: Final = "numbers.parquet"
LEADERBOARD: Final = "leaderboard.parquet"
_MARK = "<!-- written by ltbench export -->"
"""Shows that a folder may be written again."""


def write_hub_folder(place: RecordsLocation, folder: Path) -> list[Path]:
    """Write the folder of a leaderboard; return its files. The same records give the same bytes.

    Raises `UsageError` for records without a page, for a folder with other files, or without pyarrow.
    """
    if place.kind != "suite":
        raise UsageError(
            f"{place.path} is a {place.kind} and has no page", fix="give the name or the folder of a leaderboard"
        )
    import pandas as pd

    _check_free(folder)
    content = load(place.path)
    files = {
        NUMBERS: encode_table(table_of(place), "parquet"),
        # The library reads all files of a folder as one format.
        LEADERBOARD: encode_table(pd.read_csv(io.StringIO(table_csv(content.boards))), "parquet"),
        FILE: encode(place.records_file()),
        FACTS: facts_text(content.facts).encode(),
        **{name: (place.path / name).read_bytes() for name in beside(place.path)},
        CARD: card(content).encode(),  # last, because it shows that the folder is one of these
    }
    with atomic_files.os_errors_as_store_errors(
        f"{folder} cannot be written", folder, elsewhere=atomic_files.OTHER_TARGET
    ):
        folder.mkdir(parents=True, exist_ok=True)
        for name in BESIDE:
            if name not in files:  # of an earlier state of the page
                (folder / name).unlink(missing_ok=True)
    for name, text in files.items():
        write_atomic(folder / name, text)
    return [folder / name for name in files]


def card(content: SuiteFolder) -> str:
    """Return the card of a leaderboard, in markdown with metadata in YAML."""
    facts = content.facts
    sources = ", ".join(f"`{name}`" for name in (FILE, FACTS, *beside(content.folder)))
    protocols = ", ".join(sorted({record.protocol for record in content.records}))
    lines = [
        "---",
        # JSON is YAML, with every character of foreign text as it is.
        f"pretty_name: {json.dumps(facts.title or facts.name, ensure_ascii=False)}",
        "task_categories: [image-classification]",
        "tags: [long-tailed, class-imbalance, benchmark, ltbench]",
        "configs:",
        *_config("numbers", NUMBERS, is_default=True),
        *_config("leaderboard", LEADERBOARD),
        "---",
        "",
        _MARK,
        "",
        f"# {escape(facts.title or facts.name)}",
        "",
        *([escape(facts.question), ""] if facts.question else []),
        *(f"- {escape(sentence)}" for sentence in content.answer),
        "",
        f"{counted(len(content.records), 'record')} of ltbench, protocol {escape(protocols)}.",
        "",
        "## Files",
        "",
        f"- `{NUMBERS}` (`numbers`): a row for each cell and metric. `docs/data-format.md` of ltbench describes the columns.",
        f"- `{LEADERBOARD}` (`leaderboard`): a row for each combination, data set and imbalance factor, as the page ranks them.",
        f"- {sources}: the records. `ltbench leaderboard FOLDER` shows the page, `ltbench verify FOLDER` audits it.",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        'numbers = load_dataset("FOLDER", "numbers", split="train").to_pandas()',
        "```",
        "",
    ]
    if facts.own_command:
        lines += ["## Reproduce", "", "```bash", facts.own_command, "```", ""]
    return "\n".join(lines)


def _config(name: str, file: str, *, is_default: bool = False) -> list[str]:
    return [
        f"- config_name: {name}",
        *(["  default: true"] if is_default else []),
        "  data_files:",
        "  - split: train",
        f"    path: {file}",
    ]


def _check_free(folder: Path) -> None:
    """Raise `UsageError` unless a folder is empty, missing, or one that was written here."""
    if folder.is_dir():
        there = {path.name for path in folder.iterdir()}
        own = {NUMBERS, LEADERBOARD, FILE, FACTS, *BESIDE, CARD, ".git", ".gitattributes"}
        card_there = folder / CARD
        is_own = CARD in there and _MARK in card_there.read_text(encoding="utf-8", errors="replace")
        if there and not (is_own and there <= own):
            raise UsageError(
                f"{folder} has other files", fix="give a new folder, or one that --to-hub-folder has written"
            )
    elif folder.exists():
        raise UsageError(f"{folder} is no folder", fix="give a new folder")
