"""A run that observers watch."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from support import call, records_of

CURVE = 2


def watched(folder: Path, *observers: str) -> dict[str, dict]:
    """Run three cells in a folder with observers; return their records by id."""
    at = [f"--{option}={folder / option}" for option in ("store", "leaderboards")]
    for name in ("store", "leaderboards"):
        shutil.rmtree(folder / name, ignore_errors=True)
    done = call(
        "run", "--plugins", "cb_sampler", "--models", "convnet[width=4]", "--imbalance-factors", "100", "--seeds", "0,1", "--set", "epochs=2",
        "--set", "precision=fp32", "--executor", "inline", *at, *(word for text in observers for word in ("--observe", text)),
    )  # fmt: skip
    assert done.return_value == 0
    assert not re.search("warning: observer", done.stderr)
    (page,) = (folder / "leaderboards" / "local").glob("*/records.jsonl")
    return {record["id"]: record for record in records_of(page.parent)}
