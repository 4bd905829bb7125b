"""A small suite on a real Slurm: a controller and two nodes on this host, started and stopped by cluster.sh."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fakes import WORK, accept_fake_records, context, journal_keys, tree, wait_for
from support import make_executor
from test_whole_product import Workspace

from ltbench.executor import Terms
from ltbench.running.options import RunOptions
from ltbench.running.runner import run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("slurm")]
SCRIPT = Path(__file__).with_name("cluster.sh")
OPTIONS = "cluster=slurm,workers=2,memory=1500MB,queue=short,walltime=00:30:00,interface=lo"
MISSING = [name for name in ("slurmctld", "slurmd", "sbatch", "munged", "runuser") if shutil.which(name) is None]
if os.geteuid() != 0:
    MISSING.append("root")


@pytest.fixture(scope="module")
def slurm():
    """Start Slurm, or skip where it is not installed."""
    if MISSING:
        pytest.skip(f"no Slurm can be started here without {', '.join(MISSING)}")
    # Not below pytest's own folder, which munge's user may not enter.
    folder = Path(f"/tmp/ltbench-slurm-{os.getpid()}")
    port = random.randrange(20_000, 30_000)
    up = subprocess.run([SCRIPT, "up", folder, str(port)], capture_output=True, text=True, check=False)
    if up.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.fail(f"Slurm does not start: {up.stdout}{up.stderr}")
    before = dict(os.environ)
    os.environ |= {"SLURM_CONF": f"{folder}/slurm.conf", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    try:
        yield folder
    finally:
        subprocess.run([SCRIPT, "down", folder], check=True)
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = Workspace(tmp_path_factory.mktemp("undisturbed"))
    done = place.run()
    assert done.returncode == 0, done.stderr
    return place


def jobs(*options):
    return subprocess.run(["squeue", "-h", "-o", "%i %T", *options], capture_output=True, text=True, check=True).stdout


def test_a_suite_is_run_by_workers_that_are_jobs_of_slurm(slurm, undisturbed, tmp_path):
    place = Workspace(tmp_path)
    process = place.start("--executor", f"dask[{OPTIONS}]")
    wait_for(lambda: jobs().count("RUNNING") == 2 or process.poll() is not None, seconds=120)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    assert place.page == undisturbed.page
    assert place.fits() == undisturbed.fits()
    assert len(list((tmp_path / "store" / "logs" / "batch").glob("*.err"))) == 2
    wait_for(lambda: jobs() == "", seconds=60)


def test_the_jobs_of_a_command_that_is_killed_end_by_themselves_and_it_goes_on(slurm, undisturbed, tmp_path):
    place = Workspace(tmp_path)
    process = place.start("--executor", f"dask[{OPTIONS}]")
    wait_for(lambda: place.fits() or process.poll() is not None, seconds=180)
    process.kill()
    process.communicate()
    wait_for(lambda: jobs() == "", seconds=120)
    done = place.run("--executor", f"dask[{OPTIONS}]")
    assert done.returncode == 0, done.stderr
    assert place.page == undisturbed.page
    assert place.fits() == undisturbed.fits()


def test_several_commands_under_srun_share_one_store(slurm, undisturbed, tmp_path):
    place = Workspace(tmp_path)
    # One page is enough: the second command waits for what the first one does and finds the same.
    done = subprocess.run(
        ["srun", "-n", "2", "--export", "ALL", sys.executable, "-m", "ltbench", *place.command("--workers", "1")],
        cwd=place.folder, env=os.environ | place.env, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert place.page == undisturbed.page
    assert place.fits() == undisturbed.fits()


def test_a_job_of_slurm_that_is_cancelled_costs_what_its_worker_was_at_and_is_submitted_anew(
    slurm, tmp_path, monkeypatch
):
    accept_fake_records(monkeypatch)
    here = context(tmp_path / "store")
    cancelled = []

    def cancel():
        wait_for(lambda: len(journal_keys(here.store, "began")) > 2, seconds=120)
        cancelled.append(jobs().split()[0])
        subprocess.run(["scancel", cancelled[0]], check=True)
        wait_for(lambda: jobs("-t", "RUNNING").count("RUNNING") == 2 and cancelled[0] not in jobs(), seconds=180)
        (here.store.root / "enough").touch()

    thread = threading.Thread(target=cancel)
    thread.start()
    with make_executor(
        f"dask[{OPTIONS},python={sys.executable}]", here, Terms(work="fakes:work_until_released")
    ) as executor:
        summary = run(tree(fits=4), here, executor, RunOptions(retries=3))
        thread.join()
    assert (summary.done, summary.failed) == (12, ())
    assert cancelled


def test_what_slurm_refuses_is_told(slurm, tmp_path):
    from ltbench.errors import ClusterError

    executor = make_executor(
        f"dask[{OPTIONS.replace('short', 'nowhere')}]", context(tmp_path / "store"), Terms(work=WORK)
    )
    with pytest.raises(ClusterError, match="cannot start workers with cluster=slurm") as caught, executor:
        executor.submit(list(tree().jobs.values())[:1])
    assert "invalid partition" in str(caught.value)
