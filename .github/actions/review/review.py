"""Review a repository of results: pages that fit their records, and submissions of others that can be repeated.

    python review.py [--leaderboards DIR] [--submissions DIR] [--rerun K] [--comment FILE]

A submission is a folder with records, DIR/SUITE/NAME/. Each is audited, K of its cells are trained again, and it is merged into a copy of
the page leaderboards/SUITE, or into a new page. A file that belongs to no submission is an error, as nobody would look at it. The comment is a
summary in markdown, with what the commands print. Nothing in the repository changes. Exit code 1 if anything is wrong. `action.yml` runs this.
"""

from __future__ import annotations

import argparse
import itertools
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ltbench.core.printable import printable

MOST = 60_000
"""Characters of the comment; hosts refuse more than 65,536."""
LONGEST = 200
"""Characters of a name in it."""
RECORDS = ("records.jsonl", "records.jsonl.gz")
NOTES = ("README.md", ".gitkeep", ".gitignore")


class Step(NamedTuple):
    """A command that was run, or what was found without one."""

    what: str
    words: list[str]
    code: int
    output: str


def run(what: str, words: Sequence[str | Path]) -> Step:
    """Run a command of ltbench, and print what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "ltbench", *map(str, words)], capture_output=True, text=True, errors="replace", check=False
    )  # fmt: skip
    return _told(
        Step(what, ["ltbench", *map(str, words)], done.returncode, printable((done.stdout + done.stderr).strip()))
    )


def _told(step: Step) -> Step:
    # No line begins with what a submission says: hosts take `::` at the beginning of a line of a log as a command.
    text = (
        f"$ {printable(shlex.join(step.words), lines=False)}\n"
        if step.words
        else f"{printable(step.what, lines=False)}\n"
    )
    for line in f"{text}{step.output}\nexit code {step.code}".splitlines():
        print(f"| {line}", flush=True)
    return step


def steps(leaderboards: Path, submissions: Path, rerun: int, readme: Path) -> Iterator[Step]:
    """Run all steps."""
    if leaderboards.is_dir():
        given: list[str | Path] = [
            "leaderboard",
            "--check",
            "--leaderboards",
            leaderboards,
        ]
        given += ["--readme", readme] if readme.is_file() else []
        yield run("published pages fit their records", given)
    folders, others = found(submissions)
    if others:
        output = printable("\n".join(str(path) for path in others))
        yield _told(Step(f"{submissions}: files that belong to no submission, or are links", [], 1, output))
    for folder in folders:
        name = folder.relative_to(submissions).as_posix()
        yield run(
            f"{name}: records are valid, {rerun} trained again", ["verify", folder, "--rerun", str(rerun), "--dry"]
        )
        page = leaderboards / folder.relative_to(submissions).parts[0]
        what = f"can be merged into {page.name}" if page.is_dir() else f"can become the new page {page.name}"
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place) / page.name
            if page.is_dir():
                shutil.copytree(page, copy, symlinks=True)
            yield run(f"{name}: {what}", ["merge", folder, "--into", copy])


def found(submissions: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders of submissions, and what belongs to none: links, and files in other places."""
    if submissions.is_symlink():
        return [], [submissions]
    paths = sorted(submissions.rglob("*"))
    links = [path for path in paths if path.is_symlink()]
    files = [path for path in paths if path.is_file() and not path.is_symlink()]
    folders = {path.parent for path in files if path.name in RECORDS and path.parent.parent.parent == submissions}
    # The others explain a folder, or keep it in git.
    rest = [path for path in files if folders.isdisjoint(path.parents) and path.name not in NOTES]
    return sorted(folders), [*links, *rest]


def comment(done: Sequence[Step]) -> str:
    """Return the summary in markdown. What commands print is shown as it is, but only as text."""
    if not done:
        return "## ltbench\n\nThere are neither published pages nor submissions.\n"
    order = sorted(done, key=lambda step: not step.code)  # what failed first, as the rest may be cut
    rows = [f"| {_code(step.what)} | {f'**exit code {step.code}**' if step.code else 'ok'} |" for step in order]
    details = [_details(step, max(1_000, MOST // 3 // len(order))) for step in order]
    shown = [_within(MOST // 2, part) for part in (rows, details)]
    cut = [["", f"All {len(order):,} steps are in the log."]] if sum(map(len, shown)) < 2 * len(order) else []
    return "\n".join(line for part in (["## ltbench", "", "| | |", "|---|---|"], *shown, *cut) for line in part) + "\n"


def _within(most: int, blocks: Sequence[str]) -> list[str]:
    """Return the first blocks that have so many characters together."""
    totals = itertools.accumulate(len(block) + 1 for block in blocks)
    return [block for block, total in zip(blocks, totals, strict=True) if total <= most]


def _details(step: Step, most: int) -> str:
    """Return what a step printed, as text that is folded."""
    # So many backticks in a row that the fence has to be longer than the text say nothing.
    output = re.sub("`{50,}", "`" * 50, step.output)
    output = output if len(output) <= most else f"{output[:most]}\n... cut; the log has all"
    fence = "`" * (1 + max([2, *map(len, re.findall("`+", output))]))
    summary = _code(shlex.join(step.words) or step.what)
    return f"\n<details><summary>{summary}</summary>\n\n{fence}text\n{output}\n{fence}\n\n</details>"


def _code(text: str) -> str:
    """Return a text as code in a line of markdown, in which hosts make neither links nor mentions."""
    shown = printable(text, lines=False)
    shown = f"{shown[:LONGEST]}..." if len(shown) > LONGEST else shown
    # `:` too: markdown makes a link of an address even there.
    escaped = "".join(c if c.isalnum() or c in " -./," else f"&#{ord(c)};" for c in shown)
    return f"<code>{escaped}</code>"


def main(given: Sequence[str] | None = None) -> int:
    """Run the steps, write the comment, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaderboards", type=Path, default=Path("leaderboards"))
    parser.add_argument("--submissions", type=Path, default=Path("submissions"))
    parser.add_argument("--readme", type=Path, default=Path("README.md"))
    parser.add_argument("--rerun", type=int, default=1, metavar="K")
    parser.add_argument("--comment", type=Path, default=Path("review.md"), metavar="FILE")
    args = parser.parse_args(given)
    done = list(steps(args.leaderboards, args.submissions, args.rerun, args.readme))
    args.comment.unlink(missing_ok=True)  # a link would lead elsewhere
    args.comment.write_text(comment(done), encoding="utf-8")
    return 1 if any(step.code for step in done) else 0


if __name__ == "__main__":
    sys.exit(main())
