"""Files in a store that are not what was written: found, set aside, told, and made again."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from dask_processes import executor_options
from support import ltbench
from trial import Trial

ROUNDS, HARMS = 6, 4


def truncate(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


def flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def replace_by_foreign(path: Path, chance: random.Random) -> None:
    """Put another file of the same name in its place: of another artefact, or the record of another cell."""
    others = [p for p in path.parents[2].rglob("*") if p.is_file() and p != path and p.suffix == path.suffix]
    others = [p for p in sorted(others) if p.read_bytes() != path.read_bytes()]
    shutil.copyfile(chance.choice(others), path)


def remove(path: Path, chance: random.Random) -> None:
    path.unlink()


def add_foreign(path: Path, chance: random.Random) -> None:
    (path.parent / "stray.bin").write_bytes(b"of somebody else")


class Family:
    """What of a store belongs together."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.specs = {p.parent.name: json.loads(p.read_text())["spec"] for p in store.glob("jobs/*/*/meta.json")}
        self.cells = {p.stem: json.loads(p.read_text())["spec"]["members"] for p in store.glob("records/*/*.json")}

    def folder(self, key: str) -> Path:
        return self.store / "jobs" / key[:2] / key

    def record(self, key: str) -> Path:
        return self.store / "records" / key[:2] / f"{key}.json"

    def forget(self, fit: str, *, predictions: bool) -> set[str]:
        """Remove what was made from a fit, so that it is read again; return the keys of that."""
        cells = {cell for cell, members in self.cells.items() if fit in members}
        for cell in cells:
            self.record(cell).unlink(missing_ok=True)
        gone = {key for key, spec in self.specs.items() if spec.get("fit") == fit} if predictions else set()
        for key in gone:
            shutil.rmtree(self.folder(key), ignore_errors=True)
        return cells | gone


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["local", "dask"])
def test_damage_is_found_set_aside_told_and_made_again(kind: str, undisturbed: Trial, tmp_path: Path) -> None:
    chance = random.Random(9)
    shutil.copytree(undisturbed.folder, tmp_path / "trial")
    trial = Trial(tmp_path / "trial")
    made_again: set[str] = set()
    told = 0
    for _ in range(ROUNDS):
        family = Family(trial.root)
        fits = sorted(key for key, spec in family.specs.items() if spec["kind"] == "fit")
        harmed = set()
        for fit in chance.sample(fits, HARMS):
            match chance.choice(["fit", "predict", "record"]):
                case "fit":
                    key = fit
                    made_again |= family.forget(fit, predictions=True)
                case "predict":
                    key = chance.choice(sorted(k for k, spec in family.specs.items() if spec.get("fit") == fit))
                    made_again |= family.forget(fit, predictions=False)
                case "record":
                    key = chance.choice(sorted(cell for cell, members in family.cells.items() if fit in members))
            if key in family.cells:
                harm, path = chance.choice([truncate, flip, replace_by_foreign]), family.record(key)
            else:
                harm = chance.choice([truncate, flip, replace_by_foreign, remove, add_foreign])
                path = chance.choice(sorted(family.folder(key).iterdir()))
            if harm is remove and path.name == "digest.json":
                harm = truncate  # without it the folder is no artefact at all, and gives way without a word
            harm(path, chance)
            harmed.add(key)
        made_again |= harmed
        with executor_options(kind, trial) as where:
            said = trial.run(*where, workers=1)
        last = said[said.index(f"{len(harmed)} damaged files were quarantined") :]
        assert all(key in last for key in harmed), said
        told += len(harmed)
    assert told == ROUNDS * HARMS >= 20
    assert len([p for p in (trial.root / "damaged").iterdir() if p.suffix != ".txt"]) == told
    doctor = ltbench("doctor", "--json", env={"LTBENCH_STORE": str(trial.root)})
    (finding,) = [f for f in json.loads(doctor.stdout) if f["subject"] == "damage"]
    assert finding["text"].startswith(f"{told} damaged files of the store were quarantined")
    trial.check(undisturbed, lost=0, made_again=made_again)


def test_a_plan_does_not_count_a_record_that_was_tampered_with(undisturbed: Trial, tmp_path: Path) -> None:
    shutil.copytree(undisturbed.root, tmp_path / "store")
    trial = Trial(tmp_path / "trial", store=tmp_path / "store")
    paths = sorted(trial.root.glob("records/*/*.json"))
    paths[0].write_text(paths[0].read_text().replace('"status":"ok"', '"status":"ok" '))  # the same to a reader
    paths[1].write_text(paths[1].read_text().replace('"top1":0.', '"top1":0.9'))
    shutil.copyfile(paths[3], paths[2])
    plan = ["plan", "--suite", "tiny.toml", "--json"]
    done = ltbench(*plan, env={"LTBENCH_STORE": str(trial.root)}, cwd=trial.folder)
    facts = json.loads(done.stdout)
    assert (facts["cells"], facts["cells_done"], facts["missing"]["cell"]) == (32, 30, 2)
