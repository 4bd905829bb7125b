from __future__ import annotations

from pathlib import Path

import pytest
import synthetic

from ltbench.errors import PluginError
from ltbench.jobs.cell import failed_record
from ltbench.planning.parts import make_plan
from ltbench.records.record import Record, plain_values, seal, validate
from ltbench.suite.suite import changed, find_suite
from ltbench.verification.rerun import command_of, drawn, parts_of, plan_of, techniques_of

ERROR = {"type": "E", "message": "m"}


@pytest.fixture(scope="module")
def plan(registry):
    suite = changed(
        find_suite("quick", registry),
        techniques=[],
        combinations=[["mixup"], ["cb_sampler", "focal[gamma=1.5]"], ["tta"], ["drw", "ens"], ["decoupling", "tta"],
                      ["bagging"], ["stacking", "mixup"], ["logit_adjust_posthoc"]],
        imbalance_factors=[50, 100],
        seeds=[0, 3],
    )  # fmt: skip
    return make_plan(suite, registry, Path("nowhere"))


def records(plan) -> list[Record]:
    return [validate(failed_record(cell, ERROR)) for cell in plan.cells]


def test_a_record_alone_gives_the_jobs_of_its_cell_as_the_plan_has_them(plan, registry) -> None:
    made = records(plan)
    assert len(made) == 9 * 2 * 2
    for record in made:
        mine = plan_of([record], registry)
        cell, planned = mine.jobs[record.id], plan.jobs[record.id]
        assert cell == planned
        needed = {record.id}
        for key in list(mine.jobs)[::-1]:
            assert key in needed, "a job that nobody needs"
            needed |= set(mine.jobs[key].parents)
        for key, job in mine.jobs.items():
            if job.kind == "predict":
                assert job == plan.jobs[key]
        order = list(mine.jobs)
        assert all(order.index(parent) < order.index(key) for key, job in mine.jobs.items() for parent in job.parents)


def test_several_records_share_what_they_have_in_common(plan, registry) -> None:
    made = records(plan)
    whole = plan_of(made, registry)
    assert whole.jobs.keys() == plan.jobs.keys()
    assert {key: job.parents for key, job in whole.jobs.items()} == {key: job.parents for key, job in plan.jobs.items()}


def test_a_technique_of_another_revision_is_named(plan, registry) -> None:
    record = next(r for r in records(plan) if r.label == "mixup")
    raw = plain_values(record)
    raw["fits"][0]["segments"][0]["mix"]["revision"] = 7
    with pytest.raises(PluginError, match="'mixup' is needed from ltbench revision 7") as caught:
        plan_of([validate(seal(raw))], registry)
    assert caught.value.exit_code == 4


def test_a_regime_of_another_revision_is_named_though_no_spec_has_it(plan, registry) -> None:
    record = next(r for r in records(plan) if r.label == "ens + drw")
    made = [{"name": "drw", "stage": "regime", "distribution": "ltbench", "version": "9.9", "revision": 9}]
    with pytest.raises(PluginError, match="regime 'drw'") as caught:
        plan_of([validate(seal(plain_values(record) | {"plugins": made}))], registry)
    assert caught.value.fix == "install ltbench 9.9"


def test_the_techniques_of_a_cell_are_found_wherever_a_spec_has_them(plan) -> None:
    record = next(r for r in records(plan) if r.label == "cb_sampler + focal[gamma=1.5]")
    names = {spec["name"] for spec in techniques_of(record)}
    assert names == {"fashion_mini", "exp", "convnet", "cb_sampler", "crop_flip", "focal", "identity", "single"}


def test_the_draw_depends_on_the_seed_and_on_nothing_else(plan) -> None:
    made = records(plan)
    assert drawn(made, 5, 1) == drawn(made[::-1], 5, 1)
    assert drawn(made, 5, 1) != drawn(made, 5, 2)
    assert len({r.id for r in drawn(made, 5, 1)}) == 5
    assert len(drawn(made, 500, 1)) == len(made)


@pytest.mark.parametrize("seed", range(20))
def test_a_technique_in_few_cells_is_drawn_before_others_are_drawn_again(seed: int) -> None:
    """One cell of 201 has the new technique; drawn with equal chances, three cells would have it once in 67 times."""
    made = [synthetic.record({} if n % 2 else {"mix": "mixup"}, factor=1.0 + n) for n in range(200)]
    made += [synthetic.record({"loss": "focal"}), synthetic.record(dataset="cifar10")]
    first = drawn(made, 4, seed)
    assert {one.label for one in first} == {"baseline", "mixup", "focal"}
    assert "cifar10" in {one.setting.dataset for one in first}


@pytest.mark.parametrize("seed", range(20))
def test_no_technique_is_drawn_twice_before_every_one_is_drawn_once(plan, seed: int) -> None:
    singles = [one for one in records(plan) if len(one.techniques) <= 1]
    labels = {one.label for one in singles}
    assert {one.label for one in drawn(singles, len(labels), seed)} == labels
    made = records(plan)
    everything = set().union(*map(parts_of, made))
    assert set().union(*map(parts_of, drawn(made, len(everything), seed))) == everything


def test_the_command_names_what_the_record_needs(plan) -> None:
    record = records(plan)[0]
    assert command_of(record) == f"ltbench run --cell {record.id} --store rerun-{record.id[:8]}"
    made = [{"name": "x", "stage": "loss", "distribution": "file:my_loss", "version": "1", "revision": 1}]
    with_file = validate(seal(plain_values(record) | {"plugins": made}))
    assert "--records 'my dir' --plugin-file my_loss.py" in command_of(with_file, Path("my dir"))
