"""`ltbench.recommend`: which techniques to use on a user's own images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ltbench.api.arguments import checked_as
from ltbench.api.asked import PathLike, data_folder, store_folder, texts
from ltbench.api.html import preformatted
from ltbench.core.devices import AUTO
from ltbench.core.one_look import one_look

if TYPE_CHECKING:
    from ltbench.cli.running.recommending import Recommended

_BUDGET, _SIZE, _SUITE = "10m", 224, "recommend"


class Recommendation:
    """What to use. Notebooks and `print` show the answer that `ltbench recommend` prints."""

    def __init__(self, found: Recommended, answer: str) -> None:
        self.combination = found.combination
        """The techniques, as in a table: `cb_sampler + logit_adjust`."""
        self.is_fine_tuned = found.is_fine_tuned
        """Whether the whole network is to be fine-tuned, rather than a classifier on its features."""
        self.page = found.page
        """The page, RECOMMENDATION.md; recommendation.html beside it says the same."""
        self.model = found.model
        """Folder of the trained model, for `ltbench.load_model`; None if there is none."""
        self.answer = answer
        """The answer in a few lines."""

    def __str__(self) -> str:
        return self.answer

    def __repr__(self) -> str:
        return f"Recommendation({self.combination!r}, {str(self.page)!r})"

    def _repr_html_(self) -> str:
        return preformatted(self.answer)


@checked_as("recommend")
def recommend(
    photos: PathLike, *, test: PathLike | None = None, holdout: float | None = None, folds: int | None = None, groups: str = "",
    budget: str = _BUDGET, model: str = "", cost: str = "", size: int = _SIZE, fine_tune: bool = True, export: bool = True,
    strict: bool = False, suite: PathLike = _SUITE, name: str = "", metric: str = "", executor: str | None = None,
    workers: int | None = None, device: str = AUTO, per_gpu: int = 1, retries: int = 1, timeout: float | None = None,
    memory: int | None = None, observe: str | Iterable[str] = (), plugins: str | Iterable[str] = (),
    plugin_files: PathLike | Iterable[PathLike] = (), leaderboards: PathLike = "leaderboards", data_root: PathLike | None = None,
    store: PathLike | None = None,
) -> Recommendation:  # fmt: skip
    """Find out which techniques to use on the images of `photos`, and write page and model, as `ltbench recommend` does.

    photos: a folder with a folder for each class, a list of files with labels, or a folder of the library datasets. test, holdout or
    folds: on what is tested, by default 5 folds. groups: images that stay together, by a pattern or a CSV file. budget: time for the
    choice. model: a pretrained network. cost: costs of errors, as a file or a text such as `cat>dog:5`. size: side of the images in
    pixels. fine_tune: whether to try it; export: whether to train a model on all images. The other arguments are those of `run`.

    Raises `Interrupted` after Ctrl-C (the same call continues), `DataError` for images that cannot be used.
    """
    from ltbench.cli.options import load_registry, selected_plugins
    from ltbench.cli.running.own_images import Asked
    from ltbench.cli.running.recommending import recommend as steps_of
    from ltbench.cli.units import seconds_of
    from ltbench.costs import read_costs, resolved
    from ltbench.executor import Context, Terms
    from ltbench.running.observing import observers_of
    from ltbench.running.options import RunOptions
    from ltbench.store.store import Store

    given: dict[str, object] = {
        "--test": test, "--holdout": holdout, "--folds": folds, "--groups": groups, "--budget": budget if budget != _BUDGET else None,
        "--model": model, "--cost": cost, "--size": size if size != _SIZE else None, "--suite": suite if suite != _SUITE else None,
        "--name": name, "--metric": metric, "--leaderboards": leaderboards if str(leaderboards) != "leaderboards" else None,
        "--data-root": data_root, "--store": store,
    }  # fmt: skip
    files, more = texts(plugin_files), texts(plugins)
    command = ["ltbench", "recommend", str(photos)]
    command += [word for option, value in given.items() if value not in (None, "") for word in (option, str(value))]
    switched = {"--no-fine-tune": not fine_tune, "--no-export": not export, "--strict": strict}
    command += [option for option, on in switched.items() if on]
    command += [word for file in files for word in ("--plugin-file", file)]
    command += [word for one in more for word in ("-p", one)]
    with one_look():
        registry = load_registry(selected_plugins(files, more))
        observers = observers_of(texts(observe), registry)
        asked = Asked(
            photos=Path(photos), test=None if test is None else Path(test), holdout=holdout, folds=folds or 0, groups=groups,
            seconds=seconds_of(budget), model=model, size=size, is_strict=strict, suite=str(suite), name=name, metric=resolved(metric),
            costs=read_costs(cost) if cost else "", is_fine_tuned=fine_tune, is_exported=export, leaderboards=Path(leaderboards),
        )  # fmt: skip
        offer = registry.executor(executor or "local")
        context = Context(
            store=Store(store_folder(store)), registry=registry, data_root=data_folder(data_root), devices=offer.devices(device),
            watched=bool(observers),
        )  # fmt: skip
        terms = Terms(workers=workers, per_gpu=per_gpu, timeout=timeout, memory=memory)
        lines: list[str] = []
        found = steps_of(asked, context, offer, terms, RunOptions(retries=retries), command, observers, lines.append)
    return Recommendation(found, "\n".join(lines))
