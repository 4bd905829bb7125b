"""One colour and marker for a combination on all figures of a page."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import msgspec
import pytest
import synthetic

from ltbench.leaderboard.figures import place_figures
from ltbench.leaderboard.figures.canvas import Drawing, svg
from ltbench.leaderboard.figures.looks import COLORS, GREY, Look, page_looks
from ltbench.leaderboard.figures.names import short_names
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.record import Record, plain_values
from ltbench.suite.published import Claim, Reported

CURVE = {"epoch": [1.0, 2.0], "loss": [2.0, 1.0], "lr": [0.1, 0.1], "accuracy": [0.3, 0.6]}
FACTS = SuiteFacts(
    name="s", figures=("bars", "head_to_tail", "spread", "curves", "effects", "interactions", "cost"), seeds=((0, 0),)
)


def records() -> list[Record]:
    """Return all combinations of four techniques at two factors, each with a learning curve."""
    plain = synthetic.suite(factors=(10.0, 100.0), seeds=(0, 1, 2))
    return [synthetic.validate(synthetic.seal(plain_values(one) | {"curve": CURVE, "digest": ""})) for one in plain]


def drawn(facts: SuiteFacts = FACTS) -> list[Drawing]:
    return [drawing for group in place_figures(facts, records()) for drawing in group.drawings]


def looks_in(drawing: Drawing) -> Iterator[tuple[str, Look]]:
    """Yield the name and look of each combination of a figure."""
    data = drawing.data
    for field in ("lines", "places", "curves", "boxes"):
        for one in getattr(data, field, ()):
            if isinstance(one, str) or one.look is None:
                continue
            yield getattr(one, "name", "") or getattr(one, "label", ""), one.look
    if drawing.kind == "effects":
        yield from zip(data.techniques, data.looks, strict=True)


def test_a_combination_looks_the_same_on_all_figures_of_a_page() -> None:
    found: dict[str, set[Look]] = {}
    kinds = set()
    for drawing in drawn():
        for name, look in looks_in(drawing):
            found.setdefault(name, set()).add(look)
            kinds.add(drawing.kind)
    assert kinds == {"bars", "head_to_tail", "spread", "curves", "effects", "cost"}
    assert all(len(looks) == 1 for looks in found.values()), found
    assert found["baseline"] == {Look()}
    # The technique alone and the technique of the effects are one thing.
    assert {"cb_sampler", "mixup", "label_smooth", "tta"} <= set(found)


def test_the_colours_of_a_look_are_the_colours_of_the_file() -> None:
    by_kind = {drawing.kind: drawing for drawing in drawn()}
    for kind in ("bars", "cost", "effects"):
        text = svg(by_kind[kind]).lower()
        assert all(look.color.lower() in text for _, look in looks_in(by_kind[kind])), kind


def test_a_combination_that_is_named_twice_has_one_colour() -> None:
    twice = ("tta", "cb_sampler")
    facts = msgspec.structs.replace(
        FACTS,
        highlight=twice,
        claims=(Claim(text="c", better=twice[::-1], worse=("mixup",)),),
        reported=(Reported(source="T", imbalance_factor=100, techniques=twice, value=0.5),),
    )
    (bars,) = [drawing for drawing in drawn(facts) if drawing.kind == "bars"]
    names = [name for name, _ in looks_in(bars)]
    assert names.count("cb_sampler + tta") == 1
    assert len({look for _, look in looks_in(bars)}) == len(names)


def test_looks_are_distinct_beyond_the_colours_and_the_reference_is_grey_wherever_it_is_named() -> None:
    labels = [f"t{i}" for i in range(36)]
    looks = page_looks([*labels[:3], "base", *labels, *labels], "base")
    assert looks["base"] == Look(color=GREY, marker="o")
    assert len({(look.color, look.marker) for look in looks.values()}) == 37
    assert [looks[label].color for label in labels[:6]] == list(COLORS)
    assert len({looks[label].marker for label in labels[:6]}) == 6


def _luminance(color: str) -> float:
    """Return the relative luminance of WCAG 2.1."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("color", [GREY, *COLORS])
def test_a_line_stands_out_from_the_white_background(color: str) -> None:
    # Okabe and Ito's yellow has 1.3.
    assert 1.05 / (_luminance(color) + 0.05) > 2.0


# Machado, Oliveira and Fernandes, IEEE TVCG 15 (2009), severity 1, on linear RGB.
_DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))


def test_colours_differ_for_readers_without_green() -> None:
    def seen(color: str) -> list[float]:
        parts = [(int(color[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5)]
        mixed = [sum(a * b for a, b in zip(row, parts, strict=True)) for row in _DEUTERANOPIA]
        return [min(1.0, max(0.0, part)) ** (1 / 2.2) * 255 for part in mixed]

    for one, other in itertools.combinations((GREY, *COLORS), 2):
        gap = sum((a - b) ** 2 for a, b in zip(seen(one), seen(other), strict=True)) ** 0.5
        assert gap > 20, (one, other)


def test_short_names_keep_what_distinguishes_techniques() -> None:
    same_model = "models=a[width=16,depth=2]+b"
    labels = [
        "mixup", "ens[beta=0.9,normalize=sum]", "ens[beta=0.99,normalize=sum]", "ens[normalize=sum]",
        f"stacking[{same_model}]", 'odd[text="a, b",n=1]', 'odd[text="a, c",n=1]',
    ]  # fmt: skip
    assert list(short_names(labels).values()) == [
        "mixup", "ens[beta=0.9]", "ens[beta=0.99]", "ens", "stacking", 'odd[text="a, b"]', 'odd[text="a, c"]'
    ]  # fmt: skip
