"""The verbs of gpuhost, how a new one is found, and their help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import gpuhost.cli
from gpuhost.cli import cli

READING = ("check", "drift", "logs", "releases", "status")
RUNNING = ("abort", "deploy", "provision", "remove", "restore", "rollback")
VERBS = sorted((*READING, *RUNNING, "init"))
NO_VERBS = ("common", "_status", "__main__", "os.path", "no-verb", "")


def shown(*arguments: str) -> str:
    run = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert run.exit_code == 0
    return run.output


def command(verb: str) -> click.Command:
    found = cli.get_command(click.Context(cli), verb)
    assert found is not None
    return found


def test_all_verbs() -> None:
    assert cli.list_commands(click.Context(cli)) == VERBS


@pytest.mark.parametrize("name", NO_VERBS)
def test_other_modules_are_not_verbs(name: str) -> None:
    assert cli.get_command(click.Context(cli), name) is None


@pytest.mark.parametrize("verb", VERBS)
def test_help(verb: str) -> None:
    text = shown(verb, "--help")
    assert f"  gpuhost {verb}" in text
    assert "  Exit status" in text
    examples = [line for line in text.splitlines() if line.startswith(f"  gpuhost {verb} ")]
    assert len(examples) >= 2 or verb == "init"
    # Only lines with manual layout are longer than a terminal.
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("verb", READING)
def test_reading_verbs_print_json(verb: str) -> None:
    assert "--json" in [name for param in command(verb).params for name in param.opts]


@pytest.mark.parametrize("verb", RUNNING)
def test_running_verbs_take_the_same_options(verb: str) -> None:
    options = {name for param in command(verb).params for name in param.opts}
    assert {"inventory", "--limit", "--data", "--dry", "-y", "-v"} <= options
    assert ("--adopt" in options) == (verb in ("provision", "deploy"))


@pytest.mark.parametrize("seconds", ["nan", "inf", "1e999", "0", "-inf", "x"])
@pytest.mark.parametrize("option", ["check --timeout", "drift --timeout", "drift --deadline"])
def test_a_time_limit_is_a_number(option: str, seconds: str) -> None:
    run = CliRunner().invoke(cli, [*option.split(), seconds, "no-inventory.py"])
    # click's own; the command ends with Exit.USAGE.
    assert run.exit_code == 2
    assert f"Invalid value for '{option.split()[1]}'" in run.output


def test_a_new_verb_is_one_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "greet.py").write_text(
        "import click\n\n@click.command()\ndef greet() -> None:\n"
        '    """Say hello."""\n    click.echo("hello")\n'
    )
    monkeypatch.setattr(gpuhost.cli, "__path__", [*gpuhost.cli.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "gpuhost.cli.greet", raising=False)
    assert "  greet      Say hello.\n" in shown("--help")
    assert shown("greet") == "hello\n"
    monkeypatch.delitem(sys.modules, "gpuhost.cli.greet")


def test_only_the_verb_that_is_called_is_imported() -> None:
    program = (
        "import sys\nfrom gpuhost.cli import cli\n"
        "cli.main(['check', '--help'], standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    modules = set(done.stderr.split())
    assert {verb for verb in VERBS if f"gpuhost.cli.{verb}" in modules} == {"check"}
    assert "pyinfra_cli.cli" not in modules


@pytest.mark.parametrize("verb", ["check", "drift", "status"])
def test_hosts_do_not_wait_for_slow_libraries(verb: str) -> None:
    """What shows the results, and what a library imports and never needs."""
    program = (
        f"import sys\nimport gpuhost.cli\nimport gpuhost.cli.{verb}\n"
        "print(*sys.modules)\nfrom unittest.mock import Mock\nassert Mock().anything\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert not {"rich", "asyncio", "unittest.mock", "invoke"} & set(done.stdout.split())
