"""Verify steps: what they accept, how long they retry, and the message of a failure."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gpuhost.runner.docker.containers import LONGEST_LINE
from gpuhost.runner.lib import running as reading
from gpuhost.runner.lib.commands import Outcome
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.plan import Expect, Verify, VerifyStep
from gpuhost.runner.site.answers import at, mismatch
from gpuhost.runner.site.http import Answer
from gpuhost.runner.stages import verification
from gpuhost.runner.stages.verification import verify
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, OLD, App, Programs, app, programs
from tests.runner.site import Reply, Site, free_port, raw_server
from tests.runner.verification_fixtures import (
    COMMAND,
    LOG,
    a_release,
    asking,
    failure,
    quick,
    site,
)

__all__ = ["app", "programs", "quick", "site"]

STARTED = "2026-01-01T00:00:00.5Z"
GONE = {
    "Name": "/app-web-1",
    "Config": {"Labels": {"com.docker.compose.service": "web"}},
    "State": {"Status": "exited", "ExitCode": 3, "OOMKilled": False},
    "HostConfig": {"RestartPolicy": {"Name": "always"}},
}


def in_turn(*replies: Reply) -> Any:
    left = list(replies)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


def test_steps_run_in_order(app: App, programs: Programs, site: Site) -> None:
    for path in ("/first", "/second"):
        site.says(path, "good")
    release = a_release(app, asking(site.url("/first")), asking(site.url("/second")))
    verify(release)
    assert [asked.path for asked in site.asked] == ["/first", "/second"]
    assert release.paths.log.read_text().count("verify it answers: good") == 2


def test_the_first_failed_step_stops_the_verification(
    app: App, programs: Programs, site: Site
) -> None:
    site.says("/second", "good")
    failed = failure(a_release(app, asking(site.url("/first")), asking(site.url("/second"))))
    assert failed.said.startswith(f"verify it answers: GET {site.url('/first')}: expected status")
    assert "/second" not in [asked.path for asked in site.asked]


def test_a_request_is_repeated_until_the_answer_is_good(
    app: App, programs: Programs, site: Site
) -> None:
    site.replies["/"] = in_turn((503, {}, b"loading"), (404, {}, b"no"), (200, {}, b"good"))
    release = a_release(app, asking(site.url(), within_s=60))
    verify(release)
    log = release.paths.log.read_text()
    assert "expected status 200, got 503" in log
    assert "expected status 200, got 404" in log
    assert len(site.asked) == 3


@pytest.mark.parametrize(
    ("expect", "answer", "says"),
    [
        (Expect(204), ("ok", 200, "text/plain"), "expected status 204, got 200"),
        (Expect(contains="yes"), ("no", 200, "text/plain"), 'expected "yes" in the body'),
        (
            Expect(content_type="audio/"),
            ("x", 200, "text/html"),
            'expected Content-Type "audio/…", got "text/html"',
        ),
        (Expect(least_bytes=3), ("ab", 200, "a/b"), "expected at least 3 bytes, got 2"),
        (Expect(json={"a": "b"}), ("<html>", 200, "a/b"), "expected a JSON body"),
        (Expect(json={"a.b": "*"}), ('{"a": {"b": null}}', 200, "a/b"), "expected a.b in the"),
        (Expect(json={"a": "ok"}), ('{"a": "bad"}', 200, "a/b"), 'a to be "ok", got "bad"'),
        (Expect(json={"a": "ok"}), ("[1]", 200, "a/b"), 'a to be "ok", got nothing'),
    ],
)
def test_the_message_has_the_expected_and_the_actual_answer(
    app: App,
    programs: Programs,
    site: Site,
    expect: Expect,
    answer: tuple[str, int, str],
    says: str,
) -> None:
    site.says("/", *answer)
    failed = failure(a_release(app, asking(site.url(), expect=expect)))
    assert says in failed.said
    assert failed.output == (f"the answer begins: {answer[0]}",)


@pytest.mark.parametrize(
    "expect",
    [
        Expect(200, "models", "application/json"),
        Expect(json={"models.0.name": "kokoro", "models.0.size": "3", "loaded": "true", "x": "*"}),
        Expect(json={"x": "0", "nothing": "null", "models.1": '{"a": "\u00fc"}'}),
        Expect(least_bytes=10),
    ],
)
def test_answers_that_are_accepted(expect: Expect) -> None:
    value = {
        "models": [{"name": "kokoro", "size": 3}, {"a": "\u00fc"}],
        "loaded": True,
        "x": 0,
        "nothing": None,
    }
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert mismatch(Answer(200, headers, json.dumps(value).encode()), expect, NOWHERE) is None


@pytest.mark.parametrize("path", ["b", "a.1.c", "a.x", "a.0.b.c", "", "a.-1"])
def test_an_invalid_json_path_has_no_value(path: str) -> None:
    assert at({"a": [{"b": "c"}]}, path) is None


def test_a_json_body_gets_its_content_type_unless_one_is_declared(
    app: App, programs: Programs, site: Site
) -> None:
    site.says("/", "good")
    own = {"content-type": "text/plain", "X-Key": "k"}
    steps = [
        asking(site.url(), method="POST", body=' {"text": "Hello"}'),
        asking(site.url(), method="POST", body="text=Hello"),
        asking(site.url(), method="PUT", body="[]", headers=own),
    ]
    verify(a_release(app, *steps))
    kinds = [
        next((v for n, v in asked.headers.items() if n.lower() == "content-type"), None)
        for asked in site.asked
    ]
    assert kinds == ["application/json", None, "text/plain"]
    assert site.asked[2].headers["X-Key"] == "k"


@pytest.mark.parametrize("whole", [False, True], ids=["relative address", "absolute address"])
def test_the_address_in_the_answer_is_fetched(
    app: App, programs: Programs, site: Site, whole: bool
) -> None:
    path = "/audio/1.wav"
    site.says_json("/api/tts", {"data": {"audioUrl": site.url(path) if whole else path}})
    site.says(path, b"RIFF" + b"x" * 100, kind="audio/wav")
    expect = Expect(content_type="audio/", least_bytes=100)
    step = asking(
        site.url("/api/tts"), method="POST", body="{}", then="data.audioUrl", then_expect=expect
    )
    verify(a_release(app, step))
    assert [(a.method, a.path) for a in site.asked] == [("POST", "/api/tts"), ("GET", path)]


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("/gone.wav", "expected status 200, got 404"),
        (
            "http://other.example.invalid/a.wav",
            "the address at audioUrl is on another server, http://other",
        ),
        ("//other.example.invalid/a.wav", "the address at audioUrl is on another server"),
        ("http://[::1/", "is on another server"),
        ("file:///etc/passwd", "the address at audioUrl is on another server"),
        ("/" + "x" * 1_000_000, "the address at audioUrl is too long"),
        (None, "the answer has no address at audioUrl"),
        (7, "the answer has no address at audioUrl"),
    ],
)
def test_an_invalid_address_in_the_answer_fails(
    app: App, programs: Programs, site: Site, named: Any, says: str
) -> None:
    site.says_json("/tts", {"audioUrl": named})
    assert says in failure(a_release(app, asking(site.url("/tts"), then="audioUrl"))).said


def test_connection_refused(app: App, programs: Programs) -> None:
    failed = failure(a_release(app, asking(f"http://127.0.0.1:{free_port()}/")))
    assert "connection refused (for 0 s)" in failed.said
    assert "0.0.0.0 inside its container" in failed.fix


@pytest.mark.slow
def test_no_answer_before_the_timeout(app: App, programs: Programs) -> None:
    with raw_server(
        lambda connection: connection.recv(1 << 20) and connection.recv(1) and None
    ) as port:
        failed = failure(a_release(app, asking(f"http://127.0.0.1:{port}/")))
    assert "timed out after 1 s" in failed.said


def test_an_exited_container_fails_without_waiting(
    app: App, programs: Programs, site: Site
) -> None:
    programs.answer("docker ps *", "abc\n")
    programs.answer("docker inspect *", json.dumps([GONE]))
    programs.answer("docker compose * logs *", "web | ValueError: no model\n")
    failed = failure(a_release(app, asking(site.url(), within_s=3600)))
    assert failed.said == "verify it answers: web: exited with 3"
    # The result already has the log of the app.
    assert failed.output == ()
    assert len(site.asked) == 1


def test_secrets_are_masked(app: App, programs: Programs, site: Site) -> None:
    site.says("/", "the key is hunter2secret", 500)
    release = a_release(
        app, asking(site.url("/?key=hunter2secret"), 1), given={"KEY": "hunter2secret"}
    )
    site.replies["/?key=hunter2secret"] = site.replies["/"]
    failed = failure(release)
    assert "hunter2secret" not in failed.said + "".join(failed.output)
    assert "hunter2secret" not in release.paths.log.read_text()
    assert failed.output == ("the answer begins: the key is ***",)


def running(programs: Programs, *started: str) -> None:
    programs.answer(
        "docker compose * ps -q web*", "".join(f"id{i}\n" for i, _ in enumerate(started))
    )
    programs.answer("docker inspect -f *", "".join(f"{each}\n" for each in started))


def test_the_log_is_read_since_the_start_of_the_container(app: App, programs: Programs) -> None:
    later = STARTED.replace("00:00:00", "00:01:00")
    running(programs, later, STARTED)
    programs.answer("docker compose * logs *", "loading\nRunning on http://0.0.0.0:7860\n")
    verify(a_release(app, LOG))
    (called,) = programs.called("logs")
    assert f"--since {STARTED} " in called
    assert called.endswith(" web")


def test_if_the_clock_was_set_back_since_the_start_the_whole_log_is_read(
    app: App, programs: Programs
) -> None:
    """The lines after it have times before the start."""
    running(programs, "2999-01-01T00:00:00.5Z")
    programs.answer("docker compose * logs *--since*", "")
    programs.answer("docker compose * logs *", "Running on http://0.0.0.0:7860\n")
    verify(a_release(app, LOG))
    (called,) = programs.called("logs")
    assert "--since" not in called


def test_no_line_of_the_log_matches(app: App, programs: Programs) -> None:
    running(programs, STARTED)
    programs.answer("docker compose * logs *", "loading\nstill loading\n")
    failed = failure(a_release(app, LOG))
    assert "no line of web's log matches \"Running on" in failed.said
    assert failed.output == ("loading", "still loading")


def test_of_a_line_without_an_end_the_beginning_is_searched(app: App, programs: Programs) -> None:
    running(programs, STARTED)
    endless = "yes x | head -c 6000000 | tr -d '\\n'"
    programs.answer("docker compose * logs *", "loading", then=endless)
    failed = failure(a_release(app, replace(LOG, log=".*never")))
    (shown,) = failed.output
    assert (shown[:8], len(shown) <= LONGEST_LINE + len(" …")) == ("loadingx", True)


def test_the_service_of_a_log_step_does_not_run(app: App, programs: Programs) -> None:
    assert "web does not run" in failure(a_release(app, LOG)).said


def test_a_match_is_remembered_after_the_log_was_rotated(app: App, programs: Programs) -> None:
    running(programs, STARTED)
    programs.answer("docker compose * logs *", "Running on http://0.0.0.0:7860\n")
    verify(a_release(app, LOG, release_id=OLD))
    programs.answer("docker compose * logs *", "GET /\n")
    verify(a_release(app, LOG))
    running(programs, "2026-01-02T00:00:00Z")
    assert "no line" in failure(Release.open(app.paths, NEW)).said


def test_an_invalid_pattern_fails(app: App, programs: Programs) -> None:
    step = VerifyStep("it listens", 3600, log="(", service="web")
    assert '"(" is not a regular expression' in failure(a_release(app, step)).said


def test_a_command_runs_in_the_service(app: App, programs: Programs) -> None:
    verify(a_release(app, COMMAND))
    assert programs.called("exec") == ["docker compose exec -T web python3 -c assert 0"]


def test_the_output_of_a_failed_command_is_quoted(app: App, programs: Programs) -> None:
    programs.answer(
        "docker compose * exec *", "trying\n", err="AssertionError k3y-of-app\n", status=1
    )
    release = a_release(app, COMMAND, given={"KEY": "k3y-of-app"})
    failed = failure(release)
    assert "python3 -c assert 0 in web: exit 1" in failed.said
    assert failed.output == ("trying", "AssertionError ***")
    assert "web: exit 1: AssertionError ***\n" in release.paths.log.read_text()
    assert len(programs.called("exec")) > 1


def test_a_secret_in_a_long_line_that_is_cut(
    app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 1000)
    programs.answer("docker compose * exec *", f"{'x' * 995}k3y-of-app\n", status=1)
    failed = failure(a_release(app, COMMAND, given={"KEY": "k3y-of-app"}))
    assert failed.output
    assert "k3y" not in str(failed.output)


def test_a_fatal_line_of_a_command_ends_the_step(app: App, programs: Programs) -> None:
    programs.answer("docker compose * exec *", "the worker failed: no model\n", status=1)
    step = replace(COMMAND, within_s=600)
    declared = Verify(steps=(step,), fatal=("^the worker failed",))
    failed = failure(app.release(verify=declared))
    assert failed.said.endswith("exit 1, and a fatal line: the worker failed: no model")
    assert len(programs.called("exec")) == 1


@pytest.mark.parametrize(
    ("before", "said"), [("AssertionError: ['another']", "exit 1"), ("", "did not end")]
)
@pytest.mark.slow
def test_a_last_attempt_that_the_deadline_stops_does_not_hide_the_cause(
    app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch, before: str, said: str
) -> None:
    cut = Outcome(None, "", ("canceled",))
    tries = iter([Outcome(1, "", (before,))] if before else [])
    monkeypatch.setattr(verification, "try_run", lambda *_, **__: next(tries, cut))
    failed = failure(a_release(app, COMMAND))
    assert f"in web: {said} (for 1 s)" in failed.said
    assert failed.output == (before or "canceled",)
