"""Fetching an archive, whole or not at all."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PATIENCE_S = 30.0


class NotFetched(Exception):
    """A download that did not come to its end; the message says why."""


def fetch(url: str, md5: str, target: Path) -> None:
    """Download `url` to `target` through torchvision, with progress on stderr.

    The file is checked and then renamed into its place, so several processes may fetch it at once. Raises
    `NotFetched` where there is no network, no room, no right to write, or a content of another digest.
    """
    try:
        from torchvision.datasets.utils import download_url

        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
            with _patience(), contextlib.redirect_stdout(sys.stderr):
                download_url(url, folder, target.name, md5)
            (Path(folder) / target.name).replace(target)
    except (OSError, RuntimeError, http.client.HTTPException, ImportError) as error:
        raise NotFetched(f"{type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Give up on a silent network; torchvision's downloads have no time limit of their own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
