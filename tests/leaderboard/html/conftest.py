"""A headless Chromium that has no network, and reports to open in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from reports import FACTS, loaded

from ltbench.leaderboard.html.document import document
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium is installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        # The sandbox of Chromium refuses to work for root, which is who runs tests in a container.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open a file; in the end the page must have said nothing, failed in nothing and asked for nothing else."""
    troubles: list[str] = []
    contexts = []

    def visit(file: Path, width: int = 1280, scheme: str = "light", fragment: str = "") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", lambda message: troubles.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on("request", lambda request: troubles.append(request.url) if request.url != address else None)
        page.on("dialog", lambda dialog: troubles.append(f"dialog: {dialog.message}"))
        address = file.as_uri()
        page.goto(address + fragment)
        page.wait_for_selector("html[data-ready]")
        return page

    yield visit
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def opened(visit: Callable[..., Page], tmp_path: Path) -> Callable[..., Page]:
    """Make the report of records and open it."""

    def opened(records: list[Record], facts: SuiteFacts = FACTS, **how: object) -> Page:
        file = tmp_path / "report.html"
        file.write_text(document(loaded(records, facts)), encoding="utf-8")
        return visit(file, **how)

    return opened
