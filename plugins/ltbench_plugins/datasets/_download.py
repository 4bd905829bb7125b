"""Download an archive completely or not at all."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ltbench.core.text_streams import with_progress_bars

_TIMEOUT_S = 30.0


class NotFetched(Exception):
    """A download that failed; the message says why."""


def fetch(url: str, md5: str, target: Path) -> None:
    """Download `url` to `target` through torchvision, with progress on stderr.

    The file is verified before it is renamed, so that several processes may download it at once. Raises `NotFetched`
    without network, disk space or permission, and for content with another digest.
    """
    try:
        from torchvision.datasets.utils import download_url

        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
            with _timeout(), with_progress_bars(), contextlib.redirect_stdout(sys.stderr):
                download_url(url, folder, target.name, md5)
            (Path(folder) / target.name).replace(target)
    except (OSError, RuntimeError, http.client.HTTPException, ImportError) as error:
        raise NotFetched(f"{type(error).__name__}: {error}") from error


@contextlib.contextmanager
def _timeout() -> Iterator[None]:
    """Set a timeout for the network; torchvision's downloads have none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_S)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
