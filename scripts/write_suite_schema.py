"""Write the JSON schema of suite files for editors, and the tables of keys in docs/reference/suite.md.

    python scripts/write_suite_schema.py [--check]

--check fails, with exit code 5, where one of them is not the one of the code.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ltbench.core.generated_files import read_text, splice
from ltbench.suite.schema import key_table, schema_text

ROOT = Path(__file__).parents[1]
SCHEMA, PAGE = ROOT / "ltbench" / "suite" / "suite.schema.json", ROOT / "docs" / "reference" / "suite.md"
OUT_OF_DATE = 5


def generated() -> dict[Path, str]:
    """Return the text of each generated file."""
    page = splice(read_text(PAGE), "keys", lambda table: ["", *key_table(table), ""], PAGE.name)
    return {SCHEMA: schema_text(), PAGE: page}


def main() -> int:
    """Write the files, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="fail where a file is out of date")
    check = parser.parse_args().check
    stale = {path: text for path, text in generated().items() if read_text(path) != text}
    for path, text in stale.items():
        if check:
            print(f"{path.name} is out of date; run: python scripts/write_suite_schema.py", file=sys.stderr)
            return OUT_OF_DATE
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
