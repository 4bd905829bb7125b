"""Fixtures for the pages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Start the process that forks for every command; return the socket that it listens at."""
    socket = tmp_path_factory.mktemp("warm") / "socket"
    path = os.pathsep.join(filter(None, sys.path))
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("warm.py")), str(socket)],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "MPLBACKEND": "svg"},
    )
    try:
        yield socket
    finally:
        process.terminate()
        process.wait()
