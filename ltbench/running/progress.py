"""Showing how far a run is, on stderr: a live display in a terminal, a line now and then where there is none."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from ltbench.core.units import duration
from ltbench.running.events import Event
from ltbench.running.run_counts import RunCounts

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_LINE_SECONDS = 5.0
_SAME_SECONDS = 30.0
"""When a line that says nothing new is written all the same: to show that there is life."""
_LIVE_SECONDS = 0.2
_NOTED = ("failed", "retry", "remake", "stopping")


class Progress:
    """Tells a run's events to whoever watches. To be given to `run` as `on_event`, within its `with` block."""

    def __init__(self, stream: TextIO | None = None, *, live: bool | None = None) -> None:
        """stream: stderr by default. live: whether to redraw one place, by default where the stream is a terminal."""
        self.stream = sys.stderr if stream is None else stream
        self.live = self.stream.isatty() if live is None else live
        self._bar: Bar | None = None
        self._next = 0.0
        self._last, self._said = "", 0.0

    def __call__(self, event: Event) -> None:
        """Show an event, or keep it for the next time that something is shown."""
        if event.kind in _NOTED and event.note:
            self._note(_noted(event))
        now = time.monotonic()
        if now < self._next and event.kind not in ("begin", "end"):
            return
        self._next = now + (_LIVE_SECONDS if self.live else _LINE_SECONDS)
        if self.live:
            self._draw(event.counts)
            return
        line = count_line(event.counts)
        if line != self._last or now > self._said + (_LINE_SECONDS if event.kind == "end" else _SAME_SECONDS):
            self._last, self._said = line, now
            self._write(f"{line}, {time_line(event.counts)}")

    def _note(self, text: str) -> None:
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text(text))
        else:
            self._write(text)

    def _write(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def _draw(self, counts: RunCounts) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn
            from rich.progress import Progress as Bar

            console = Console(file=self.stream, force_terminal=True)
            # What fits beside the text is left to the bar, and it has to be short in a narrow terminal.
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

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def count_line(counts: RunCounts) -> str:
    """Return how many cells and jobs are where, in one line."""
    cells = [f"cells {counts.done}/{counts.cells} done", f"{counts.running} running", f"{len(counts.failed)} failed"]
    if counts.cached:
        cells.append(f"{counts.cached} cached")
    jobs = [f"jobs {counts.jobs_done}/{counts.jobs}", f"{counts.jobs_running} running"]
    if counts.found:
        jobs.append(f"{counts.found} done elsewhere")
    if counts.busy:
        jobs.append(f"{counts.busy} running elsewhere")
    return f"{', '.join(cells)}; {', '.join(jobs)}"


def time_line(counts: RunCounts) -> str:
    """Return how long a run has taken and how long it will still take, in one line."""
    eta = counts.eta
    left = "unknown until the first training is done" if eta is None else duration(eta)
    return f"elapsed {duration(counts.elapsed)}, ETA {left}"


def _noted(event: Event) -> str:
    job = "" if event.job is None else f" {event.job.kind} {event.job.key[:12]}"
    what = {"failed": "FAILED", "retry": "trying again:", "remake": "making again:", "stopping": "stopping:"}
    first = event.note.splitlines()[0]
    return f"{what[event.kind]}{job}: {first}" if job else f"{what[event.kind]} {first}"
