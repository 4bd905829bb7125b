"""The answer in words: what is said of sure and unsure differences, of classes and confusions, and that names are only text."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from ltbench.advice.answer import Answer, Chosen, alike, html, markdown, sentences
from ltbench.advice.growth import Gain
from ltbench.advice.pooled import Pooled
from ltbench.columns import Column

LABELS = np.repeat([0, 1, 2], [60, 30, 10])
ANSWER = Answer(
    classes=("many", "<b>some</b>", "few | *rare*"),
    images=(60, 30, 10),
    folds=2,
    model="net",
    column=Column(name="balanced_accuracy", title="bal.", long_title="Balanced accuracy"),
    balanced_by_default=True,
    chosen=[Chosen(1, "loss"), Chosen(2, "loss + sampler")],
    best="loss",
    baseline="baseline",
    choice="chosen",
    gains=[Gain(label=2, images=8, recall=0.9, more=0.03)],
)


def balanced(probabilities: np.ndarray, labels: np.ndarray) -> float:
    hits = probabilities.argmax(1) == labels
    return float(np.mean([hits[labels == label].mean() for label in np.unique(labels)]))


def table(right: list[int]) -> list[np.ndarray]:
    """Return predictions of which so many of each class are right, the others the class before."""
    decided = LABELS.copy()
    for label, number in enumerate(right):
        own = np.flatnonzero(label == LABELS)
        decided[own[number:]] = (label - 1) % 3
    return [np.eye(3)[decided]]


@pytest.fixture(scope="module")
def pooled() -> Pooled:
    return Pooled(
        LABELS, {"baseline": table([58, 15, 1]), "loss": table([50, 25, 9]), "twin": table([50, 25, 9]), "chosen": table([51, 24, 8])}, balanced
    )  # fmt: skip


def test_the_lines_say_what_to_use_and_what_it_brings(pooled: Pooled) -> None:
    lines = list(sentences(ANSWER, pooled))
    assert len(lines) <= 10
    assert lines[1] == "use: loss"
    assert alike(ANSWER, pooled) == ["twin"]
    assert lines[2] == "not told apart from: twin"
    assert "balanced accuracy of what each fold chose, on images that it did not see: 81.7" in lines[3]
    assert lines[4].startswith("difference: +29.4 [+")
    assert "chance" not in lines[4]
    assert "largest third of the classes -13.3 points, smallest third +80.0 points" in lines
    assert "'few | *rare*': with twice its 8 probably +3.0 points" in lines[6]
    assert lines[7] == "what remains: 17 % of 'many' is taken for 'few | *rare*' (10 of 60)"


def test_a_difference_that_may_be_chance_is_said_to_be_one() -> None:
    same = Pooled(
        LABELS, {"baseline": table([50, 25, 8]), "loss": table([50, 25, 9]), "chosen": table([50, 25, 8])}, balanced
    )
    lines = list(sentences(ANSWER, same))
    assert any(line.endswith("which may be chance: plain training may be as good") for line in lines)


def test_the_page_says_which_rows_are_without_a_bias_and_what_folds_chose(pooled: Pooled) -> None:
    page = markdown(ANSWER, pooled)
    assert "| 2 | loss + sampler |" in page
    assert "Only the row of what each fold chose is" in page
    assert "The test images are not balanced" in page
    assert "The test images" not in markdown(msgspec.structs.replace(ANSWER, balanced_by_default=False), pooled)
    assert "| few \\| \\*rare\\* | 10 | 10 | 10.0 | 90.0 | 80.0 |" in page


def test_names_of_classes_are_only_text(pooled: Pooled) -> None:
    text = html(markdown(ANSWER, pooled))
    assert "<b>" not in text
    assert "&lt;b&gt;some&lt;/b&gt;" in text
    assert "<em>" not in text
    assert text.count("<table>") == 4


def test_where_less_is_better_more_is_worse(pooled: Pooled) -> None:
    costs = msgspec.structs.replace(
        ANSWER, column=Column(name="cost", title="cost", higher_is_better=False, unit="plain")
    )
    lines = list(sentences(costs, pooled))
    assert lines[4].startswith("difference: +0.294 [+0.")
    assert lines[4].endswith(", so plain training is better")
    order = [line.split(" | ")[0] for line in markdown(costs, pooled).splitlines() if line.startswith("| ")]
    assert order.index("| plain training") < order.index("| chosen") < order.index("| loss")


def test_what_became_of_fine_tuning_is_on_the_page(pooled: Pooled) -> None:
    assert "Fine-tuning was not tried." in markdown(
        msgspec.structs.replace(ANSWER, note="Fine-tuning was not tried."), pooled
    )


def test_where_nothing_is_better_plain_training_is_recommended(pooled: Pooled) -> None:
    worse = Pooled(
        LABELS, {"baseline": table([58, 25, 5]), "loss": table([50, 25, 5]), "chosen": table([50, 25, 5])}, balanced
    )
    lines = list(sentences(msgspec.structs.replace(ANSWER, best="baseline"), worse))
    assert lines[1] == "use: plain training, as nothing that was chosen is better"
    assert not any("third of the classes" in line or "may be chance" in line for line in lines)


def test_one_test_needs_no_words_about_folds(pooled: Pooled) -> None:
    once = msgspec.structs.replace(ANSWER, folds=1, found=["10 of 70 test images are identical to a training image"])
    page = markdown(once, pooled)
    assert "60 training images of 3 classes" not in page
    assert "100 training images of 3 classes, 60 of the largest and 10 of" in page
    assert "and 100 test images" in page
    assert "fold" not in page
    assert "- 10 of 70 test images are identical to a training image" in page


def test_a_mean_over_trainings_is_shown_as_one() -> None:
    three = [table([57, 25, 8])[0], table([56, 25, 8])[0], table([56, 25, 8])[0]]
    found = Pooled(LABELS, {"baseline": three, "loss": three, "chosen": three}, balanced)
    assert "(3.7 of 60)" in markdown(ANSWER, found)
