"""A process that has imported what is slow to import, and forks for every command of a page.

Starting `ltbench run` anew costs up to fifteen seconds of imports. The child of a fork has them behind it; it has the folder, the
environment, the words and the streams of whoever called, and does nothing that a command of its own would not do.

    python warm.py SOCKET      the process
    python warm.py SOCKET COMMAND WORDS...      what the commands on the path of a page are
"""

from __future__ import annotations

import json
import os
import runpy
import socket
import sys
import time
from pathlib import Path

SLOW = (
    "torch",
    "torch._dynamo",
    "pandas",
    "scipy.stats",
    "matplotlib.figure",
    "matplotlib.backends.backend_svg",
    "pytest",
)


def serve(address: str) -> None:
    """Fork for whoever connects, until this process is ended."""
    import importlib

    for name in SLOW:
        importlib.import_module(name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(address + ".new")
        listening.listen()
        Path(address + ".new").rename(address)  # now it can be called
        while True:
            calling, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(calling)
            calling.close()
            # Children of earlier calls have ended.
            while _reaped():
                pass


def _reaped() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _answer(calling: socket.socket) -> None:
    """Do what is asked in a child of this one, so that its end can be told however it comes."""
    message, streams, _, _ = socket.recv_fds(calling, 1 << 20, 3)
    child = os.fork()
    if child == 0:
        calling.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        _become(**json.loads(message))
    _, status = os.waitpid(child, 0)
    calling.sendall(str(os.waitstatus_to_exitcode(status) % 256).encode())
    os._exit(0)


def _become(command: str, words: list[str], folder: str, environment: dict[str, str]) -> None:
    """Be a command from here on."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = [path for path in environment["PAGE_PATH"].split(os.pathsep) if Path(path).is_dir()]
    for file in [file for path in sys.path if path for file in Path(path).glob("*.editable")]:
        sys.path.insert(0, file.read_text())
    sys.argv = [command, *words]
    # The pipes of the page took the place of the files below the old streams, which a command may configure.
    sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    code: object = 0
    try:
        if command == "ltbench":
            from ltbench.cli import main

            main()
        else:
            runpy.run_module(command, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def call(address: str, command: str, words: list[str]) -> int:
    """Have a command done; return its exit code."""
    asked = {"command": command, "words": words, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as calling:
        while not Path(address).exists():
            time.sleep(0.05)
        calling.connect(address)
        socket.send_fds(calling, [json.dumps(asked).encode()], [0, 1, 2])
        return int(calling.recv(16))


if __name__ == "__main__":
    where, *rest = sys.argv[1:]
    if rest:
        sys.exit(call(where, rest[0], rest[1:]))
    serve(where)
