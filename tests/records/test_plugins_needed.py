"""What has to be there to make records again."""

from __future__ import annotations

import msgspec
from synthetic import boards, provenance, record

from ltbench.leaderboard.page.page import page
from ltbench.leaderboard.suite_facts import SuiteFacts
from ltbench.records.plugins_needed import plugin_files, plugin_words, requirements, with_plugins
from ltbench.records.record import Provenance


def made_with(**versions: str):
    own = record({"loss": "mine"})
    more = [provenance("mine", "loss", distribution=name, version=version) for name, version in versions.items()]
    return msgspec.structs.replace(own, plugins=[*own.plugins, *msgspec.convert(more, list[Provenance])])


def test_built_in_techniques_need_nothing() -> None:
    assert (requirements([record()]), plugin_words([record()]), plugin_files([record()])) == ([], [], [])


def test_distributions_are_for_pip_and_files_and_modules_for_the_command() -> None:
    records = [
        made_with(**{"one-pkg": "1.5", "file:mine": "ab12"}),
        made_with(**{"two-pkg": "2", "module:lab.losses": "cd34"}),
    ]
    assert requirements(records) == ["one-pkg==1.5", "two-pkg==2"]
    assert plugin_words(records) == ["--plugin-file", "mine.py", "-p", "lab.losses"]
    assert plugin_files(records) == ["mine.py"]


def test_a_distribution_in_two_versions_is_named_without_one() -> None:
    assert requirements([made_with(**{"one-pkg": "1.5"}), made_with(**{"one-pkg": "1.6"})]) == ["one-pkg"]


def test_a_page_names_the_plugins_of_records_and_has_no_command_that_installs_them() -> None:
    facts = SuiteFacts(name="quick", command="ltbench run --suite quick")
    records = [made_with(**{"one-pkg": "1.5", "file:mine": "ab12"})]
    text = page(facts, records, boards(records))
    assert (
        "```sh\nltbench run --suite quick\n```\n\nThe records name `one-pkg==1.5`, `mine.py`, which are no parts of ltbench."
        in text
    )
    assert "pip install" not in text


def test_a_plugin_file_is_named_once_and_where_it_is() -> None:
    records = [made_with(**{"file:mine": "ab12", "module:lab.losses": "cd34"})]
    command = "ltbench run --suite quick"
    full = f"{command} --plugin-file 'my plug-ins/mine.py' -p lab.losses"
    assert with_plugins(command, records, ["other.py", "my plug-ins/mine.py"]) == full
    assert with_plugins(full, records) == full
    assert with_plugins(command, records) == f"{command} --plugin-file mine.py -p lab.losses"


def test_what_is_no_command_stays_as_it_is() -> None:
    assert with_plugins("it's <b>odd</b>", [record()]) == "it's <b>odd</b>"
