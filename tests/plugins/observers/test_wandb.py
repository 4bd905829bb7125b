"""Weights & Biases reads what the observer has written offline."""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from seen import watched

pytest.importorskip("wandb", reason="the extra wandb is not installed")
_BLOCK = 32768


def messages(content: bytes) -> Iterator[bytes]:
    """Yield the messages of an offline run: a log of LevelDB, in blocks of 32 KiB, behind a head of 7 bytes."""
    place, parts = 7, b""
    while place + 7 <= len(content):
        if (left := _BLOCK - place % _BLOCK) < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in {1, 4}:  # a whole message, or its last part
            yield parts
            parts = b""


@pytest.mark.filterwarnings("ignore")  # of wandb, when it is imported
def test_each_cell_is_an_offline_run_with_its_configuration_curve_and_metrics(tmp_path: Path) -> None:
    from wandb.proto.wandb_internal_pb2 import Record

    records = watched(tmp_path, f"wandb[folder={tmp_path / 'runs'}]")
    files = sorted((tmp_path / "runs" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == len(records)
    seen = set()
    for file in files:
        entries = [Record.FromString(data) for data in messages(file.read_bytes())]
        (run,) = [entry.run for entry in entries if entry.HasField("run")]
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        record = records[config["id"]]
        seen.add(config["id"])
        assert run.project == "quick"
        assert config["seed"] == record["setting"]["seed"]
        history = [
            {(item.key or ".".join(item.nested_key)): json.loads(item.value_json) for item in entry.history.item}
            for entry in entries if entry.HasField("history")
        ]  # fmt: skip
        assert [line["train.loss"] for line in history] == pytest.approx(record["curve"]["loss"])
        summary = {
            (item.key or ".".join(item.nested_key)): json.loads(item.value_json)
            for entry in entries if entry.HasField("summary") for item in entry.summary.update
        }  # fmt: skip
        assert summary["top1"] == pytest.approx(record["metrics"]["top1"])
    assert seen == set(records)
