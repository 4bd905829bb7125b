"""Tracebacks of exceptions, whatever the classes of these do."""

from __future__ import annotations

import contextlib
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import cast

from ltbench.errors import class_name, raised


def traceback_text(error: BaseException) -> str:
    """Return the traceback of an error, without paths of this machine."""
    try:
        text = "".join(traceback.format_exception(error))
    except BaseException as again:  # noqa: BLE001 - attributes of the error, or of one before it, raise
        text = (
            f"Traceback (most recent call last):\n{''.join(traceback.format_tb(traceback_of(error)))}{raised(error)}\n"
            f"The errors before it cannot be shown: {class_name(again)}\n"
        )
    return without_machine(text)


def traceback_of(error: BaseException) -> TracebackType | None:
    """Return the traceback of an error, also where its class has an attribute in the place of it."""
    return cast("TracebackType | None", BaseException.__dict__["__traceback__"].__get__(error))


def without_machine(log: str) -> str:
    """Return a traceback with paths relative to `sys.path`, so that records do not depend on the machine."""
    folders = {str(Path(entry).resolve()) for entry in sys.path if entry} | {sys.base_prefix}
    with contextlib.suppress(OSError):  # it may have been removed
        folders.add(str(Path.cwd()))
    for folder in sorted(folders, key=len, reverse=True):
        if len(folder) > 1:
            log = log.replace(f'File "{folder}/', 'File "')
    with contextlib.suppress(RuntimeError):  # there may be none
        log = log.replace(f'File "{Path.home()}/', 'File "~/')
    return log
