"""`gpuhost init`: its files can be used unchanged, and it overwrites nothing."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from gpuhost.appfile.loading import load
from gpuhost.cli import cli

ROOT = Path(__file__).parents[2]
SECRETS = ("secrets/db_password", ".env", "apps/tts.env", ".env.production", "id_ed25519", "a.pem")


def init(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["init", *map(str, arguments)], catch_exceptions=False)


def written(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    assert init(tmp_path / "hosts").exit_code == 0
    return tmp_path / "hosts"


def test_written_files(made: Path) -> None:
    files = written(made)
    ours = ["inventory.py", "config.py"]
    for directory in ("deploys", "group_data"):
        ours += [f"{directory}/{path.name}" for path in (ROOT / directory).glob("*.py")]
    assert len(ours) > 10
    for path in ours:
        assert files.pop(path) == (ROOT / path).read_bytes()
    own = {".gitignore", "README.md", "apps/hello.yaml", ".github/workflows/drift.yml"}
    assert set(files) == own
    assert not any(path.is_symlink() for path in made.rglob("*"))


def test_printed_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = init("my hosts").output.splitlines()
    assert said[0] == "17 files written. Add your servers to my hosts/inventory.py, then run"
    assert said[1] == "  cd 'my hosts'"
    assert [line.split("  ")[1] for line in said[2:]] == [
        "gpuhost check inventory.py",
        "gpuhost provision inventory.py --dry",
    ]


def test_the_current_directory_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    assert "cd " not in init().output
    assert (tmp_path / "inventory.py").is_file()


def test_nothing_is_overwritten(made: Path) -> None:
    for path in made.rglob("*"):
        if path.is_file() and path.name != "hello.yaml":
            path.unlink()
    (made / "apps" / "hello.yaml").write_text("mine")
    again = init(made)
    assert again.exit_code == 1
    assert again.output == f"gpuhost: nothing was written: already exists: {made}/apps/hello.yaml\n"
    assert written(made) == {"apps/hello.yaml": b"mine"}


def test_an_unset_shell_variable_is_not_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = init("")
    assert (ended.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert "directory is empty: give a path, or omit it" in ended.output


@pytest.mark.parametrize("path", ["", "deploys", ".github/workflows"])
def test_a_file_in_place_of_a_directory(tmp_path: Path, path: str) -> None:
    blocked = tmp_path / "hosts" / path
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("mine")
    run = init(tmp_path / "hosts")
    assert (run.exit_code, run.output.count("\n")) == (1, 1)
    assert run.output.endswith(f"already exists: {blocked}\n")
    assert written(tmp_path) == {str(blocked.relative_to(tmp_path)): b"mine"}


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    run = init("/proc/1/hosts")
    assert run.exit_code == 1
    assert run.output.startswith("Error: /proc/1/hosts: ")


def test_the_example_is_valid(made: Path) -> None:
    app = load(made / "apps" / "hello.yaml")
    assert app.block.verify.steps[0].health


def test_commented_settings_of_the_example_are_valid(made: Path) -> None:
    file = made / "apps" / "hello.yaml"
    lines = file.read_text().splitlines()
    # Comments with text stay; comments with YAML are enabled.
    on = [re.sub(r"^( +)# ( *[A-Za-z_]+:( .*[}\]\"]|))$", r"\1\2", line) for line in lines]
    file.write_text("\n".join(on))
    block = load(file).block
    assert (block.source and block.source.ref, block.gpu["web"].cuda) == ("main", "12.4")
    assert set(block.secrets) == {"API_KEY", "DB_PASSWORD"}
    assert block.directories and block.backup and block.nginx


def test_git_ignores_secrets(made: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=made, check=True)
    for path in SECRETS:
        (made / path).parent.mkdir(exist_ok=True)
        (made / path).write_text("a secret")
    add = ["git", "add", "--all", "--dry-run"]
    added = subprocess.run(add, cwd=made, check=True, capture_output=True, text=True).stdout
    assert "add 'inventory.py'" in added
    assert "add 'apps/hello.yaml'" in added
    assert [path for path in SECRETS if path in added] == []


def test_the_nightly_workflow_runs_a_valid_command(made: Path) -> None:
    workflow = yaml.safe_load((made / ".github/workflows/drift.yml").read_text())
    steps = workflow["jobs"]["drift"]["steps"]
    (command,) = (step["run"] for step in steps if "gpuhost drift" in step.get("run", ""))
    drift = cli.get_command(None, "drift")  # type: ignore[arg-type]
    assert drift is not None
    context = drift.make_context("drift", command.split()[2:])
    assert context.params["inventory"] == "inventory.py"
    assert str(context.params["history"]) == "runs"
