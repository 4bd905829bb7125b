"""Attacks on runs: by others that write the same page, and the tests of this folder that strike a run again and again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from faults.tally import Tally, finished, page_fits, started
from support import suite_source

from ltbench.errors import WRONG_USAGE
from ltbench.records.records_file import read_records_file, records_path

FILES = ("kills", "signals", "limits", "clocks", "damage", "disk", "dask", "tuning_and_search")
"""Names of tests/faults/test_*.py. Each of their slow tests strikes 20 times, or 3 times where it strikes what tunes and searches."""
_PAGE = "leaderboards/local/tiny"


def concurrent_runs(root: Path, rounds: int, writers: int) -> Tally:
    """Run into one page from several stores: together with merges, a withdrawal and an update, and with runs of another suite."""
    lost, home = [], root / "runs"
    home.mkdir(parents=True)
    recipe = {"steps": 2, "batch_size": 16, "lr": 0.05, "precision": "fp32"}
    for name, steps in (("tiny", 2), ("other", 3)):
        changes = {"techniques": ["mixup"], "seeds": [0], "models": ["convnet[width=4]"]}
        (home / f"{name}.toml").write_text(suite_source("tiny", recipe | {"steps": steps}, **changes))

    def run(place: Path, suite: str, store: str, *options: str) -> subprocess.Popen[str]:
        place.mkdir(exist_ok=True)
        words = ("run", "--suite", str(home / f"{suite}.toml"), "--executor", "inline", "--store", store)
        return started(*words, *options, cwd=place)

    cells = {}
    for name, suite, seeds in (("own", "tiny", "0"), ("more", "tiny", "1"), ("other", "other", "0")):
        assert finished(run(home / name, suite, "store", "--seeds", seeds, "--name", "tiny"))[0] == 0
        cells[name] = read_records_file(records_path(home / name / _PAGE)).records
    for number in range(rounds):
        place = home / f"{number}-together"
        shutil.copytree(home / "own" / "leaderboards", place / "leaderboards")
        more = str(home / "more" / _PAGE / "records.jsonl")
        running = [run(place, "tiny", f"store-{store}") for store in range(writers - 3)]
        running.append(started("merge", more, "--into", _PAGE, cwd=place))
        running.append(started("invalidate", cells["own"][0].id, "--reason", "leak", cwd=place))
        running.append(started("leaderboard", "--update", cwd=place))
        ended = [finished(process) for process in running]
        content = read_records_file(records_path(place / _PAGE))
        ids = {one.id for one in content.all_records}
        missing = sorted({one.id for one in (*cells["own"], *cells["more"])} - ids)
        if missing or len(content.invalidations) != 1 or not page_fits(place / _PAGE) or any(one[0] for one in ended):
            lost.append(f"together: {missing} are missing, exit codes {[one[0] for one in ended]} {ended[0][2][-300:]}")

        place = home / f"{number}-against"
        suites = [("own", "tiny"), ("other", "other")] * (writers // 2)
        processes = [run(place, suite, f"store-{store}") for store, (_, suite) in enumerate(suites)]
        ended = [finished(process) for process in processes]
        ids = {one.id for one in read_records_file(records_path(place / _PAGE)).records}
        first = next((name for name in ("own", "other") if ids == {one.id for one in cells[name]}), "none of both")
        codes = [0 if name == first else WRONG_USAGE for name, _ in suites]
        told = all("would be lost" in one[2] for one in ended if one[0] == WRONG_USAGE)
        if [one[0] for one in ended] != codes or not told or not page_fits(place / _PAGE):
            lost.append(f"against: the page of {first}, exit codes {[one[0] for one in ended]} {ended[0][2][-300:]}")
    return Tally("runs into one page at once", 2 * rounds, lost)


def struck_runs(root: Path, rounds: int, writers: int) -> Tally:
    """Strike runs by kills, signals, hangs, full disks, damage and moved clocks. rounds and writers: not used, as tests say how often."""
    here = Path(__file__).parent
    report = root / "struck.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    words = ["-q", "-m", "slow", "-p", "no:cacheprovider", f"--junit-xml={report}", f"--basetemp={root / 'struck'}"]
    tests = [str(here / f"test_{name}.py") for name in FILES]
    subprocess.run(
        [sys.executable, "-m", "pytest", *words, *tests], cwd=here.parents[1], capture_output=True, check=False
    )
    lost, not_run, tried = [], [], 0
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}, {case.get('name')}"
        if (skipped := case.find("skipped")) is not None:
            not_run.append(f"{name}: {skipped.get('message')}")
            continue
        tried += 1
        lost += [
            f"{name}: {(found.get('message') or '')[-400:]}" for found in (*case.iter("failure"), *case.iter("error"))
        ]
    return Tally("tests that strike a run 20 times", tried, lost, "; ".join(not_run))
