"""Tells whether another user of this machine could change a file that is about to be run."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path
from typing import NamedTuple


class Weakness(NamedTuple):
    """What lets another user change a file, and how to mend it."""

    where: Path
    """The file, or the folder above it."""
    why: str
    fix: str


def weakness(path: Path) -> Weakness | None:
    """Return what lets another user change a file or replace it, or None. A missing file has none.

    As ssh and git do for their configuration, the file and all folders above it have to belong to this user or root, and
    not everybody may write there. A sticky folder such as /tmp is fine: others cannot rename what is not theirs in it.

    Members of one's own groups may write and own: a laboratory shares a folder in just this way.
    """
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - a link may be replaced, too, so it must not be resolved
    copy = f"use a copy in a folder of yours: cp {shlex.quote(str(path))} ~/"
    for one in dict.fromkeys(step for end in (absolute, absolute.resolve()) for step in (end, *end.parents)):
        try:
            found = one.stat()
        except OSError:
            continue
        if found.st_mode & stat.S_IWOTH and not (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
            fix = f"chmod o-w {shlex.quote(str(one))}; or, where modes cannot be changed, {copy}"
            return Weakness(one, "every user of this machine may write there", fix)
        if found.st_uid not in _trusted_owners() and found.st_gid not in {os.getegid(), *os.getgroups()}:
            why = f"it belongs to another user (uid {found.st_uid}), who shares no group with you"
            return Weakness(one, why, f"read it, and {copy}")
    return None


def _trusted_owners() -> set[int]:
    # The owner of `/` shows as "nobody" in a user namespace that has no root. Someone with sudo works on files of his own.
    owners = {0, os.geteuid(), Path("/").stat().st_uid}
    if os.geteuid() == 0 and (user := os.environ.get("SUDO_UID", "")).isdecimal():
        owners.add(int(user))
    return owners
