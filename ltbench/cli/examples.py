"""The examples at the end of each command's `--help`."""

from __future__ import annotations

from collections.abc import Mapping

import click

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "run": (
        "--plugins cb_sampler,mixup,tta",
        "--suite mine.toml --budget 30m --workers 4",
        "--plugins cb_sampler --imbalance-factors 10,100 --seeds 0,1,2 --set epochs=20",
    ),
    "recommend": ("photos", "photos --test test-photos --budget 30m"),
    "search": ("quick --budget 30m", "mine.toml --on test --budget 100cells"),
    "plan": ("--plugins cb_sampler,mixup,tta", "--suite mine.toml --cells"),
    "status": ("", "--last 20"),
    "list": ("loss", "--json"),
    "show": ("mixup", "quick"),
    "check": ("mixup", "--plugin-file mine.py my_loss"),
    "leaderboard": ("quick", "--check", "quick --metric macro_f1"),
    "report": ("quick --open",),
    "publish": ("quick",),
    "cache": ("", "prune --dry-run"),
    "data": ("", "cifar10"),
    "plugins": ("", "--json"),
    "new": ("loss my_loss", "sampler my_sampler metric my_metric --package ltbench-mine"),
    "show-cell": ("3f85",),
    "compare": ("quick cb_sampler tta", "quick other-machine/quick"),
    "export": ("quick --output quick.csv", "quick --per-class --format json"),
    "export-model": ("best model --page quick",),
    "predict": ("model photos --top 3", "model photos --csv labels.csv"),
    "verify": ("quick", "other-machine/quick --rerun 3 --dry"),
    "merge": ("other-machine/quick --into leaderboards/quick",),
    "invalidate": ("3f85 --reason 'trained on test images'",),
    "doctor": ("",),
}
"""What follows the name of a command."""


def with_examples(name: str, command: click.Command) -> click.Command:
    """Return the command with its examples at the end of its help."""
    lines = [f"  ltbench {f'{name} {words}'.strip()}" for words in EXAMPLES[name]]
    command.epilog = "\n".join(["\b", "Examples:" if len(lines) > 1 else "Example:", *lines])
    return command
