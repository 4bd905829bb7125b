"""Shows the progress of a run on stderr: a live display in a terminal, otherwise occasional lines."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

from ltbench.core.printable import printable
from ltbench.core.text_streams import unfiltered
from ltbench.core.units import duration
from ltbench.running.events import Event
from ltbench.running.run_counts import RunCounts

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_LINE_SECONDS = 5.0
_REPEAT_SECONDS = 30.0
"""Seconds after which an unchanged line is repeated, as a sign of life."""
_LIVE_SECONDS = 0.2
_NOTED = ("failed", "retry", "remake", "stopping")


class Progress:
    """Shows the events of a run. Pass it to `run` as `on_event`, within its `with` block."""

    def __init__(self, stream: TextIO | None = None, *, live: bool | None = None) -> None:
        """stream: stderr by default. live: whether to redraw in place; default: if the stream is a terminal."""
        self.stream = sys.stderr if stream is None else stream
        self.live = self.stream.isatty() if live is None else live
        self._bar: Bar | None = None
        self._next = 0.0
        self._last_line, self._last_time = "", 0.0

    def __call__(self, event: Event) -> None:
        """Show an event, at a limited rate."""
        if event.kind in _NOTED and event.note:
            self._note(_note_line(event))
        now = time.monotonic()
        if now < self._next and event.kind not in ("begin", "end"):
            return
        self._next = now + (_LIVE_SECONDS if self.live else _LINE_SECONDS)
        if self.live:
            self._draw(event.counts)
            return
        line = count_line(event.counts)
        if line != self._last_line or now > self._last_time + (
            _LINE_SECONDS if event.kind == "end" else _REPEAT_SECONDS
        ):
            self._last_line, self._last_time = line, now
            self._write(f"{line}, {time_line(event.counts)}")

    def _note(self, text: str) -> None:
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(printable(text)))
        else:
            self._write(text)

    def _write(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def _draw(self, counts: RunCounts) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            console = Console(file=unfiltered(self.stream), force_terminal=True, force_jupyter=False)
            # A short bar leaves room for text in a narrow terminal.
            columns = (BarColumn(bar_width=16), TextColumn("{task.description}", markup=False))
            self._bar = Bar(*columns, console=console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
            self._bar.start()
            self._bar.add_task("")
        done = counts.done + len(counts.failed)
        text = f"{count_line(counts)}\n{time_line(counts)}"
        self._bar.update(self._bar.task_ids[0], description=text, completed=done, total=counts.cells or 1)
        self._bar.refresh()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def count_line(counts: RunCounts) -> str:
    """Return one line with the counts of cells and jobs."""
    cells = [f"cells {counts.done}/{counts.cells} done", f"{counts.running} running", f"{len(counts.failed)} failed"]
    if counts.cached:
        cells.append(f"{counts.cached} cached")
    jobs = [f"jobs {counts.jobs_done}/{counts.jobs}", f"{len(counts.in_flight)} running"]
    if counts.done_elsewhere:
        jobs.append(f"{counts.done_elsewhere} done elsewhere")
    if counts.running_elsewhere:
        jobs.append(f"{counts.running_elsewhere} running elsewhere")
    return f"{', '.join(cells)}; {', '.join(jobs)}"


def time_line(counts: RunCounts) -> str:
    """Return one line with the elapsed and the remaining time of a run."""
    eta = counts.eta
    remaining = "unknown until each kind of training has been done once" if eta is None else duration(eta)
    return f"elapsed {duration(counts.elapsed)}, ETA {remaining}"


def _note_line(event: Event) -> str:
    job = "" if event.job is None else f" {event.job.kind} {event.job.key[:12]}"
    prefix = {"failed": "FAILED", "retry": "trying again:", "remake": "recomputing:", "stopping": "stopping:"}
    first = event.note.splitlines()[0]
    return f"{prefix[event.kind]}{job}: {first}" if job else f"{prefix[event.kind]} {first}"
