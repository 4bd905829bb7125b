"""Checks of auxiliaries."""

from __future__ import annotations

from typing import Any

from ltbench.errors import LtbenchError
from ltbench.stages import Auxiliary
from ltbench.testing.auxiliary_trial import AuxiliaryTrial
from ltbench.testing.check import per_setting, per_technique
from ltbench.testing.finding import Skip
from ltbench.testing.flat_values import difference, flat
from ltbench.testing.inputs import Inputs, with_rare
from ltbench.testing.subject import Subject, failed
from ltbench.testing.teachers import check_teacher

_DETACHED = "do not use detach(), item() or no_grad() between features or logits and the term"


@per_setting
def term_is_a_finite_scalar(on: Subject) -> None:
    """`term` returns a finite float [] with finite gradients.

    Also for classes with one image or none, a batch of one class, and features a thousand times as large as usual.
    """
    from ltbench.engine.output_checks import check_tensor

    for what, inputs, size in (
        ("", Inputs(), 1.0),
        (" with classes of one image or none", Inputs(counts=with_rare()), 1.0),
        (" for a batch of one class", Inputs(), 1.0),
        (" for features of size 1000", Inputs(), 1000.0),
    ):
        trial = AuxiliaryTrial(on.technique, inputs, size=size)
        if what.endswith("one class"):
            trial.batch_labels = 0 * trial.batch_labels
        for step in range(2):  # the second one with a state that a batch has changed
            views, leaves = trial.views(step)
            term = check_tensor(on.technique, "a term", trial.term(views, step), None, [])
            trial.backward(term)
            for part, values in (("the term", term), *(("a gradient", leaf.grad) for leaf in leaves)):
                if values is not None and not bool(values.isfinite().all()):
                    raise failed(f"{part} is not finite{what}", "finite values",
                                 "use logsumexp or log_softmax, and clamp before divisions and logarithms")  # fmt: skip
            trial.after_step(views)


@per_setting
def gradients_reach_the_network(on: Subject) -> None:
    """The term has a non-zero gradient with respect to features or logits.

    Otherwise the network does not learn from it.
    """
    trial = AuxiliaryTrial(on.technique, Inputs())
    views, leaves = trial.views(0)
    term = trial.term(views, 0)
    trial.backward(term)
    if not any(leaf.grad is not None and bool(leaf.grad.any()) for leaf in leaves):
        raise failed(
            "no gradient of the term reaches the network", "a non-zero gradient for at least one view", _DETACHED
        )


@per_setting
def what_it_learns_gets_gradients(on: Subject) -> None:
    """Every parameter of the module of `learns` gets a gradient, and some gradient is not zero.

    A parameter without a gradient stays as it was at the start.
    """
    from torch import nn

    own = (trial := AuxiliaryTrial(on.technique, Inputs())).own
    if own is None:
        raise Skip("it learns nothing")
    if not isinstance(own, nn.Module):
        raise failed(f"learns() returned {type(own).__name__}", "a torch.nn.Module or None", "return the module")
    views, _ = trial.views(0)
    term = trial.term(views, 0)
    trial.backward(term)
    grads = {name: parameter.grad for name, parameter in own.named_parameters() if parameter.requires_grad}
    if missing := [name for name, grad in grads.items() if grad is None]:
        raise failed(f"no gradient reaches {', '.join(missing[:3])} of what it learns", "a gradient for every parameter",
                     "use views[0].own, or return None from learns()")  # fmt: skip
    if grads and not any(bool(grad.any()) for grad in grads.values() if grad is not None):
        raise failed("every gradient of what it learns is zero", "a non-zero gradient", _DETACHED)


@per_setting
def views_are_augmentations(on: Subject) -> None:
    """Each view is empty, for that of the training, or an installed augmentation.

    A plan with it would fail.
    """
    fix = 'return ("", "crop_flip"): names as on a command line (ltbench list augment)'
    if not on.technique.views:
        raise failed("it asks for no view", "at least one", fix)
    for view in filter(None, on.technique.views):
        try:
            on.registry.parse(view, "augment")
        except LtbenchError as error:
            raise failed(f"the view '{view}' is none: {error.what}", "the name of an augmentation", fix) from None


@per_technique
def what_it_replaces_conflicts(on: Subject) -> None:
    """With `replaces_loss`, it conflicts with losses, weights and mixes, which would have no effect.

    Otherwise the same training would be in several rows of a leaderboard.
    """
    if not on.technique.replaces_loss:
        raise Skip("it does not replace the loss")
    if lacking := [stage for stage in ("loss", "weight", "mix") if stage not in on.technique.conflicts]:
        raise failed(f"it replaces the loss and can be combined with a {' or a '.join(lacking)}", "conflicts with them",
                     'conflicts = dict.fromkeys(("loss", "weight", "mix"), "the term is the whole objective")')  # fmt: skip


@per_setting
def every_view_is_used(on: Subject) -> None:
    """Other features of any one view change the term or the state.

    Every view passes through the network, which takes as long as another batch.
    """
    usual = _first_step(on.technique)
    for number, name in enumerate(on.technique.views):
        if not difference(usual, _first_step(on.technique, altered=number)):
            view = f"view {number} ({name or 'that of the training'})"
            raise failed(f"{view} changes neither term nor state", "a term of all views",
                         "use it, or leave it out of `views`")  # fmt: skip


@per_setting
def moving_average_is_used(on: Subject) -> None:
    """With `momentum`, other outputs of the moving average change the term or the state.

    It is a second network, which every view passes through, or those of `slow_only`.
    """
    views = range(len(on.technique.views))
    if on.technique.slow_only and (on.technique.momentum is None or not set(on.technique.slow_only) < set(views)):
        raise failed(f"slow_only is {on.technique.slow_only}, with momentum = {on.technique.momentum} and {len(views)} views",
                     "a moving average, and numbers of some of the views", "momentum = 0.999; slow_only = (1,)")  # fmt: skip
    if on.technique.momentum is None:
        raise Skip("it asks for no moving average")
    if not difference(_first_step(on.technique), _first_step(on.technique, altered_slow=True)):
        raise failed("the moving average changes neither term nor state", "a term of `slow`",
                     "use views[0].slow, or leave out `momentum`")  # fmt: skip


@per_setting
def teacher_is_used(on: Subject) -> None:
    """A teacher can be trained, and other logits of it change the term.

    It is a training of its own. Its techniques are installed, and of stages up to the regime.
    """
    if not on.technique.teacher:
        raise Skip("it names no teacher")
    check_teacher(on)
    if not difference(_first_step(on.technique), _first_step(on.technique, altered_teacher=True)):
        raise failed("the logits of the teacher do not change the term", "a term of `teacher`",
                     "use views[0].teacher, or leave out `teacher`")  # fmt: skip


@per_setting
def state_is_used(on: Subject) -> None:
    """Another state changes the term.

    A state takes part in snapshots; one without an effect is left out.
    """
    trial = AuxiliaryTrial(on.technique, Inputs())
    if not trial.state:
        raise Skip("it remembers nothing")
    usual = flat({"term": trial.step(2)})
    other, later = AuxiliaryTrial(on.technique, Inputs(), seed=1), AuxiliaryTrial(on.technique, Inputs())
    later.run(2)
    if not any(difference(usual, flat({"term": changed.step(2)})) for changed in (other, later)):
        raise failed("the state does not change the term", "a term of views[0].state",
                     "use views[0].state, or return {} from remembers()")  # fmt: skip


@per_setting
def state_keeps_its_shape(on: Subject) -> None:
    """A state consists of tensors, and keeps names, shapes and dtypes.

    Snapshots restore it by name.
    """
    from torch import Tensor

    trial = AuxiliaryTrial(on.technique, Inputs())
    before = _shapes(trial.state)
    start: dict[str, Any] = dict(trial.state)
    if wrong := [name for name, value in start.items() if not isinstance(value, Tensor)]:
        raise failed(f"the state has {', '.join(wrong)}, which is no tensor", "tensors by name", "torch.tensor(value)")
    for method, call in (("after_step", lambda: trial.step(0)), ("after_epoch", lambda: trial.after_epoch(2))):
        call()
        if (now := _shapes(trial.state)) != before:
            raise failed(f"after {method} the state is {now}", f"{before}",
                         "return tensors of the same names, shapes and dtypes as from remembers()")  # fmt: skip


@per_technique
def resumes_from_its_state(on: Subject) -> None:
    """A training that is resumed from a snapshot goes on with the same bits.

    Snapshots have the parameters and buffers of what it learns, and what it remembers. So nothing else may be kept: not
    in the technique, its module or a global variable.
    """
    running = AuxiliaryTrial(on.technique, Inputs())
    running.run(2)
    resumed = AuxiliaryTrial(type(on.technique).parse(on.technique.params), Inputs())
    resumed.restore(running)
    goes_on, resumes = ([trial.step(number) for number in (2, 3, 4)] for trial in (running, resumed))
    if place := difference(flat({"terms": goes_on}), flat({"terms": resumes})):
        raise failed(
            f"{place} differs after a resumption", "the same terms as without an interruption",
            "keep counters, queues and means in the state of remembers() and after_step(), or in buffers of the module",
        )  # fmt: skip


def _first_step(technique: Auxiliary, **altered: Any) -> Any:
    trial = AuxiliaryTrial(technique, Inputs())
    views, _ = trial.views(0, **altered)
    term = trial.term(views, 0)
    trial.after_step(views)
    return flat({"term": term, "state": trial.state})


def _shapes(state: Any) -> str:
    return ", ".join(f"{name} {getattr(value, 'dtype', type(value).__name__)} {list(getattr(value, 'shape', []))}"
                     for name, value in sorted(state.items()))  # fmt: skip


CHECKS = (
    term_is_a_finite_scalar, gradients_reach_the_network, what_it_learns_gets_gradients, views_are_augmentations,
    what_it_replaces_conflicts, every_view_is_used, moving_average_is_used, teacher_is_used, state_is_used,
    state_keeps_its_shape, resumes_from_its_state,
)  # fmt: skip
