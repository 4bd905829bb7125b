"""Executors by name: how they are written, what is refused, and those that others offer."""

from __future__ import annotations

import pytest
from fakes import context, make
from support import call, imported, main_result, suite_source

from ltbench.core.plugins import PluginOrigin
from ltbench.errors import ParameterError, PluginError, UnknownName, UsageError
from ltbench.executor import Terms
from ltbench.executors.builtin import DaskOffer, InlineOffer, LocalOffer
from ltbench.registry.registry import Registry
from ltbench.suite.suite import changed, find_suite

MINE = '''
"""An executor for tests: the inline one, with a word before each task."""

from typing import Annotated

from ltbench import ExecutorOffer, Meta, hookimpl


class Wordy(ExecutorOffer):
    """Jobs in this process, each announced. Source: none."""

    name = "{name}"
    word: Annotated[str, Meta(min_length=2, description="what is said")] = "now"

    def make(self, context, terms):
        from ltbench.executors.inline import Inline

        word = self.word

        class Announced(Inline):
            def submit(self, jobs):
                import sys

                print(word, *(job.kind for job in jobs), file=sys.stderr)
                super().submit(jobs)

        return Announced(context, terms)


@hookimpl
def ltbench_executors():
    return [Wordy]
'''


@pytest.mark.parametrize(
    ("text", "offer"),
    [
        ("local", LocalOffer()),
        ("local[workers=3]", LocalOffer(workers=3)),
        ("inline", InlineOffer()),
        ("dask", DaskOffer()),
        ("dask[scheduler=tcp://127.0.0.1:8786]", DaskOffer(scheduler="tcp://127.0.0.1:8786")),
        ("dask[scheduler=tls://[::1]:8786]", DaskOffer(scheduler="tls://[::1]:8786")),
        (
            "dask[cluster=slurm,workers=4,cores=2,memory=8GB,queue=short,walltime=12:00:00,gpus=0.5]",
            DaskOffer(cluster="slurm", workers=4, cores=2, memory="8GB", queue="short", walltime="12:00:00", gpus=0.5),
        ),
        (
            "dask[cluster=pbs,memory=1.5GiB,directives=-l gpus=1+-V,prologue=source /opt/x/bin/activate]",
            DaskOffer(cluster="pbs", memory="1.5GiB", directives=("-l gpus=1", "-V"),
                      prologue=("source /opt/x/bin/activate",)),
        ),
        (
            "dask[cluster=kubernetes,image=quay.io/lab/ltbench:1,volumes=store:/store+data:/data]",
            DaskOffer(cluster="kubernetes", image="quay.io/lab/ltbench:1", volumes=("store:/store", "data:/data")),
        ),
    ],
)  # fmt: skip
def test_an_executor_is_written_like_a_technique(registry, text, offer):
    assert registry.executor(text) == offer


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("dsk", UnknownName, "did you mean dask?"),
        ("dask[workers=0]", ParameterError, "executor 'dask' does not accept workers = 0: expected int >= 1"),
        ("dask[workers=0]", ParameterError, "workers: int >= 1 or none"),
        ("dask[cluster=slrm]", ParameterError, "cluster: local | slurm | pbs | sge | kubernetes"),
        ("dask[scheduler=here]", ParameterError, "scheduler = 'here'"),
        ("dask[memory=8]", ParameterError, "memory = 8"),
        ("dask[gpu=1]", ParameterError, "executor 'dask' has no parameter 'gpu'\n  try: did you mean gpus?"),
        ("dask[workers=1,2]", UsageError, "is 2 executors; expected one"),
        ("local,dask", UsageError, "is 2 executors; expected one"),
        ("dask[scheduler=tcp://h:1,workers=3]", ParameterError, "remove cluster and workers"),
        ("dask[scheduler=tcp://h:1,cluster=local]", ParameterError, "remove cluster and workers"),
        ("dask[queue=short]", ParameterError, "allowed with cluster=slurm | pbs | sge"),
        ("dask[cluster=slurm]", ParameterError, "memory=4GB"),
        ("dask[cluster=kubernetes]", ParameterError, "image=NAME:TAG"),
        ("dask[cluster=kubernetes,image=a,volumes=store]", ParameterError, "volumes = ['store']"),
        ("inline[workers=2]", ParameterError, "executor 'inline' has no parameter 'workers'"),
    ],
)
def test_what_an_executor_does_not_accept_is_told(registry, text, error, says):
    with pytest.raises(error) as caught:
        registry.executor(text)
    assert says in str(caught.value)


def test_without_dask_the_error_says_what_to_install(registry, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"pip install 'ltbench\[dask\]'"):
        registry.executor("dask").make(context("unused"))


def test_workers_of_the_command_go_before_those_of_the_options(tmp_path):
    here = context(tmp_path)
    offer = here.registry.executor("local[workers=3]")
    assert offer.make(here).slots == 3
    assert offer.make(here, Terms(workers=2)).slots == 2


def test_another_ones_executor_is_found_by_the_hook(tmp_path):
    file = tmp_path / "wordy.py"
    file.write_text(MINE.format(name="wordy"))
    registry = Registry.load(PluginOrigin(plugin_files=(str(file),)))
    assert registry.executor("wordy[word=go]").params == {"word": "go"}
    with pytest.raises(ParameterError, match="word = 'x'"):
        registry.executor("wordy[word=x]")
    here = context(tmp_path / "store")
    with registry.executor("wordy").make(here, Terms(work="fakes:work")) as executor:
        executor.submit([make("job1")])
        assert [outcome.status for outcome in executor.wait(0.0)] == ["done"]


def test_an_executor_cannot_take_the_name_of_another(tmp_path):
    (tmp_path / "local2.py").write_text(MINE.format(name="local"))
    with pytest.raises(PluginError, match="its executor 'local' has the same name as a built-in"):
        Registry.load(PluginOrigin(plugin_files=(str(tmp_path / "local2.py"),)))
    assert Registry.load().executor("local") == LocalOffer()


def test_what_is_no_executor_is_refused(tmp_path):
    (tmp_path / "bad.py").write_text(
        "from ltbench import hookimpl\n@hookimpl\ndef ltbench_executors():\n    return [int]\n"
    )
    with pytest.raises(PluginError, match="expected classes derived from ExecutorOffer"):
        Registry.load(PluginOrigin(plugin_files=(str(tmp_path / "bad.py"),)))


def test_a_suite_may_say_where_its_jobs_run_and_that_is_in_no_identity(registry, tmp_path):
    from ltbench.planning.parts import make_plan

    quick = find_suite("quick", registry)
    elsewhere = changed(quick, executor="dask[cluster=slurm,memory=8GB]")
    assert elsewhere.executor == "dask[cluster=slurm,memory=8GB]"
    assert list(make_plan(elsewhere, registry, tmp_path).jobs) == list(make_plan(quick, registry, tmp_path).jobs)


def test_the_command_line_goes_before_the_suite(tmp_path, capsys):
    suite = tmp_path / "tiny.toml"
    suite.write_text(suite_source("tiny", {"steps": 1}, executor="cloud"))
    command = ("run", "--suite", suite, "--store", tmp_path / "store")
    code, _, error = main_result(capsys, *command)
    assert (code, "unknown executor 'cloud'" in error) == (2, True)
    code, _, error = main_result(capsys, *command, "--executor", "local[workers=0]")
    assert (code, "does not accept workers = 0" in error) == (2, True)


def test_an_executor_is_shown_with_its_options():
    shown = call("show", "dask").stdout
    assert "where to start workers" in shown
    assert "local | slurm | pbs | sge | kubernetes or none" in shown
    assert "executors: dask, inline, local" in call("plugins").stdout


def test_plugins_are_listed_without_dask_and_torch():
    heavy = {"distributed", "dask", "pebble", "torch", "pandas", "torchvision", "timm"}
    assert imported("plugins").isdisjoint(heavy)
