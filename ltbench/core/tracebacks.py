"""Tracebacks for records."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path


def traceback_text(error: BaseException) -> str:
    """Return the traceback of an error, without paths of this machine."""
    return without_machine("".join(traceback.format_exception(error)))


def without_machine(log: str) -> str:
    """Return a traceback with paths relative to `sys.path`, so that records do not depend on the machine."""
    folders = {str(Path(entry).resolve()) for entry in sys.path if entry} | {str(Path.cwd()), sys.base_prefix}
    for folder in sorted(folders, key=len, reverse=True):
        if len(folder) > 1:
            log = log.replace(f'File "{folder}/', 'File "')
    return log.replace(f'File "{Path.home()}/', 'File "~/')
