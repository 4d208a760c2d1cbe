"""Build contexts inside the source are rewritten, others are unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhost.release.contexts import OutsideSource, source_contexts

SOURCE = "${GPUHOST_SOURCE}"


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (".", {"context": SOURCE}),
        ("./api/", {"context": f"{SOURCE}/api"}),
        ("a/../b", {"context": f"{SOURCE}/b"}),
        ({}, {"context": SOURCE}),
        ({"dockerfile": "x"}, {"context": SOURCE}),
        ({"context": "api", "dockerfile": "x"}, {"context": f"{SOURCE}/api"}),
        ("é ü", {"context": f"{SOURCE}/é ü"}),
        ("./${PART:-api}", {"context": f"{SOURCE}/${{PART:-api}}"}),
        ("/srv/source", {}),
        ("~/source", {}),
        ("${ELSEWHERE}/api", {}),
        ("https://example.com/x.git#main", {}),
        ("git@example.com:x.git", {}),
        ("github.com/x/y", {}),
        (None, {}),
        (
            {"context": "/srv", "additional_contexts": {"a": "a", "b": "docker-image://x"}},
            {"additional_contexts": {"a": f"{SOURCE}/a"}},
        ),
        (
            {"additional_contexts": ["a=./a", "b=service:x", "c"]},
            {"context": SOURCE, "additional_contexts": {"a": f"{SOURCE}/a"}},
        ),
    ],
)
def test_contexts(build: Any, expected: dict[str, Any]) -> None:
    assert source_contexts(build) == expected


@pytest.mark.parametrize(
    "build", ["..", "../x", "a/../../x", {"context": ".", "additional_contexts": {"a": "../a"}}]
)
def test_a_context_cannot_leave_the_source(build: Any) -> None:
    with pytest.raises(OutsideSource, match="outside the source"):
        source_contexts(build)
