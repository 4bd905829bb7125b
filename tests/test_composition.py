"""How techniques of any two stages meet, rule by rule of `docs/composition.md`, with numbers."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
import torch
from engine.second_contract import (
    LOG,
    MORE,
    Blocks,
    Centre,
    Doubled,
    Focused,
    Halves,
    Inside,
    Pair,
    Twice,
    _Doubled,
    job_of,
)
from engine.trainings import as_in_a_fit, training_of
from engine.world import Inverse, World, context_of, fit_job, plain
from planning.test_plan import Few, NetOfBlocks
from support import registry_with
from torch import Tensor, nn

from ltbench import Augment, Auxiliary, Branches, Mixed, Moment, Outputs, Phase, Regime, Told
from ltbench.core.spec import Job
from ltbench.engine.batch import Batch
from ltbench.engine.batches import Feed
from ltbench.engine.epoch_order import EpochOrder
from ltbench.engine.forward import Forward
from ltbench.engine.schedule import moment
from ltbench.engine.segment import Reading
from ltbench.engine.step import Step
from ltbench.engine.subset import Subset, load
from ltbench.engine.training import Training
from ltbench.errors import JobFailed
from ltbench.planning.parts import make_plan
from ltbench.planning.plan import Plan
from ltbench.stages import TECHNIQUE_STAGES, Technique
from ltbench.suite.suite import changed, find_suite
from ltbench_plugins.finetunes.linear_probe import LinearProbe
from ltbench_plugins.losses.cross_entropy import CrossEntropy
from ltbench_plugins.mixes.mixup import Mixup
from ltbench_plugins.samplers.cb_sampler import CbSampler
from ltbench_plugins.samplers.reverse import Reverse
from ltbench_plugins.samplers.shuffle import Shuffle
from ltbench_plugins.updates.imbsam import Imbsam
from ltbench_plugins.updates.sam import Sam

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "composition.md"
CPU = torch.device("cpu")
START = Moment(epoch=0, epochs=4.0, step=0, steps=28)
SHORT = {"epochs": None, "steps": 9}  # an epoch is seven steps

# --- techniques that note what they get ---------------------------------------------------------------------------------


class Noted(CrossEntropy, frozen=True):
    """Cross entropy."""

    name = "noted"

    def of(self, outputs: Outputs, labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        LOG.append(("loss", outputs, labels, counts))
        return super().of(outputs, labels, counts, moment)


class NotedWeight(Inverse, frozen=True):
    """Weights of one over the class count."""

    name = "noted_weight"

    def weights(self, counts: Tensor) -> Tensor:
        LOG.append(("weight", None, None, counts))
        return super().weights(counts)


class NotedTerm(Auxiliary, frozen=True):
    """The mean square of the features."""

    name = "noted_term"

    def term(self, views: Sequence[Outputs], labels: Tensor, counts: Tensor, moment: Moment) -> Tensor:
        LOG.append(("auxiliary", views, labels, counts))
        return sum(view.features.square().mean() for view in views)


class NotedUpdate(Twice, frozen=True):
    """Calls the closure twice and steps with the second gradient."""

    name = "noted_update"

    def step(self, closure: Any, optimizer: Any, labels: Tensor, counts: Tensor, moment: Moment) -> None:
        super().step(closure, optimizer, labels, counts, moment)
        LOG.append(("update", None, labels, counts))


class NotedMix(Mixup, frozen=True):
    """Mixup."""

    name = "noted_mix"

    def mix(self, images: Tensor, labels: Tensor, counts: Tensor, generator: Any) -> Mixed:
        LOG.append(("mix", None, labels, counts))
        return super().mix(images, labels, counts, generator)


class NotedHead(Doubled, frozen=True):
    """A linear layer without bias whose logits count twice."""

    name = "noted_head"

    def build(self, features: int, classes: int, counts: Tensor) -> nn.Module:
        LOG.append(("head", None, None, counts))
        return super().build(features, classes, counts)


class Joint(Pair, frozen=True):
    """A pair with one loss."""

    name = "joint"
    joint = True


class Streams(Pair, frozen=True):
    """A pair whose second branch has images of its own, which says nothing of mixes and auxiliaries."""

    name = "streams"
    stream = "reverse"


class Darker(Augment, frozen=True):
    """Halves the images."""

    name = "darker"

    def apply(self, images: Tensor, generator: Any) -> Tensor:
        return images / 2


class Same(Darker, frozen=True):
    """Leaves the images of the first one as they are."""

    name = "same"
    follows = True

    def apply(self, images: Tensor, generator: Any) -> Tensor:
        return images


class Running(Augment, frozen=True):
    """Adds the number of finished epochs to the images, which it remembers."""

    name = "running"

    def remembers(self, features: int, classes: int, counts: Tensor, generator: Any) -> dict[str, Tensor]:
        return {"epochs": torch.zeros(())}

    def apply_to(self, images: Tensor, told: Told, generator: Any) -> Tensor:
        return images + told.state["epochs"]

    def after_epoch(self, seen: Any, state: Any, moment: Moment) -> dict[str, Tensor]:
        return {"epochs": state["epochs"] + 1}


MINE: tuple[type[Technique], ...] = (
    *MORE, Noted, NotedWeight, NotedTerm, NotedUpdate, NotedMix, NotedHead, Joint, Streams, Darker, Same, Running, LinearProbe, Sam, Imbsam,
    Reverse,
)  # fmt: skip


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    LOG.clear()
    with as_in_a_fit():
        yield


@pytest.fixture
def training(tmp_path: Path) -> Callable[[Job], Training]:
    return partial(training_of, context=context_of(tmp_path, *MINE))


@pytest.fixture
def subset(tmp_path: Path) -> Subset:
    """30 + 17 + 10 images."""
    return load(fit_job().spec["data"], context_of(tmp_path).registry, tmp_path)


class Done(NamedTuple):
    """A step, and what techniques noted of it."""

    loss: float
    batch: Batch
    mixed: Mixed
    noted: list[Any]

    def of(self, stage: str) -> Any:
        """Return the outputs, labels and counts that the technique of a stage got first."""
        return next(entry[1:] for entry in self.noted if entry[0] == stage)


def one_step(made: Training, prepare: Callable[[Batch], None] = lambda _: None) -> Done:
    """Do the first step of a training."""
    made._start_segment(0, resumed=False)
    segment = made.segments[0]
    forward = Forward(made.network, made.structure.branches, made.precision, features=Step.needs_features(segment))
    work = Step(segment, forward, made.network, made.memory, made.counts, made.slow)
    now = moment(made.spans[0], 0, made.orders[0].batches_per_epoch, restart=False)
    batch = made.feed.next(now)
    prepare(batch)
    LOG.clear()
    torch.manual_seed(0)  # the stream of dropout
    loss, _, mixed = work.run(batch, now, made.optimizer)
    return Done(float(loss.detach()), batch, mixed, list(LOG))


def nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Return -log softmax, as written in a textbook."""
    chosen = logits[torch.arange(len(labels)), labels]
    return logits.exp().sum(1).log() - chosen


def fed(made: Training) -> list[Batch]:
    """Run a training, and return its batches."""
    batches: list[Batch] = []
    following = made.feed.next

    def note(now: Moment) -> Batch:
        batch = following(now)
        batches.append(msgspec.structs.replace(batch, images=batch.images.clone()))
        return batch

    made.feed.next = note  # type: ignore[method-assign]
    made.run()
    return batches


# --- batches ------------------------------------------------------------------------------------------------------------

FOLLOWING: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "finetune": ({"trainable": "classifier"}, {"finetune": LinearProbe()}),
    "head": ({}, {"head": Doubled()}),
    "branches": ({}, {"branches": Pair()}),
    "loss": ({"loss": Focused()}, {}),
    "weight": ({"weight": Inverse()}, {}),
    "auxiliary": ({"auxiliary": Centre()}, {}),
    "update": ({"update": Twice()}, {}),
}


@pytest.mark.parametrize("stage", FOLLOWING)
def test_a_batch_is_the_same_whatever_follows(training: Callable[[Job], Training], stage: str) -> None:
    segment, network = FOLLOWING[stage]
    base: dict[str, Any] = {"sampler": CbSampler(), "mix": Mixup()}
    first = fed(training(job_of(plain(**base), recipe=SHORT)))
    other = fed(training(job_of(plain(**base, **segment), recipe=SHORT, **network)))
    assert len(first) == len(other) == 9
    for one, two in zip(first, other, strict=True):
        for name in ("images", "labels_a", "labels_b", "lam"):
            assert torch.equal(getattr(one, name), getattr(two, name)), name


@pytest.mark.parametrize(
    ("data", "counts"),
    [({}, [30, 17, 10]), ({"held_out": 0.2}, [24, 14, 8]), ({"bag": 0}, None)],
    ids=["all", "held out", "bag"],
)
def test_every_technique_gets_the_counts_of_the_images_trained_on(
    training: Callable[[Job], Training], data: dict[str, Any], counts: list[int] | None
) -> None:
    segment = plain(
        sampler=CbSampler(),
        mix=NotedMix(),
        loss=Noted(),
        weight=NotedWeight(),
        auxiliary=NotedTerm(),
        update=NotedUpdate(),
    )
    job = fit_job(segment, model=Blocks(), **data)
    spec = job.spec | {"head": World().spec(NotedHead())}
    made = training(Job(key=job.key, kind="fit", spec=spec))
    made.run()
    expected = made.feed.labels.bincount(minlength=3).tolist()
    assert expected == counts or (counts is None and sum(expected) < 57)
    noted = {stage: counts.tolist() for stage, _, _, counts in (entry for entry in LOG if isinstance(entry, tuple))}
    assert noted == dict.fromkeys(("head", "mix", "loss", "weight", "auxiliary", "update"), expected)


def feed_of(subset: Subset, reading: Reading, mix: object = None, **more: Any) -> Feed:
    feed = Feed(subset, lambda images: images, 0, CPU)
    feed.start_segment(EpochOrder(Shuffle(), subset.labels, subset.counts, 8, 0), reading, mix, **more)  # type: ignore[arg-type]
    return feed


def rows(subset: Subset, images: Tensor, factor: float) -> list[int]:
    """Return for each image the one of the subset that it is, times a factor."""
    stored = subset.images.flatten(1) / 255 * factor
    found = [(stored - image.flatten()).abs().amax(1) for image in images]
    assert all(float(distance.min()) < 1e-6 for distance in found)
    return [int(distance.argmin()) for distance in found]


def test_the_second_stream_of_branches_is_augmented_alike_and_changes_nothing_of_the_first(subset: Subset) -> None:
    second = EpochOrder(Reverse(), subset.labels, subset.counts, 8, 0, stream="partner_pool")
    alone = feed_of(subset, Reading(Darker()))
    both = feed_of(subset, Reading(Darker()), second=second, share=lambda _: 0.25)
    drawn = torch.zeros(3)
    for _ in range(70):
        one, two = alone.next(START), both.next(START)
        assert torch.equal(one.images, two.images)
        assert torch.equal(one.labels_a, two.labels_a)
        assert two.lam.tolist() == [0.25] * len(two.labels_a)
        assert torch.equal(subset.labels[rows(subset, two.second, 0.5)], two.labels_b)
        drawn += two.labels_b.bincount(minlength=3)
    inverse = 1 / torch.tensor([30.0, 17.0, 10.0])
    torch.testing.assert_close(drawn / drawn.sum(), inverse / inverse.sum(), atol=0.07, rtol=0)


def test_views_are_unblended_and_a_named_one_is_augmented_by_its_name_alone(subset: Subset) -> None:
    feed = feed_of(subset, Reading(Darker()), Mixup(), views=(None, Reading(None)))
    batch = feed.next(START)
    assert bool((batch.lam < 0.99).any())
    as_trained, named = (rows(subset, view, factor) for view, factor in zip(batch.views, (0.5, 1.0), strict=True))
    assert as_trained == named
    assert torch.equal(subset.labels[named], batch.labels)


@pytest.mark.parametrize("role", ["view", "first"])
def test_an_augmentation_remembers_also_as_a_view_or_before_another_one(
    training: Callable[[Job], Training], role: str
) -> None:
    running = World().spec(Running())
    segment = (
        plain(augment=None, auxiliary=NotedTerm(), views=[running])
        if role == "view"
        else plain(augment=Same(), augment_first=running)
    )
    plainly = fed(training(job_of(plain(augment=None), recipe=SHORT)))
    images = [
        batch.views[0] if role == "view" else batch.images for batch in fed(training(job_of(segment, recipe=SHORT)))
    ]
    differences = [float((now - before.images).mean()) for now, before in zip(images, plainly, strict=True)]
    # Adding 1 to a pixel adds 1 / 0.2 to the normalised one.
    assert differences == pytest.approx([0.0] * 7 + [5.0] * 2, abs=1e-5)


# --- network ------------------------------------------------------------------------------------------------------------


def test_every_branch_has_its_own_head_and_the_first_is_that_without_branches(
    training: Callable[[Job], Training],
) -> None:
    alone, made = training(job_of(head=Doubled())), training(job_of(head=Doubled(), branches=Pair()))
    first, second = made.network.get_classifier()
    assert isinstance(first, _Doubled)
    assert isinstance(second, _Doubled)
    assert torch.equal(first.weight, alone.network.classifier.weight)
    assert not torch.equal(first.weight, second.weight)


@pytest.mark.parametrize("network", [{}, {"branches": Pair()}], ids=["one", "branches"])
def test_fine_tuning_decides_what_learns_whatever_the_objective(
    training: Callable[[Job], Training], network: dict[str, Any]
) -> None:
    segment = plain(
        mix=Mixup(), loss=Focused(), weight=Inverse(), auxiliary=Centre(), update=Sam(), trainable="classifier"
    )
    made = training(job_of(segment, recipe=SHORT, finetune=LinearProbe(), head=Doubled(), **network))
    before = {name: value.clone() for name, value in made.whole.state_dict().items()}
    made.run()
    after = made.whole.state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    own = {name for name in after if name.startswith("own.")}
    heads = {name for name in after if name.endswith("classifier.weight")}
    assert len(heads) == (2 if network else 1)
    assert moved == own | heads, "backbone and batch statistics stay; heads and what the auxiliary learns move"


# --- objective ----------------------------------------------------------------------------------------------------------


def test_the_loss_gets_what_the_head_makes_of_the_features(training: Callable[[Job], Training]) -> None:
    made = training(job_of(plain(loss=Noted()), head=Doubled()))
    weight = made.network.classifier.weight.detach().clone()
    done = one_step(made)
    outputs, labels, _ = done.of("loss")
    logits = 2 * outputs.features[0] @ weight.T
    torch.testing.assert_close(outputs.logits, logits)
    assert done.loss == pytest.approx(float(nll(logits, labels).mean().detach()), rel=1e-5)


@pytest.mark.parametrize("branches", [Pair(), Joint()], ids=["mean", "joint"])
def test_both_labels_of_a_blend_count_by_their_class_weights_in_every_branch_and_the_term_apart(
    training: Callable[[Job], Training], branches: Branches
) -> None:
    segment = plain(mix=Mixup(), loss=Noted(), weight=Inverse(), auxiliary=NotedTerm(weight=0.5))
    done = one_step(training(job_of(segment, branches=branches)))
    outputs, _, _ = done.of("loss")
    views, labels, _ = done.of("auxiliary")
    a, b, lam = done.mixed.labels_a, done.mixed.labels_b, done.mixed.lam
    assert bool(((lam > 0.01) & (lam < 0.99)).any())
    assert bool((a != b).any())
    first, second = outputs.branches if not branches.joint else (outputs.logits, outputs.logits)
    weights = 1 / torch.tensor([30.0, 17.0, 10.0])

    def loss(label: Tensor) -> Tensor:
        return (nll(first, label) + nll(second, label)) / 2

    expected = (lam * weights[a] * loss(a) + (1 - lam) * weights[b] * loss(b)).mean()
    term = views[0].features.square().mean()
    assert done.loss == pytest.approx(float((expected + 0.5 * term).detach()), rel=1e-5)
    assert torch.equal(labels, done.batch.labels), "those before the mix"
    if branches.joint:
        assert list(outputs.branches.shape) == [1, 8, 3]


def test_an_auxiliary_gets_the_features_of_every_branch_once(training: Callable[[Job], Training]) -> None:
    made = training(job_of(plain(auxiliary=NotedTerm()), branches=Pair()))
    layers = [(one.weight.detach().clone(), one.bias.detach().clone()) for one in made.network.get_classifier()]
    done = one_step(made)
    assert [entry[0] for entry in done.noted] == ["auxiliary"]
    ((view,), _, _) = done.of("auxiliary")
    assert list(view.features.shape) == [2, 8, 5]
    for features, logits, (weight, bias) in zip(view.features, view.branches, layers, strict=True):
        torch.testing.assert_close(logits, features @ weight.T + bias)
    torch.testing.assert_close(view.logits, (view.branches[0] + 2 * view.branches[1]) / 3)


def test_a_hidden_mix_blends_the_batch_and_not_its_views(training: Callable[[Job], Training]) -> None:
    made = training(job_of(plain(mix=Inside(), loss=Noted(), auxiliary=NotedTerm())))
    block = made.network.stages[0][-1]

    def inside(batch: Batch) -> None:
        batch.hidden._place = block
        made.network.eval()

    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    done = one_step(made, inside)
    made.network.load_state_dict(before)
    (outputs, _, _), ((view,), labels, _) = done.of("loss"), done.of("auxiliary")
    with torch.no_grad():
        maps = made.network.stages[0](done.batch.images)
        lam = done.mixed.lam.view(-1, 1, 1, 1)
        blended = made.network.stages[1:](lam * maps + (1 - lam) * maps.roll(1, 0)).mean((2, 3))
        unblended = made.network.stages(done.batch.images).mean((2, 3))
    torch.testing.assert_close(outputs.features[0], blended)
    torch.testing.assert_close(view.features[0], unblended)
    assert torch.equal(labels, done.batch.labels)


def test_an_update_gets_the_first_labels_and_every_pass_the_same_blend(training: Callable[[Job], Training]) -> None:
    done = one_step(training(job_of(plain(mix=Mixup(), loss=Noted(), update=NotedUpdate()))))
    _, labels, _ = done.of("update")
    assert torch.equal(labels, done.mixed.labels_a)
    (passes,) = (entry for entry in done.noted if isinstance(entry, list))
    assert passes[0] == passes[1] == done.loss
    given = [entry[2].tolist() for entry in done.noted if entry[0] == "loss"]
    assert given == [done.mixed.labels_a.tolist(), done.mixed.labels_b.tolist()] * 2


def test_the_loss_of_a_step_is_that_of_the_whole_batch_whatever_parts_an_update_asks_for(
    training: Callable[[Job], Training],
) -> None:
    segment: dict[str, Any] = {"mix": Mixup(), "weight": Inverse(), "auxiliary": NotedTerm()}
    whole = one_step(training(job_of(plain(**segment)))).loss
    for update in (Halves(), Imbsam(), Sam()):
        assert one_step(training(job_of(plain(**segment, update=update)))).loss == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ({"mix": Mixup()}, "mix 'mixup' cannot be used with branches that have a second stream"),
        ({"mix": Inside()}, "mix 'inside' cannot be used with branches that have a second stream"),
        ({"auxiliary": NotedTerm()}, "an auxiliary cannot be used with branches that have a second stream"),
    ],
    ids=["mix", "hidden", "auxiliary"],
)
def test_branches_with_a_second_stream_take_no_mix_and_no_auxiliary(
    training: Callable[[Job], Training], segment: dict[str, Any], message: str
) -> None:
    made = training(job_of(plain(**segment), branches=Streams(), stream=Reverse()))
    with pytest.raises(JobFailed, match=message):
        made.run()
    assert made.steps == 0


# --- training -----------------------------------------------------------------------------------------------------------


def test_a_moving_average_includes_what_techniques_learn(training: Callable[[Job], Training]) -> None:
    recipe = {"epochs": None, "steps": 2, "ema": 0.9, "ema_warmup": False}
    made = training(job_of(plain(auxiliary=Centre()), recipe=recipe))
    first: dict[str, Tensor] = {}

    def keep(running: Training) -> None:
        first.update((name, value.detach().clone()) for name, value in running.whole.named_parameters())

    made.run(keep)
    averages = dict(made.average.module.named_parameters())
    learnt = [name for name in averages if name.startswith("own.")]
    assert len(learnt) == 3, "weight and bias of a projection, and centres"
    assert any(not torch.equal(averages[name], first[name]) for name in learnt)
    for name, now in made.whole.named_parameters():  # the first step sets the average
        torch.testing.assert_close(averages[name], 0.9 * first[name] + 0.1 * now)


class Mixing(Regime):
    """Blends in the second half, whatever the cell has."""

    name = "mixing"
    text: str = "mixup"
    loss: str = ""

    def phases(self) -> Sequence[Phase]:
        return [Phase(until=0.5), Phase(until=1.0, mix=self.text or False, loss=self.loss or True)]


def plan_of(*combinations: Sequence[str]) -> Plan:
    own = registry_with(Few, NetOfBlocks, Mixing)
    suite = changed(
        find_suite("quick", own), datasets=["few_images"], models=["net_of_blocks"], imbalance_factors=[10], seeds=[0],
        techniques=[], combinations=combinations,
    )  # fmt: skip
    return make_plan(suite, own, Path())


def test_what_a_phase_names_has_to_go_with_the_cell() -> None:
    plan = plan_of(
        ["mixing"], ["bbn", "mixing"], ["dive", "mixing"], ["bbn", 'mixing[text=""]'], ["mixing[loss=sade_loss]"],
        ["experts", "mixing[loss=sade_loss]", "cosine"], ['distill[teacher="bbn,mixing"]'], ["weight_balancing"],
    )  # fmt: skip
    reasons = {one.combination.label: one.reason for one in plan.left_out}
    taught = 'distill[teacher="bbn,mixing"]'
    assert "mixing has a phase in which bbn cannot be combined with mixup" in reasons.pop(taught)
    assert reasons.keys() == {"bbn + mixing", "dive + mixing", "mixing[loss=sade_loss]"}
    assert reasons["bbn + mixing"].startswith(
        "mixing has a phase in which bbn cannot be combined with mixup: the two labels"
    )
    assert reasons["dive + mixing"].endswith("dive cannot be combined with mixup: the term is the whole objective")
    assert "a phase in which sade_loss needs a technique of stage branches" in reasons["mixing[loss=sade_loss]"]


# --- inference ----------------------------------------------------------------------------------------------------------


def test_what_acts_after_training_shares_the_training() -> None:
    base = ["mixup", "experts", "ins", "sam"]
    later = [[], ["tta"], ["logit_adjust_posthoc"], ["tau_norm"], ["tta", "tau_norm"], ["seed_ensemble[size=3]"]]
    plan = plan_of(*([*base, *more] for more in later))
    cells = [cell for cell in plan.cells if cell.extra["combination"].get("mix")]
    assert len(cells) == 6
    members = [cell.spec["members"] for cell in cells]
    assert len({keys[0] for keys in members}) == 1, "the first member is the training of the cell without ensemble"
    assert sorted(map(len, members)) == [1, 1, 1, 1, 1, 3]
    assert len({key for keys in members for key in keys}) == 3


# --- the page -----------------------------------------------------------------------------------------------------------


def cells_of(page: str) -> dict[tuple[str, str], list[str]]:
    """Return the rules of each pair of stages in the tables of the page."""
    cells: dict[tuple[str, str], list[str]] = {}
    for table in re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE):
        head, _, *body = [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()]
        for row in body:
            pairs = zip(head[1:], row[1:], strict=True)
            cells |= {(row[0], column): re.findall(r"\d+", cell) for column, cell in pairs if cell}
    return cells


def rules_of(page: str) -> dict[str, list[str]]:
    """Return the tests of each rule of the page."""
    parts = re.split(r"^### Rule (\d+): .+$", page, flags=re.MULTILINE)[1:]
    tests = {number: text.partition("\nTests: ")[2] for number, text in zip(parts[::2], parts[1::2], strict=True)}
    return {number: re.findall(r"`([\w/]+\.py::\w+)`", text) for number, text in tests.items()}


def test_every_pair_of_stages_has_rules() -> None:
    cells = cells_of(PAGE.read_text(encoding="utf-8"))
    assert cells.keys() == set(itertools.combinations(TECHNIQUE_STAGES, 2))
    assert len(cells) == 91
    assert all(cells.values())


def test_the_rules_are_those_of_the_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    used = {int(rule) for rules in cells_of(page).values() for rule in rules}
    assert sorted(used) == list(range(1, len(used) + 1)) == [int(number) for number in rules_of(page)]


def test_every_rule_is_held_by_tests() -> None:
    rules = rules_of(PAGE.read_text(encoding="utf-8"))
    functions: dict[str, set[str]] = {}
    for rule, tests in rules.items():
        assert tests, rule
        for test in tests:
            file, _, name = test.partition("::")
            if file not in functions:
                tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
                functions[file] = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            assert name in functions[file], f"rule {rule}: {test}"


def test_every_test_of_a_rule_is_named_on_the_page() -> None:
    tests = {name for names in rules_of(PAGE.read_text(encoding="utf-8")).values() for name in names}
    about_the_page = {
        "every_pair_of_stages_has_rules",
        "the_rules_are_those_of_the_table",
        "every_rule_is_held_by_tests",
        "every_test_of_a_rule_is_named_on_the_page",
    }
    mine = {name.removeprefix("test_") for name in globals() if name.startswith("test_")} - about_the_page
    assert {f"test_composition.py::test_{name}" for name in mine} <= tests
