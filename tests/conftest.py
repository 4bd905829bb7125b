"""Fixtures for every test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def registry():
    from ltbench.registry import Registry

    return Registry.load()
