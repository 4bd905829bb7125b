"""The repository stays small enough to be cloned in a minute."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ltbench.core import compressed_file

ROOT = Path(__file__).resolve().parents[1]
MOST = 60_000_000


def test_committed_files_are_below_60_mb_and_large_records_are_compressed() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git repository")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    files = [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]
    assert len(files) > 1000
    assert sum(path.stat().st_size for path in files) < MOST
    large = [
        path.name for path in files if path.name == "records.jsonl" and path.stat().st_size > compressed_file.LIMIT
    ]
    assert not large
