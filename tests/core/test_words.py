"""Sentences that name a stage have the right article."""

from __future__ import annotations

import pytest
from support import call

from ltbench.core.words import with_article
from ltbench.errors import JobFailed, UsageError
from ltbench.registry.registry import Registry
from ltbench.stages import STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_named_with_its_article(stage: str, registry: Registry) -> None:
    name = next(iter(registry.of(stage)))
    assert f"{name}: {with_article(stage)} technique" in call("show", name).stdout
    other = next(other for other in STAGES if other != stage)
    with pytest.raises(UsageError) as parsed:
        registry.parse(name, other)
    with pytest.raises(JobFailed) as built:
        registry.build_as(registry.spec(registry.parse(name)), STAGES[other].base)
    for error in (parsed, built):
        assert f"is {with_article(stage)}; expected {with_article(other)}" in str(error.value)


@pytest.mark.parametrize(("noun", "right"), [("augment", "an augment"), ("loss", "a loss"), ("int", "an int")])
def test_the_article_follows_the_first_letter(noun: str, right: str) -> None:
    assert with_article(noun) == right
