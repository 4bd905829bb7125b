"""Attacks on folders of records: each function tries one kind of them and returns what was tried, survived and lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from synthetic import COLUMNS, record, write_jsonl

from ltbench.leaderboard.publish import load, render, write_folder
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record
from ltbench.records.records_file import read_records_file, records_file, records_path


class Tally(NamedTuple):
    """A row of the table of attacks."""

    attack: str
    tried: int
    lost: list[str]
    """What went wrong, one entry for each attempt that did not survive."""

    @property
    def survived(self) -> int:
        """Attempts that changed nothing that they should not."""
        return self.tried - len(self.lost)


def started(*words: str, cwd: Path) -> subprocess.Popen[str]:
    """Start a command of its own process, as a second user would."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NO_COLOR": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen([sys.executable, "-m", "ltbench", *words], cwd=cwd, env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def page_of(folder: Path, records: Sequence[Record]) -> Path:
    """Write a small page without figures."""
    folder.mkdir(parents=True, exist_ok=True)
    write_folder(folder, SuiteFacts(name=folder.name, columns=COLUMNS, figures=()), records_file(records))
    return folder


def page_fits(folder: Path) -> bool:
    """Whether all generated files are those of the records."""
    return all(path.read_text() == text for path, text in render(load(folder)).items())


def concurrent_merges(root: Path, rounds: int, writers: int) -> Tally:
    """Merge records from several processes at once into one folder; none may be missing, and the page fits them."""
    lost = []
    for number in range(rounds):
        home = root / f"merges-{number}"
        page = page_of(home / "leaderboards" / "board", [record(seed=99)])
        for seed in range(writers):
            write_jsonl(home / f"{seed}.jsonl", [record(seed=seed)])
        running = [started("merge", f"{seed}.jsonl", "--into", str(page), cwd=home) for seed in range(writers)]
        outputs = [one.communicate() for one in running]
        found = {each.setting.seed for each in read_records_file(records_path(page)).records}
        missing = sorted({*range(writers), 99} - found)
        codes = [one.returncode for one in running]
        if missing or not page_fits(page) or any(codes):
            lost.append(f"round {number}: seeds {missing} are missing, exit codes {codes}, {outputs[0][1][-200:]}")
    return Tally("merges of one folder at once", rounds, lost)


def concurrent_withdrawals(root: Path, rounds: int, writers: int) -> Tally:
    """Withdraw cells, merge others and update pages at once; every withdrawal and every record stays."""
    lost = []
    for number in range(rounds):
        home = root / f"withdrawals-{number}"
        records = [record(seed=seed) for seed in range(writers)]
        page = page_of(home / "leaderboards" / "board", records)
        write_jsonl(home / "more.jsonl", [record(seed=99)])
        running = [started("invalidate", one.id, "--reason", "leak", cwd=home) for one in records[: writers - 2]]
        running.append(started("merge", "more.jsonl", "--into", str(page), cwd=home))
        running.append(started("leaderboard", "--update", cwd=home))
        outputs = [one.communicate() for one in running]
        content = read_records_file(records_path(page))
        kept = {each.id for each in content.all_records} >= {one.id for one in [*records, record(seed=99)]}
        codes = [one.returncode for one in running]
        if len(content.invalidations) != writers - 2 or not kept or not page_fits(page) or any(codes):
            lost.append(
                f"round {number}: {len(content.invalidations)} of {writers - 2} withdrawals, "
                f"exit codes {codes}, {outputs[0][1][-200:]}"
            )
    return Tally("withdrawals, merges and updates at once", rounds, lost)


def main(argv: Sequence[str]) -> None:
    """Print the table. argv: a scratch folder, rounds, and writers at once."""
    root, rounds, writers = Path(argv[0]), int(argv[1]), int(argv[2])
    for attack in (concurrent_merges, concurrent_withdrawals):
        tally = attack(root, rounds, writers)
        sys.stdout.write(f"{tally.attack}: {tally.tried} tried, {tally.survived} survived, {len(tally.lost)} lost\n")
        sys.stdout.writelines(f"    {line}\n" for line in tally.lost)


if __name__ == "__main__":
    main(sys.argv[1:])
