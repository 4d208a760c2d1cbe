"""Runs on a host: reads a tar of directories, and prints a tool's output for each as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

NGINX = """
pid {0}/pid;
events {{}}
http {{
    include {0}/site.conf;
}}
"""
CERTIFICATE = (
    "openssl req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=x "
    "-keyout /root/privkey.pem -out /root/fullchain.pem"
)


def compose(directory: Path) -> tuple[list[str], dict[str, str]]:
    words = ["docker-compose", "-p", "made", "--project-directory", "/srv", "--profile", "*"]
    return [*words, "-f", str(directory / "compose.yaml"), "config", "--format", "json"], {}


def nginx(directory: Path) -> tuple[list[str], dict[str, str]]:
    site = directory / "site.conf"
    lines = site.read_text().splitlines()
    for place, line in enumerate(lines):
        if line.strip().startswith("ssl_certificate"):
            name = line.rpartition("/")[2]
            lines[place] = line.partition('"')[0] + f'"/root/{name}'
    site.write_text("\n".join(lines) + "\n")
    (directory / "nginx.conf").write_text(NGINX.format(directory))
    return ["nginx", "-t", "-c", str(directory / "nginx.conf")], {}


def main() -> None:
    tool = {"compose": compose, "nginx": nginx}[sys.argv[1]]
    if tool is nginx:
        subprocess.run(CERTIFICATE.split(), check=True, capture_output=True)
    outputs = {}
    with tempfile.TemporaryDirectory() as made:
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
            archive.extractall(made, filter="data")
        for directory in sorted(Path(made).iterdir()):
            words, environment = tool(directory)
            done = subprocess.run(
                words,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment},
                capture_output=True,
                text=True,
                check=False,
            )
            outputs[directory.name] = {
                "rc": done.returncode,
                "out": done.stdout,
                "err": done.stderr,
            }
    print(json.dumps(outputs))


if __name__ == "__main__":
    main()
