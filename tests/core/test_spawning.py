"""Child processes do not import the script of their parent, which keeps its names."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from support import import_path_env

from ltbench.core.spawning import Spawning

SCRIPT = """
import os
from concurrent.futures import ProcessPoolExecutor
from ltbench.core.spawning import Spawning
print("imported as", __name__, flush=True)
with ProcessPoolExecutor(1, mp_context=Spawning()) as pool:
    print(pool.submit(os.getpid).result() != os.getpid(), __spec__, __file__)
"""


def test_a_script_is_not_imported_again(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=True, env=os.environ | import_path_env()
    )  # fmt: skip
    assert done.stdout == f"imported as __main__\nTrue None {tmp_path / 'script.py'}\n"


def test_processes_that_several_threads_start_leave_the_main_module_as_it_was() -> None:
    main = sys.modules["__main__"]
    before = (main.__spec__, main.__dict__.get("__file__"))

    def start(_: int) -> int:
        with ProcessPoolExecutor(1, mp_context=Spawning()) as pool:
            return pool.submit(os.getpid).result()

    with ThreadPoolExecutor(4) as threads:
        pids = list(threads.map(start, range(4)))
    assert len(set(pids)) == 4
    assert (main.__spec__, main.__dict__.get("__file__")) == before
