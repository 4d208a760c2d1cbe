"""Recorded output of tools, and the explanation that is shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.runner.failures.causes import cause
from gpuhost.runner.failures.database_failures import KNOWN as OF_DATABASES
from gpuhost.runner.failures.git_failures import KNOWN as OF_GIT
from gpuhost.runner.failures.known_failures import KNOWN, OF_BUILDS, OF_MIGRATIONS
from gpuhost.runner.failures.signature import Signature

HERE = Path(__file__)
CASES = yaml.safe_load(HERE.with_name("causes.yaml").read_text("utf-8"))
GIT_CASES = yaml.safe_load(HERE.with_name("git_failures.yaml").read_text("utf-8"))
MIGRATION_CASES = yaml.safe_load(HERE.with_name("migration_failures.yaml").read_text("utf-8"))
# Every known failure, with the catalogue in which a case shows it.
CATALOGUES = [
    (tuple(one for one in KNOWN if one not in OF_DATABASES), KNOWN, CASES),
    (OF_DATABASES, OF_MIGRATIONS, MIGRATION_CASES),
    (OF_GIT, OF_GIT, GIT_CASES),
]


def assert_explained(case: dict[str, Any], known: tuple[Signature, ...]) -> None:
    said, fix = cause(case["lines"], case.get("status", 1), known)
    assert [words for words in case["said"] if words not in said] == [], said
    assert [words for words in case.get("fix", []) if words not in fix] == [], fix
    if case.get("fix") == []:
        assert fix == ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_causes(case: dict[str, Any]) -> None:
    assert_explained(case, KNOWN)


@pytest.mark.parametrize("case", GIT_CASES, ids=lambda case: case["lines"][-1][:60])
def test_causes_of_git_failures(case: dict[str, Any]) -> None:
    assert_explained(case, OF_GIT)


@pytest.mark.parametrize("case", MIGRATION_CASES, ids=lambda case: case["lines"][-1][:60])
def test_causes_of_failed_migrations(case: dict[str, Any]) -> None:
    assert_explained(case, OF_MIGRATIONS)


@pytest.mark.parametrize("known", [KNOWN, OF_GIT])
def test_a_signature_only_uses_its_own_groups(known: tuple[Signature, ...]) -> None:
    for signature in known:
        groups = dict.fromkeys(re.compile(signature.pattern).groupindex, "x")
        assert signature.meaning.format(**groups)
        assert signature.fix.format(**groups) is not None


@pytest.mark.parametrize(("signatures", "known", "cases"), CATALOGUES)
def test_every_signature_is_the_cause_in_a_case(
    signatures: tuple[Signature, ...], known: tuple[Signature, ...], cases: list[dict[str, Any]]
) -> None:
    """A signature without a case is hidden by another, or misspelt."""
    decided = {cause(case["lines"], case.get("status", 1), known) for case in cases}
    lines = [
        line for case in cases for line in (*case["lines"], f"exit code: {case.get('status')}")
    ]
    undecided = [
        signature.pattern
        for signature in signatures
        if not any(_is_decisive(signature, line.strip(), decided) for line in lines)
    ]
    assert undecided == []


def _is_decisive(signature: Signature, line: str, decided: set[tuple[str, str]]) -> bool:
    meaning = signature.match(line)
    return meaning is not None and any(
        said.partition("; then: ")[0] == meaning[0] and fix == meaning[1] for said, fix in decided
    )


def test_the_catalogues_of_builds_and_migrations_are_parts_of_the_whole() -> None:
    assert set(OF_BUILDS) | set(OF_MIGRATIONS) == set(KNOWN)


@given(st.lists(st.text(max_size=60), max_size=4), st.one_of(st.none(), st.integers(0, 255)))
def test_any_text_has_a_cause(lines: list[str], status: int | None) -> None:
    said, _ = cause(lines, status)
    assert said
