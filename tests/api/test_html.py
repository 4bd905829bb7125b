"""Text of records and suites is text in a notebook."""

from __future__ import annotations

import pytest

from ltbench.api.html import image, preformatted, rendered
from ltbench.leaderboard.tables.markdown import code, escape, prose

HOSTILE = "<script>alert(1)</script> & <img src=x onerror=alert(1)> [a](javascript:alert(1)) `x`"


@pytest.mark.parametrize("escaped", [escape, code, prose])
def test_what_a_page_escapes_is_no_markup(escaped) -> None:
    html = rendered([f"| a |\n|---|\n| {escaped(HOSTILE)} |", "", escaped(HOSTILE)])
    assert "<script" not in html
    assert "<img" not in html
    assert "<a" not in html
    assert "&lt;script&gt;" in html


def test_lines_and_descriptions_of_figures_are_no_markup() -> None:
    assert preformatted(HOSTILE).count("<") == 2
    shown = image("<svg onload='alert(1)'/>", '"><script>alert(1)</script>')
    assert shown.count("<") == 3
    assert "onload" not in shown
