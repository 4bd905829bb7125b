"""The command that runs a cell again."""

from __future__ import annotations

import shlex

from ltbench.leaderboard.page import SuiteFacts
from ltbench.records import Record
from ltbench.technique import written


def rerun_command(facts: SuiteFacts, record: Record) -> str:
    """Return the command that trains the cell of a record, with the simpler combinations on the way to it."""
    setting = record.setting
    labels = [label for _, label in record.techniques]
    options = [
        *("--plugins", ",".join(labels)),
        *(("--strategy", "cumulative") if len(labels) > 1 else ()),
        *("--datasets", setting.dataset),
        *("--models", setting.model),
        *("--imbalance-factors", written(setting.imbalance_factor)),
        *("--seeds", str(setting.seed)),
    ]
    return f"{facts.command or f'ltbench run --suite {shlex.quote(facts.name)}'} {shlex.join(options)}"
