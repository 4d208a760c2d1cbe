"""No advice loses data: each is followed here, or is listed with the reason why not."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from tests.runner import advice_followed, advice_of_checks
from tests.runner.advice_texts import advice
from tests.runner.host_fixtures import app, programs
from tests.runner.restore_fixtures import activated
from tests.runner.test_transitions import FOLLOWED
from tests.runner.unfinished_host import DOCS, Host, host

__all__ = ["activated", "app", "host", "programs"]

LISTED = yaml.safe_load(Path(__file__).with_name("advice.yaml").read_text(encoding="utf-8"))
NOT_EXECUTED = [one for texts in LISTED["not executed"].values() for one in texts]
DELETES = re.compile(
    r"(?<!docker network )(?<!docker volume )\brm [-{]|-delete\b|prune -a|--volumes|down -v|rmi\b|"
    r"mkfs|\bdd\b|(?<!-)> "
)
AS_ROOT = ("change_only_wrong_owners", "close_the_checkout")


def test_every_advice_is_executed_or_listed_with_the_reason_why_not() -> None:
    executed = [one for texts in LISTED["executed"].values() for one in texts] + [*FOLLOWED]
    listed = executed + NOT_EXECUTED
    assert sorted(listed) == sorted(set(listed))
    assert advice() - set(listed) == set(), "new: execute it, or list it in advice.yaml"
    assert set(listed) - advice() == set(), "nothing in the code says this any more"


@pytest.mark.parametrize("name", LISTED["executed"])
def test_an_advice_that_is_followed_loses_nothing(host: Host, name: str) -> None:
    if name in AS_ROOT and os.geteuid() != 0:
        pytest.skip("only root can")
    data = {path: path.read_bytes() for path in host.app.paths.backups.rglob("*.gz")}
    module = advice_followed if hasattr(advice_followed, name) else advice_of_checks
    getattr(module, name)(host)
    if name in KEEPS_LESS:
        return
    assert host.acknowledged in host.words
    assert {path: path.read_bytes() for path in data if path.exists()} == data


# The advice is to delete what a person does not need: they assert what stays.
KEEPS_LESS = (
    "delete_what_a_removal_kept",
    "delete_a_release_that_cannot_be_read",
    "delete_what_a_restore_kept",
    "keep_fewer_backups",
)


def test_no_advice_that_is_not_executed_deletes_files() -> None:
    assert [one for one in NOT_EXECUTED if DELETES.search(one)] == []


def test_the_page_on_restores_names_no_other_commands() -> None:
    """tar: the archives are ordinary. rsync: into a new directory. The others are verbs."""
    page = (DOCS / "restore.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    inline = re.findall(r"`([a-z]+ [^`\n]*-[^`]*)`", page)
    words = {line.split()[0] for block in blocks for line in block.splitlines()}
    words |= {line.split()[0] for line in inline}
    assert words == {
        *("pyinfra", "gpuhost", "tar", "rsync", "systemctl"),
        *("docker", "du", "xargs", "#"),
    }
