from __future__ import annotations

import msgspec
import pytest
from synthetic import identified, provenance, raw, record

from ltbench.records.merging import kept_from_other_machines, merge

ERROR = {"type": "JobFailed", "message": "loss 'x' returned NaN", "job": "abc", "log": "Traceback ..."}
HERE = {"processor": "AMD EPYC", "processor_model": "AuthenticAMD 26 2", "device": "cpu", "torch": "2.15.0"}


def test_new_wins_over_old_of_the_same_identity() -> None:
    old, new = record(scores={"top1": 0.5}), record(scores={"top1": 0.6})
    assert old.id == new.id
    assert merge([old], [new]) == [new]


def test_ok_is_never_given_up_for_failed() -> None:
    good, bad = record(), record(error=ERROR)
    assert merge([good], [bad]) == merge([bad], [good]) == merge([], [bad, good]) == [good]


def test_records_of_other_cells_stay() -> None:
    old, new = record(seed=0), record({"mix": "mixup"}, seed=0)
    assert [r.label for r in merge([new], [old])] == ["baseline", "mixup"]


def test_a_new_identity_takes_the_slot_of_an_old_one() -> None:
    old = record()
    new = msgspec.structs.replace(old, id="f" * 32)  # as where its technique has a higher revision
    assert merge([old], [new]) == [new]
    assert merge([old], [record(seed=1)])[0] == old


def test_another_recipe_takes_nothing_away() -> None:
    whole, trial = record(epochs=20), record(epochs=5)
    assert merge([trial], [whole]) == merge([whole], [trial])
    assert len(merge([trial], [whole])) == 2


def test_merging_does_not_depend_on_the_order_within_a_file() -> None:
    records = [record(scores={"top1": 0.5}), record(scores={"top1": 0.6}), record(seed=1), record(error=ERROR)]
    assert merge(records, []) == merge(records[::-1], [])


@pytest.mark.parametrize(
    "there",
    [HERE | {"processor_model": "AuthenticAMD 25 17"}, HERE | {"device": "NVIDIA H200"}, HERE | {"torch": "2.6.0"}, {}],
    ids=["processor", "device", "torch", "unknown"],
)
def test_a_record_of_another_machine_replaces_an_ok_one_only_when_asked(there: dict[str, str]) -> None:
    old, new = record(environment=there), record(scores={"top1": 0.6}, environment=HERE)
    assert merge([old], [new]) == [old]
    assert merge([old], [new], replace=True) == [new]
    assert kept_from_other_machines([old], [new]) == [old]
    failed = record(error=ERROR)
    assert merge([failed], [new]) == [new]


def test_a_record_of_the_same_machine_replaces_an_older_one() -> None:
    old, new = record(environment=HERE), record(scores={"top1": 0.6}, environment=HERE | {"python": "3.13"})
    assert merge([old], [new]) == [new]
    assert kept_from_other_machines([old], [new]) == []


def test_records_of_other_images_take_nothing_away() -> None:
    made = raw(scores={"top1": 0.6})
    made["fits"][0]["data"]["fingerprint"] = "beef"
    old, new = record(), identified(made)
    assert merge([old], [new]) == merge([new], [old])
    assert len(merge([old], [new])) == 2


def with_metric(one, name="gmean", revision=1, **scores):
    plugins = [*msgspec.to_builtins(one.plugins), provenance(name, "metric", revision=revision)]
    return record(scores=scores or {name: 0.5}, plugins=plugins, environment=HERE)


def test_a_record_that_only_lacks_a_metric_takes_no_number_away() -> None:
    plain = record(environment=HERE)
    full = with_metric(plain)
    assert merge([full], [plain]) == merge([plain], [full]) == [full]
    assert merge([full], [plain], replace=True) == [plain]
    other = record(scores={"top1": 0.1}, environment=HERE)
    assert merge([full], [other]) == [other], "other numbers are other results"
    revised = with_metric(plain, revision=2)
    revised = record(plugins=msgspec.to_builtins(revised.plugins), environment=HERE)
    assert merge([full], [revised]) == [revised], "a later revision has dropped a number"
