"""--device: which devices compute, and what follows from it. A GPU is simulated by what torch says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from support import command, ltbench

from ltbench.core import devices
from ltbench.errors import ParameterError, UsageError
from ltbench.executor import Context, Terms
from ltbench.executors.builtin import DaskOffer, LocalOffer
from ltbench.executors.local import Local
from ltbench.suite import recipe
