"""Records that somebody else made, with the real engine: examined, trained again, tampered with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from support import flip, loss_source
from synthetic import identified, read_jsonl, write_jsonl

from ltbench.cli import group, main
from ltbench.errors import LtbenchError, StoreError
from ltbench.records.record import plain_values, seal


def call(*args: object) -> Result:
    result = CliRunner().invoke(group, [str(arg) for arg in args])
    assert result.exception is None or isinstance(result.exception, (SystemExit, LtbenchError)), result.exception
    return result


def code(*args: object) -> int:
    """Return the exit code as a shell sees it."""
    with pytest.raises(SystemExit) as caught:
        main([str(arg) for arg in args])
    return int(caught.value.code or 0)


def facts(*args: object) -> dict:
    return json.loads(call(*args, "--json").stdout)


@pytest.fixture
def bundle(trained: Path, tmp_path: Path) -> Path:
    """What somebody sends: records and predictions."""
    done = call("export", trained / "leaderboards/tiny", "--predictions", "--store", trained / "store", "--output",
                tmp_path / "sent")  # fmt: skip
    assert done.exception is None, done.exception
    return tmp_path / "sent"


def found(path: Path, level: str) -> str:
    return " ".join(f"{f['where']}: {f['what']}" for f in facts("verify", path)["findings"] if f["level"] == level)


# --- one cell alone -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["cb_sampler", "ens + drw", "bagging[threshold=300]"])
def test_the_command_that_show_cell_prints_makes_the_same_numbers_in_a_fresh_store(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LTBENCH_STORE", str(tmp_path / "none"))
    record = next(r for r in read_jsonl(trained / "leaderboards/tiny/records.jsonl") if r.label == label)
    shutil.copytree(trained / "leaderboards", tmp_path / "leaderboards")
    name, *command = call("show-cell", record.id[:9]).stdout.splitlines()[-1].split()
    assert name == "ltbench"
    said = facts(*command, "--executor", "inline")
    assert (said["trained"], said["agreement"]["same"], said["agreement"]["expected"]) == (True, True, "exact")
    assert said["record"]["id"] == record.id
    assert said["record"]["metrics"] == record.metrics
    assert said["record"]["confusion"] == list(record.confusion.rows())
    store = tmp_path / f"rerun-{record.id[:8]}"
    assert [path.stem for path in (store / "records").glob("*/*.json")] == [record.id], "another cell was made, too"


def test_a_cell_that_is_there_is_not_trained_and_the_suite_has_no_say(trained: Path) -> None:
    record = read_jsonl(trained / "leaderboards/tiny/records.jsonl")[0]
    at = ("--records", trained / "leaderboards/tiny", "--store", trained / "store", "--executor", "inline")
    done = call("run", "--cell", record.id, *at)
    assert "bit-identical" in done.stdout
    assert "nothing was trained" in done.stderr
    assert "--seeds has no effect" in str(call("run", "--cell", record.id, *at, "--seeds", "1").exception)
    assert "--records needs --cell" in str(call("run", *at).exception)


def test_show_cell_has_everything_and_finds_stores_too(trained: Path) -> None:
    record = next(r for r in read_jsonl(trained / "leaderboards/tiny/records.jsonl") if r.label == "decoupling")
    said = facts("show-cell", record.id, "--records", trained / "store")
    assert said["record"]["metrics"] == record.metrics
    assert f"--records {trained / 'store'}" in said["command"]
    text = call("show-cell", record.id[:10], "--records", trained / "leaderboards/tiny").stdout
    for expected in (
        record.id, "self-reported", "regime    decoupling", "steps       20", "T-shirt/top", "loss cross_entropy",
        "trains classifier", "restarted", "processor", record.digest, "model convnet",
    ):  # fmt: skip
        assert expected in text, expected


# --- examining ------------------------------------------------------------------------------------------------------


def test_what_was_sent_stands_up_and_is_verified_once_cells_were_trained_again(bundle: Path) -> None:
    assert (facts("verify", bundle)["recomputed"], (bundle / "verified.json").exists()) == (12, False)
    rerun = ("--executor", "inline", "--rerun")
    said = facts("verify", bundle, *rerun, 3, "--seed", 5)
    assert (said["sound"], said["recomputed"], said["seed"]) == (12, 12, 5)
    assert [one["agreement"]["same"] for one in said["rerun"]] == [True] * 3
    entry = json.loads((bundle / "verified.json").read_text())["verifications"][0]
    assert (len(entry["cells"]), len(entry["rerun"]), entry["protocols"]) == (12, 3, ["ltb1"])
    assert set(call("export", bundle).stdout.splitlines()[1].split(",")) >= {"rerun claimed"}
    # Numbers that nobody gets by training are refuted, and so is what was noted of them.
    forged(bundle, everything=True)
    shutil.rmtree(bundle / "predictions")
    again = call("verify", bundle, *rerun, 1, "--dry")
    assert "DIFFERS: top-1 differs by 0.0000, on the same type of machine" in again.stdout
    assert "NOT VERIFIED" in again.stdout
    assert code("verify", bundle, *rerun, 1) == 1
    assert not (bundle / "verified.json").exists()
    assert "within tolerance" in call("verify", bundle, *rerun, 1, "--tolerance", "1").stdout
    assert (bundle / "verified.json").exists()


def forged(bundle: Path, *, everything: bool = False) -> str:
    """Make a number better and seal the record again, as somebody would who knows how; return the id."""
    path = bundle / "records.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for record in lines if everything else lines[:1]:
        record["metrics"]["nll"] -= 0.25
    path.write_bytes(b"".join(msgspec.json.encode(seal(record), order="sorted") + b"\n" for record in lines))
    return str(lines[0]["id"])


def test_a_folder_that_takes_no_verification_is_found_before_cells_are_trained_again(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, content: bytes) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("ltbench.core.atomic_files.write", refused)
    monkeypatch.setattr("ltbench.cli.running.verifying._retrained", lambda *_: pytest.fail("a cell was trained again"))
    error = call("verify", bundle, "--rerun", 1, "--seed", 1).exception
    assert isinstance(error, StoreError)
    assert "the verification cannot be written" in str(error)
    assert "--dry" in error.fix


def test_cells_without_predictions_are_counted(bundle: Path) -> None:
    records = read_jsonl(bundle / "records.jsonl")
    raw = plain_values(records[0])
    raw["fits"][0]["seed"] = raw["setting"]["seed"] = 99
    write_jsonl(bundle / "records.jsonl", [*records, identified(raw)])
    assert found(bundle, "note") == "predictions: missing for 1 cell"
    assert facts("verify", bundle)["recomputed"] == 12


def test_a_forged_record_is_found_by_its_predictions(bundle: Path) -> None:
    cell = forged(bundle)
    assert code("verify", bundle) == 1
    assert f"cell {cell}" in found(bundle, "wrong")
    assert "nll is" in found(bundle, "wrong")


def test_a_flipped_digit_is_found_and_named(bundle: Path) -> None:
    flip(bundle / "records.jsonl", b'"macro_f1":0.')
    assert "records.jsonl, line 1" in found(bundle, "wrong")
    assert code("verify", bundle) == 1


@pytest.mark.parametrize("name", ["counts.json", "digest.json", "*.safetensors"])
def test_a_changed_prediction_is_found_and_named(bundle: Path, name: str) -> None:
    (first, *_) = sorted((bundle / "predictions").glob(name))
    content = bytearray(first.read_bytes())
    place = content.index(b'"sha256":"') + 10 if name == "digest.json" else -30
    content[place] ^= 1
    first.write_bytes(content)
    wrong = found(bundle, "wrong")
    assert "was changed: it does not match digest.json" in wrong
    assert first.name in wrong
    assert code("verify", bundle) == 1


def test_labels_that_are_not_the_data_sets_are_found(bundle: Path) -> None:
    """Labels changed together with everything that depends on them: only the data itself tells."""
    import numpy as np
    from safetensors.numpy import load, save

    from ltbench.core import checksums
    from ltbench.core.folders import data_root
    from ltbench.jobs.metrics import record_fields
    from ltbench.jobs.saved_predictions import recompute
    from ltbench.records.locations import location
    from ltbench.registry.registry import Registry
    from ltbench.verification.audit import examine

    folder = bundle / "predictions"
    for file in folder.glob("*.safetensors"):
        arrays = load(file.read_bytes())
        # As many of each class as before, so that nothing but their order tells.
        labels = np.random.default_rng(0).permutation(arrays["labels"])
        file.write_bytes(save({"logits": arrays["logits"], "labels": labels}))
    (folder / "digest.json").unlink()
    checksums.seal(folder, "predictions")
    registry = Registry.load()
    records = []
    for record in read_jsonl(bundle / "records.jsonl"):
        from ltbench.jobs.saved_predictions import FolderPredictions

        again = recompute(record, registry, FolderPredictions(folder))
        assert again is not None
        records.append(seal(plain_values(record) | record_fields(again.numbers)))
    (bundle / "records.jsonl").write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
    findings = examine(location(bundle), registry, data_root()).findings
    assert {f.what for f in findings if f.level == "wrong"} == {
        "labels of the predictions differ from those of the test images"
    }


def test_accuracy_that_the_confusion_matrix_denies_is_found_without_predictions(trained: Path, tmp_path: Path) -> None:
    record = plain_values(read_jsonl(trained / "leaderboards/tiny/records.jsonl")[0])
    record["metrics"]["top1"] += 0.01
    record["data"]["counts"] = [c + 1 for c in record["data"]["counts"]]
    (tmp_path / "r.jsonl").write_bytes(msgspec.json.encode(seal(record)))
    wrong = found(tmp_path / "r.jsonl", "wrong")
    assert "the confusion matrix gives" in wrong
    assert "data.counts" in wrong


def test_a_store_is_examined_and_a_damaged_record_in_it_is_named_and_left(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "store", tmp_path / "store")
    assert facts("verify", tmp_path / "store")["recomputed"] == 12
    path = min((tmp_path / "store/records").glob("*/*.json"))
    flip(path, b'"macro_f1":0.')
    assert path.name in found(tmp_path / "store", "wrong")
    assert path.exists()
    logits = min((tmp_path / "store/jobs").glob("*/*/logits.safetensors"))
    logits.write_bytes(logits.read_bytes()[:-8] + b"12345678")
    assert f"logits.safetensors of artefact {logits.parent.name} was changed" in found(tmp_path / "store", "wrong")
    assert logits.exists()


def test_a_plugin_that_is_not_here_is_named_and_its_cells_are_not_verified(trained: Path, tmp_path: Path) -> None:
    raw = plain_values(read_jsonl(trained / "leaderboards/tiny/records.jsonl")[0])
    raw["plugins"] += [{"name": "my_loss", "stage": "loss", "distribution": "my-pkg", "version": "1.2", "revision": 1}]
    spec = {"name": "my_loss", "distribution": "my-pkg", "revision": 1, "params": {}}
    raw["fits"][0]["segments"][0]["loss"] = spec
    raw["combination"]["loss"] = "my_loss"
    (tmp_path / "r.jsonl").write_bytes(msgspec.json.encode(identified(raw)))
    assert "my_loss" in found(tmp_path / "r.jsonl", "unknown")
    assert code("verify", tmp_path / "r.jsonl", "--rerun", "1") == 4
    assert not (tmp_path / "verified.json").exists()
    # The name alone is not enough: it is another distribution's.
    (tmp_path / "my_loss.py").write_text(loss_source("my_loss"))
    said = facts("verify", tmp_path / "r.jsonl", "--plugin-file", tmp_path / "my_loss.py")
    assert "file:my_loss revision 1 is installed" in said["findings"][0]["what"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"id": "x', "not JSON"), ("[]", "not a record"), ('{"schema": 9}', "schema 9"), ('{"id": "x"}', "schema"),
     ("\x00", "not JSON")],
)  # fmt: skip
def test_lines_that_are_no_records_are_each_named(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "r.jsonl").write_text(f"{text}\n\n{text}\n")
    findings = facts("verify", tmp_path / "r.jsonl")["findings"]
    assert [f["where"].rsplit(", ")[-1] for f in findings] == ["line 1", "line 3"]
    assert all(expected in f["what"] for f in findings)
    assert code("verify", tmp_path / "r.jsonl") == 1


def test_what_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    assert "no records at" in str(call("verify", tmp_path / "nothing.jsonl").exception)
    assert "no records at" in str(call("verify", tmp_path).exception)
    assert code("verify", tmp_path / "nothing.jsonl") == 2
    (tmp_path / "empty.jsonl").touch()
    assert code("verify", tmp_path / "empty.jsonl") == 2
