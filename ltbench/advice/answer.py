"""The answer in words: a few lines for a terminal, and a page in markdown."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import NamedTuple

import msgspec
import numpy as np
from markdown_it import MarkdownIt

from ltbench.advice.growth import Gain
from ltbench.advice.pooled import Estimate, Pooled
from ltbench.columns import BALANCED, Column
from ltbench.core.row_labels import BASELINE
from ltbench.core.words import with_article
from ltbench.leaderboard.tables.markdown import escape

"""The row of plain training, as leaderboards call it"""
_HEAD = 1 / 3
_CONFUSIONS = 8


class Chosen(NamedTuple):
    """What the race of a fold chose."""

    fold: int
    row: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer is about."""

    classes: tuple[str, ...]
    images: tuple[int, ...]
    """Images of each class that are trained on: in one fold or another, all images"""
    folds: int
    model: str
    column: Column
    """How the number by which rows are compared is shown"""
    balanced_by_default: bool
    """Whether the metric was not asked for"""
    chosen: list[Chosen]
    best: str
    """The row that is recommended"""
    baseline: str
    """The row of plain training"""
    choice: str
    """The row of what each fold chose"""
    note: str = ""
    """What became of fine-tuning; empty for nothing to say"""
    found: list[str] = []
    """What was found in the files, such as copies of training images among those of the test"""
    gains: list[Gain] = []
    """What more images of each class would probably bring, the largest first; empty if it is not known"""

    def with_gains(self, found: list[Gain]) -> Answer:
        """Return the answer with what more images would bring."""
        return msgspec.structs.replace(self, gains=found)


def name_of(row: str) -> str:
    """Return the name of a row for a reader."""
    if row.startswith(BASELINE):
        return "plain training" + row.removeprefix(BASELINE)
    return row


def alike(answer: Answer, pooled: Pooled) -> list[str]:
    """Return the tested rows that cannot be told from the recommended one, the best first."""
    found = []
    for row in pooled.rows:
        if row not in (answer.best, answer.choice):
            difference = pooled.difference(row, answer.best)
            if difference.low <= 0 <= difference.high:
                found.append((difference.value, row))
    return [row for _, row in sorted(found, reverse=answer.column.higher_is_better)]


def sentences(answer: Answer, pooled: Pooled) -> Iterator[str]:
    """Yield the answer in at most ten lines."""
    images = sum(answer.images)
    rarest = min(range(len(answer.classes)), key=lambda label: answer.images[label])
    kind, tested = (
        ("images", "") if answer.folds > 1 else ("training images", f", and {len(pooled.labels):,} test images")
    )
    yield (
        f"{images:,} {kind} of {len(answer.classes)} classes, {max(answer.images):,} of the largest and "
        f"{answer.images[rarest]:,} of '{answer.classes[rarest]}'{tested}, on features of {answer.model}"
    )
    honest = answer.choice if answer.choice in pooled.rows else answer.best
    gain, column = pooled.difference(honest, answer.baseline), answer.column
    is_plain = answer.best == answer.baseline
    yield f"use: {name_of(answer.best)}{', as nothing that was chosen is better' if is_plain else ''}"
    others = alike(answer, pooled)
    if others:
        yield f"not told apart from: {', '.join(map(name_of, others[:5]))}{_more(len(others) - 5)}"
    chose = "each fold" if answer.folds > 1 else "the race"
    yield (
        f"{_words(column)} of what {chose} chose, on images that it did not see: {_shown(pooled.score(honest), column)}; "
        f"of plain training {_shown(pooled.score(answer.baseline), column)}"
    )
    yield f"difference: {_signed(gain, column)}{_verdict(gain, column, is_plain=is_plain)}"
    if not is_plain:
        head, tail = _head_and_tail(answer, pooled)
        yield f"largest third of the classes {head}, smallest third {tail}"
    if answer.gains and answer.gains[0].more > 0:
        yield f"more images would help most for {_growth(answer, answer.gains[0])}"
    if confusion := next(_confusions(answer, pooled), None):
        yield f"what remains: {confusion}"


def markdown(answer: Answer, pooled: Pooled) -> str:
    """Return the page."""
    lines = ["# Recommendation", "", *(f"- {escape(sentence)}" for sentence in sentences(answer, pooled)), ""]
    if answer.balanced_by_default and answer.column.name == BALANCED:
        lines += [
            "The test images are not balanced, so rows are compared by balanced accuracy, the mean accuracy of the classes:",
            "plain accuracy would hardly notice the rare ones. `--metric` chooses another number.",
            "",
        ]
    lines += [
        "## What was tested",
        "",
        f"| techniques | {_words(answer.column)} | difference to plain training |",
        "|---|--:|--:|",
    ]
    order = sorted(pooled.rows, key=lambda row: pooled.score(row).value, reverse=answer.column.higher_is_better)
    for row in order:
        difference = "" if row == answer.baseline else _signed(pooled.difference(row, answer.baseline), answer.column)
        lines.append(f"| {escape(name_of(row))} | {_shown(pooled.score(row), answer.column)} | {difference} |")
    lines += ["", "95 % intervals, from resamples of the images of each class. The names of techniques are explained by",
              "`ltbench show NAME`."]  # fmt: skip
    if answer.folds > 1:
        lines += [
            "Only the row of what each fold chose is free of the bias of choosing: its classifiers were chosen and trained without",
            "the images on which they are tested. The other rows lead in some folds, whose choice has seen images that other folds",
            "test, so their numbers may be too high.",
        ]
    else:
        lines += ["No choice has seen the test images."]
    if answer.note:
        lines += ["", answer.note]
    if answer.folds > 1:
        lines += ["", "## What each fold chose", "", "| fold | techniques |", "|--:|---|"]
        lines += [f"| {one.fold} | {escape(name_of(one.row))} |" for one in answer.chosen]
    lines += [
        "",
        "## Classes",
        "",
        f"| class | {'images' if answer.folds > 1 else 'training images'} | test images | plain training | recommended | change |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    before, after = pooled.recalls(answer.baseline), pooled.recalls(answer.best)
    tested = np.bincount(pooled.labels, minlength=len(answer.classes))
    for label in sorted(range(len(answer.classes)), key=lambda one: -answer.images[one]):
        numbers = (before[label], after[label], after[label] - before[label])
        cells = ["n/a" if np.isnan(value) else f"{100 * value:.1f}" for value in numbers]
        lines.append(
            f"| {escape(answer.classes[label])} | {answer.images[label]:,} | {tested[label]:,} | {' | '.join(cells)} |"
        )
    lines += ["", "Accuracy of each class in %.", "", "## What is still confused", ""]
    lines += [
        f"- {escape(text)}" for _, text in zip(range(_CONFUSIONS), _confusions(answer, pooled), strict=False)
    ] or ["Nothing."]
    if answer.found:
        lines += ["", "## What was found in the files", "", *(f"- {escape(line)}" for line in answer.found)]
    if answer.gains:
        lines += [
            "",
            "## What more images would probably bring",
            "",
            "| class | training images | accuracy | with twice as many |",
            "|---|--:|--:|--:|",
        ]
        lines += [
            f"| {escape(answer.classes[one.label])} | {one.images:,} | {100 * one.recall:.1f} | {100 * one.more:+.1f} |"
            for one in answer.gains
        ]
        lines += [
            "",
            "From trainings of the recommended row with a quarter and half of the images: a power law through the errors of each",
            "class, drawn towards that of all classes together, as rare classes have few test images.",
        ]
    return "\n".join(lines) + "\n"


def html(text: str) -> str:
    """Return a page in markdown as an HTML file that needs nothing else. Tags in the text are shown, not used."""
    body = MarkdownIt("js-default").render(text)
    style = (resources.files("ltbench.leaderboard.html") / "assets" / "style.css").read_text(encoding="utf-8")
    table = "main table { border-collapse: collapse; } main :is(td, th) { padding: 3px 12px; border-bottom: 1px solid var(--rule); }"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>Recommendation</title>\n'
        f"<style>\n{style}\n{table}\n</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _confusions(answer: Answer, pooled: Pooled) -> Iterator[str]:
    """Yield which class is taken for which, the largest shares first."""
    confusion, seeds = pooled.confusion(answer.best), pooled.seeds(answer.best)
    support = confusion.support
    wrong = np.flatnonzero(confusion.true != confusion.predicted)
    shares = confusion.images[wrong] / support[confusion.true[wrong]]
    for place in np.argsort(-shares, kind="stable"):
        pair = wrong[place]
        true, taken = int(confusion.true[pair]), int(confusion.predicted[pair])
        yield (
            f"{100 * shares[place]:.0f} % of '{answer.classes[true]}' is taken for '{answer.classes[taken]}' "
            f"({_mean(confusion.images[pair] / seeds)} of {support[true] // seeds})"
        )


def _head_and_tail(answer: Answer, pooled: Pooled) -> tuple[str, str]:
    order = np.argsort(-np.array(answer.images), kind="stable")
    size = max(round(len(order) * _HEAD), 1)
    change = pooled.recalls(answer.best) - pooled.recalls(answer.baseline)
    texts = []
    for part in (order[:size], order[-size:]):
        known = change[part][~np.isnan(change[part])]
        texts.append(f"{100 * known.mean():+.1f} points" if len(known) else "not tested")
    return texts[0], texts[1]


def _mean(images: float) -> str:
    """Return a mean over seeds, which need not be a whole number."""
    return f"{images:.1f}".removesuffix(".0")


def _growth(answer: Answer, gain: Gain) -> str:
    return f"'{answer.classes[gain.label]}': with twice its {gain.images:,} probably {100 * gain.more:+.1f} points"


def score_in_words(answer: Answer, pooled: Pooled, row: str) -> str:
    """Return the score of a row with its interval: `a balanced accuracy of 71.2 [68.0, 74.1]`."""
    return f"{with_article(_words(answer.column))} of {_shown(pooled.score(row), answer.column)}"


def _verdict(gain: Estimate, column: Column, *, is_plain: bool) -> str:
    if gain.low <= 0 <= gain.high:
        return "" if is_plain else ", which may be chance: plain training may be as good"
    return "" if (gain.low > 0) == column.higher_is_better else ", so plain training is better"


def _words(column: Column) -> str:
    title = column.full_title
    return title[:1].lower() + title[1:]


def _shown(estimate: Estimate, column: Column) -> str:
    value, low, high = (_number(part, column) for part in estimate)
    return f"{value} [{low}, {high}]"


def _signed(estimate: Estimate, column: Column) -> str:
    value, low, high = (_number(part, column, "+") for part in estimate)
    return f"{value} [{low}, {high}]"


def _number(value: float, column: Column, sign: str = "") -> str:
    return f"{100 * value:{sign}.1f}" if column.unit == "percent" else f"{value:{sign}.3f}"


def _more(number: int) -> str:
    return f" and {number} more" if number > 0 else ""
