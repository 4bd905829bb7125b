"""What jobs took: kept whole whatever happens to a writer, and found again for jobs that are alike."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from ltbench.errors import StoreError
from ltbench.timing import speed_log
from ltbench.timing.job_shape import Shape
from ltbench.timing.speed_log import Speeds, SpeedSample, append, read

FIT = Shape(
    kind="fit", data="tiny exp 100", channels=3, size=32, classes=10, model="net", batch=64, precision="fp32",
    optimizer="sgd", trainable="all", techniques="shuffle",
)  # fmt: skip


def line(seconds=10.0, work=100.0, jobs=1, macs=0.0, **changes):
    shape = msgspec.structs.replace(FIT, **changes)
    return SpeedSample(shape=shape, jobs=jobs, seconds=seconds, work=work, macs=macs)


def wider(depth, **changes):
    return list(msgspec.structs.replace(FIT, **changes).wider())[depth]


def test_what_is_appended_is_read_again(tmp_path):
    assert list(read(tmp_path / "speeds")) == []
    append(tmp_path / "speeds", [line(1.0), line(2.0)])
    append(tmp_path / "speeds", [line(3.0)])
    assert [one.seconds for one in read(tmp_path / "speeds")] == [1.0, 2.0, 3.0]


def test_a_torn_line_costs_itself_alone(tmp_path):
    append(tmp_path, [line(1.0), line(2.0)])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-20])  # the writer was killed
    append(tmp_path, [line(3.0)])
    assert [one.seconds for one in read(tmp_path)] == [1.0, 3.0]


def test_foreign_bytes_are_left_out(tmp_path):
    append(tmp_path, [line(1.0)])
    (tmp_path / "other.jsonl").write_bytes(b'\xff\xfe\n{"shape": 3}\n[]\n\n' + msgspec.json.encode(line(5.0)))
    assert [one.seconds for one in read(tmp_path)] == [5.0, 1.0]


WRITER = """
import sys
from pathlib import Path
from ltbench.timing.job_shape import Shape
from ltbench.timing.speed_log import SpeedSample, append
for n in range(40):
    shape = Shape(kind="fit", data="x" * 200, model=sys.argv[2])
    append(Path(sys.argv[1]), [SpeedSample(shape=shape, jobs=1, seconds=float(n + 1), work=1.0)] * 5)
"""


def test_several_processes_write_at_once(tmp_path):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(n)]) for n in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    found = list(read(tmp_path))
    assert len(found) == 3 * 40 * 5
    for n in range(3):
        mine = [one.seconds for one in found if one.shape.model == str(n)]
        assert mine == [float(k + 1) for k in range(40) for _ in range(5)]


def test_a_large_file_is_summed_up_and_says_the_same(tmp_path, monkeypatch):
    append(tmp_path, [line(10.0), line(14.0), line(90.0, model="other")])
    monkeypatch.setattr(speed_log, "_LARGE", 100)
    append(tmp_path, [line(12.0, model="third")])
    assert len(list(read(tmp_path))) == 3
    known = Speeds(read(tmp_path))
    assert known.rate(FIT) == pytest.approx(0.12, rel=0.02)
    assert known.rate(msgspec.structs.replace(FIT, model="third")) == pytest.approx(0.12)


def test_a_folder_that_takes_nothing_is_said_so(tmp_path):
    (tmp_path / "speeds").write_text("a file in the way")
    with pytest.raises(StoreError, match="the durations of jobs cannot be written"):
        append(tmp_path / "speeds", [line()])


def test_a_rate_is_seconds_over_work():
    known = Speeds([line(10.0, 100.0), line(20.0, 300.0)])
    assert known.rate(FIT) == pytest.approx(30 / 400, rel=0.05)
    assert known.rate(msgspec.structs.replace(FIT, model="another")) is None


def test_what_is_alike_is_known_by_the_wider_shape():
    known = Speeds([line(10.0)])
    other_data = msgspec.structs.replace(FIT, data="tiny exp 10")
    assert known.rate(other_data) is None
    assert known.rate(wider(1, data="tiny exp 10")) == pytest.approx(0.1)
    assert known.rate(wider(2, techniques="mixup")) == pytest.approx(0.1)
    assert known.rate(wider(3, batch=128)) == pytest.approx(0.1)
    assert known.rate(wider(3, size=64)) is None


def test_late_jobs_count_more_than_those_of_long_ago():
    known = Speeds([line(10.0, 100.0, jobs=30), *[line(30.0, 100.0) for _ in range(60)]])
    assert known.rate(FIT) == pytest.approx(0.3, rel=0.1)


def test_multiply_adds_scale_with_the_area_of_images():
    known = Speeds([line(10.0, 100.0, macs=1000.0)])
    larger = msgspec.structs.replace(FIT, size=64)
    assert known.macs(FIT) == 1000.0
    assert known.macs(larger) == 4000.0
    assert known.macs(msgspec.structs.replace(FIT, model="never seen")) is None
    own, any_model = larger.by_multiply_adds()
    assert known.rate_by_multiply_adds(own, 4000.0) == pytest.approx(0.4)
    assert known.rate_by_multiply_adds(any_model, 500.0) == pytest.approx(0.05)
