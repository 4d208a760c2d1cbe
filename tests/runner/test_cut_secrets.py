"""A text is masked before it is cut: no part of a secret is left at its end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuhost.runner.lib import log as log_module
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.file_names import shown
from gpuhost.runner.lib.log import Log
from gpuhost.runner.lib.running import LONGEST_KEPT
from gpuhost.runner.plan import Expect
from gpuhost.runner.site import answers
from gpuhost.runner.site.http import Answer
from gpuhost.runner.stages.render import render
from gpuhost.runner.state import health
from tests.runner.host_fixtures import App, Programs, app, programs

__all__ = ["app", "programs"]

# No message has one of these characters.
SECRET = "ΩΨΞΔΠΣ" * 4 + "  ΘΛ"


def of_a_body(text: str, log: Log) -> str:
    return answers.beginning(Answer(500, {}, text.encode()), log)


def of_json(text: str, log: Log) -> str:
    body = json.dumps({"state": text}).encode()
    said = answers.mismatch(Answer(200, {}, body), Expect(json={"state": "ok"}), log)
    assert said
    return said


def of_a_health_test(text: str, log: Log) -> str:
    return health.Answer(0, 1, 1, text).in_words(log)


def of_a_name(text: str, log: Log) -> str:
    return shown(text)


SHOWN: dict[str, Callable[[str, Log], str]] = {
    "the body of an answer": of_a_body,
    "a value in an answer": of_json,
    "the answer of a health test": of_a_health_test,
    "the name of a file": of_a_name,
}


@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN)
def test_a_secret_at_the_place_of_a_cut(
    monkeypatch: pytest.MonkeyPatch, shown: Callable[[str, Log], str]
) -> None:
    monkeypatch.setattr(log_module, "LONGEST", 5000, raising=False)
    log = Log(Path("/dev/null"))
    log.mask([SECRET])
    for before in (*range(160, 310), *range(4960, 5010)):
        said = log.masked(shown("x" * before + SECRET + "y" * 50, log))
        assert "xxx" in said
        assert not set(said) & set("ΩΨΞΔΠΣΘΛ"), before


def test_a_short_text_is_not_cut() -> None:
    assert of_a_body(" all \n good ", Log(Path("/dev/null"))) == "all good"
    assert Log(Path("/dev/null")).beginning("x" * 10, 5) == "xxxxx…"


def test_a_secret_in_a_long_error_of_compose(app: App, programs: Programs) -> None:
    """The end of a very long line is not kept."""
    text = "x" * (LONGEST_KEPT - 10) + SECRET
    programs.answer("docker compose *", err=text, status=1)
    release = app.release(compose=("compose.yaml",))
    release.source.mkdir()
    release.log.mask([SECRET])
    with pytest.raises(Failure) as failure:
        render(release)
    said = "\n".join((failure.value.said, *failure.value.output, release.paths.log.read_text()))
    assert "xxx" in said
    assert not set(said) & set("ΩΨΞΔΠΣΘΛ")
