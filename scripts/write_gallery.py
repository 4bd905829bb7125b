"""Write docs/gallery.md: the figures of all published leaderboards.

    python scripts/write_gallery.py [--check]

--check fails, with exit code 5, where the page is not the one of the leaderboards.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "gallery.md"
OUT_OF_DATE = 5
_FIGURE = re.compile(r"^!\[(?P<what>.*)\]\((?P<file>figures/[^)]+)\)$", re.MULTILINE)
_TITLE = re.compile(r"^# (.+)$", re.MULTILINE)


def gallery() -> str:
    """Return the page, in markdown."""
    lines = [
        "# Gallery",
        "",
        "The figures of all published leaderboards, as `ltbench leaderboard --update` draws them from their records. Written by",
        "`scripts/write_gallery.py`.",
    ]
    for page in sorted((ROOT / "leaderboards").glob("*/README.md")):
        text = page.read_text(encoding="utf-8")
        if figures := list(_FIGURE.finditer(text)):
            title = _TITLE.search(text)
            place = f"../leaderboards/{page.parent.name}"
            lines += [
                "",
                f"## {title[1] if title else page.parent.name}",
                "",
                f"[{page.parent.name}]({place}/README.md)",
            ]
            for figure in figures:
                lines += ["", f"![{figure['what']}]({place}/{figure['file']})"]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="fail where the page is out of date")
    check, text = parser.parse_args().check, gallery()
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if check:
        print(f"{PAGE.name} is out of date; run: python scripts/write_gallery.py", file=sys.stderr)
        return OUT_OF_DATE
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
