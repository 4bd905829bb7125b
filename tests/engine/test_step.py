"""What a step of the second contract hands over, and that all of it survives a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from engine.second_contract import LOG, MORE, Centre, Doubled, Focused, Halves, Inside, Levels, Pair, Twice, job_of
from engine.trainings import as_in_a_fit, training_of
from engine.world import context_of, plain, same
from torch import Tensor

from ltbench import Seen, Update
from ltbench.core.spec import Job
from ltbench.engine.fit import fit
from ltbench.engine.predict import predict
from ltbench.engine.training import Training
from ltbench.errors import JobFailed
from ltbench_plugins.mixes.mixup import Mixup

CPU = torch.device("cpu")
SHORT = {"epochs": 2}  # 14 steps
EVERYTHING = {
    "auxiliary": Centre(), "update": Twice(), "loss": Focused(), "augment": Levels(), "mix": Inside(),
}  # fmt: skip


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    LOG.clear()
    with as_in_a_fit():
        yield


@pytest.fixture
def training(tmp_path: Path) -> Callable[[Job], Training]:
    return partial(training_of, context=context_of(tmp_path, *MORE))


def run_to_the_end(training: Training, note: Callable[[Training], None] = lambda _: None) -> dict[str, Tensor]:
    """Run a training as a fit does, and return its weights and what its techniques keep."""
    if not training.steps:
        torch.manual_seed(7)  # the stream of dropout
    training.run(note)
    return final(training)


def final(training: Training) -> dict[str, Tensor]:
    tensors, _ = training.state()
    return {name: tensor.clone() for name, tensor in tensors.items() if not name.startswith(("feed.", "random"))}


@pytest.mark.parametrize("at", [3, 7, 10])
@pytest.mark.parametrize(
    "job",
    [
        job_of(plain(**EVERYTHING), recipe={"ema": 0.9}),
        job_of(plain(0.5), plain(**EVERYTHING), recipe={"ema": 0.9}, branches=Pair(), head=Doubled()),
        job_of(
            plain(0.5, auxiliary=Centre()), plain(auxiliary=Centre(), restart=True, average="restart", update=Halves())
        ),
    ],
    ids=["everything", "deferred", "restarted"],
)
def test_a_training_goes_on_from_any_step_with_the_same_bits(
    training: Callable[[Job], Training], job: Job, at: int
) -> None:
    states = []

    def keep(running: Training) -> None:
        if running.steps == at:
            tensors, values = running.state()
            states.append(({name: tensor.clone() for name, tensor in tensors.items()}, values))

    whole = run_to_the_end(training(job), keep)
    again = training(job)
    again.restore(*states[0])
    assert same(run_to_the_end(again), whole)


def test_a_deferred_technique_goes_on_from_the_plain_training_with_the_same_bits(tmp_path: Path) -> None:
    later = job_of(plain(0.5), plain(**EVERYTHING), recipe=SHORT | {"ema": 0.9})
    whole, parts = (context_of(tmp_path / name, *MORE) for name in ("whole", "parts"))
    fit(later, whole)
    first = job_of(plain(0.5), recipe=SHORT | {"ema": 0.9})
    fit(first, parts)
    fit(Job(key=later.key, kind="fit", spec=later.spec, parents=(first.key,)), parts)
    assert parts.store.meta(later.key)["resumed_from"] == f"{first.key}-state"
    one, other = (context.store.path(later.key) / "weights.safetensors" for context in (whole, parts))
    assert one.read_bytes() == other.read_bytes()


# --- updates ----------------------------------------------------------------------------------------------------------


def test_every_pass_of_an_update_sees_the_same_and_statistics_advance_once(training: Callable[[Job], Training]) -> None:
    one, two = (training(job_of(plain(update=Twice(calls=calls)), recipe=SHORT)) for calls in (1, 2))
    assert same(run_to_the_end(one), run_to_the_end(two)), "a second gradient at the same point is the same"
    assert all(first == second for first, second in [calls for calls in LOG if len(calls) == 2])


def test_an_update_of_one_pass_is_the_plain_step(training: Callable[[Job], Training]) -> None:
    plainly = run_to_the_end(training(job_of()))
    assert same(plainly, run_to_the_end(training(job_of(plain(update=Twice(calls=1))))))


def test_the_gradients_of_parts_of_a_batch_sum_to_that_of_the_batch(training: Callable[[Job], Training]) -> None:
    recipe = {"epochs": None, "steps": 3}
    whole = run_to_the_end(training(job_of(plain(auxiliary=Centre()), recipe=recipe)))
    parts = run_to_the_end(training(job_of(plain(auxiliary=Centre(), update=Halves()), recipe=recipe)))
    assert whole.keys() == parts.keys()
    for name, tensor in whole.items():
        torch.testing.assert_close(tensor, parts[name], atol=1e-5, rtol=1e-4)


def test_an_update_that_computes_no_gradient_is_refused(training: Callable[[Job], Training]) -> None:
    with pytest.raises(JobFailed, match=r"update 'twice.*returned without calling the closure; expected at least one"):
        training(job_of(plain(update=Twice(calls=0)))).run()


# --- the sum of the losses of a batch ---------------------------------------------------------------------------------


@pytest.mark.parametrize("update", [None, Twice(), Halves()], ids=["plain", "twice", "halves"])
def test_a_summed_loss_is_the_mean_times_the_images_of_the_batch(
    training: Callable[[Job], Training], update: Update | None
) -> None:
    segment = plain(auxiliary=Centre(), update=update)
    mean = {"epochs": None, "steps": 5, "lr": 0.08, "weight_decay": 0.01}
    summed = mean | {"summed_loss": True, "lr": 0.01, "weight_decay": 0.08}  # batches of 8
    one, other = training(job_of(segment, recipe=mean)), training(job_of(segment, recipe=summed))
    run_to_the_end(one)
    run_to_the_end(other)
    for first, second in zip(one.network.parameters(), other.network.parameters(), strict=True):
        torch.testing.assert_close(second, first, atol=1e-5, rtol=1e-4)
    first, second = one.curve.entries()["loss"], other.curve.entries()["loss"]
    assert first == pytest.approx(second, rel=1e-4), "the curve has the mean"


def test_a_smaller_batch_counts_less_in_a_summed_loss(training: Callable[[Job], Training]) -> None:
    """57 images are batches of 38 and 19, so the second step is half as long as with the mean."""
    both = {"epochs": 1, "batch_size": 38, "momentum": 0.0, "weight_decay": 0.0, "schedule": "constant"}
    moved = []
    for recipe in (both | {"lr": 0.038}, both | {"lr": 0.001, "summed_loss": True}):
        made, states = training(job_of(recipe=recipe)), []

        def keep(now: Training, states: list[list[Tensor]] = states) -> None:
            states.append([parameter.detach().clone() for parameter in now.network.parameters()])

        run_to_the_end(made, keep)
        keep(made)
        moved.append([after - before for before, after in zip(*states, strict=True)])
    assert any(step.any() for step in moved[0])
    for mean, summed in zip(*moved, strict=True):
        torch.testing.assert_close(summed, mean / 2, atol=1e-6, rtol=1e-3)


# --- auxiliaries ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mix", [None, Mixup(), Inside()], ids=["plain", "mixup", "hidden"])
def test_an_auxiliary_sees_unmixed_views_with_their_labels(training: Callable[[Job], Training], mix: object) -> None:
    made = training(job_of(plain(auxiliary=Centre(), mix=mix), recipe={"epochs": None, "steps": 2}))
    fed = []
    draw = made.feed.next
    made.feed.next = lambda moment: fed.append(draw(moment)) or fed[-1]  # type: ignore[method-assign]
    run_to_the_end(made)
    (features, labels, moment), *_ = (entry for entry in LOG if isinstance(entry[0], list))
    batch = fed[0]
    assert torch.equal(labels, batch.labels_a)
    assert (moment.step, moment.steps) == (0, 2)
    assert [view is None for view in batch.views] == ([True, False] if mix is None else [False, False])
    assert [list(each.shape) for each in features] == [[1, 8, 5]] * 2
    assert not torch.equal(features[0], features[1])


def test_the_weight_of_an_auxiliary_scales_its_term(training: Callable[[Job], Training]) -> None:
    off = run_to_the_end(training(job_of(plain(auxiliary=Centre(weight=0.01)))))
    on = run_to_the_end(training(job_of(plain(auxiliary=Centre()))))
    centres = [
        next(value for name, value in values.items() if name.startswith("memory.own") and "centres" in name)
        for values in (on, off)
    ]
    assert not torch.equal(*centres)
    assert not torch.equal(on["network.classifier.weight"], off["network.classifier.weight"])


# --- memory -----------------------------------------------------------------------------------------------------------


def test_the_classes_seen_in_an_epoch_are_counted(training: Callable[[Job], Training]) -> None:
    made = training(job_of(plain(auxiliary=Centre())))
    run_to_the_end(made)
    epochs = [entry for entry in LOG if entry[0] == "epoch"]
    assert [moment.epoch for _, _, moment in epochs] == [1, 2, 3, 4]
    for _, seen, _ in epochs:
        assert isinstance(seen, Seen)
        assert float(seen.images.sum()) == 56, "an image is left over in each epoch"
        assert bool((seen.images <= torch.tensor([30, 17, 10])).all())
        assert bool((seen.correct <= seen.images).all())
    accuracy = made.curve.entries()["accuracy"]
    assert [float(seen.correct.sum()) / 56 for _, seen, _ in epochs] == pytest.approx(accuracy)


def test_a_state_of_another_shape_is_refused(training: Callable[[Job], Training]) -> None:
    class Growing(Centre, frozen=True):
        name = "centre"

        def after_step(self, outputs, batch, network, state):  # type: ignore[no-untyped-def]
            return {**state, "mean": torch.zeros(3)}

    made = training(job_of(plain(auxiliary=Centre())))
    growing = Growing()
    with pytest.raises(
        JobFailed, match=r"auxiliary 'centre' returned a state mean float32 \[3\].*expected tensors of the same"
    ):
        made.memory._replace(growing, growing.after_step(None, None, None, made.memory.state_of(growing)))


# --- branches ---------------------------------------------------------------------------------------------------------


def test_every_branch_learns_and_the_first_starts_as_the_plain_network(training: Callable[[Job], Training]) -> None:
    made, alone = training(job_of(branches=Pair())), training(job_of())
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    assert torch.equal(before["branches.0.network.classifier.weight"], alone.network.state_dict()["classifier.weight"])
    assert not torch.equal(
        before["branches.0.network.classifier.weight"], before["branches.1.network.classifier.weight"]
    )
    assert sum(name.startswith("trunk.") and name.endswith("0.weight") for name in before) == 1
    run_to_the_end(made)
    after = made.network.state_dict()
    learnt = [name for name, _ in made.network.named_parameters()]
    assert all(not torch.equal(before[name], after[name]) for name in learnt if not name.endswith("stages.1.0.bias"))


def test_branches_are_stored_apart_and_merge_as_logits(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    context, job = context_of(tmp_path, *MORE), job_of(branches=Pair(), recipe={"epochs": 1})
    fit(job, context)
    ask = Job(
        key="0" * 32, kind="predict", spec={"fit": job.key, "split": "test", "view": "identity"}, parents=(job.key,)
    )
    predict(ask, context)
    stored = load_file(context.store.path(ask.key) / "logits.safetensors")
    assert "logits" not in stored
    assert list(stored["branches"].shape) == [2, 18, 3]
    assert list(stored["classifier.norms"].shape) == [2, 3]
    assert not torch.equal(stored["branches"][0], stored["branches"][1])
