"""Stand-ins of model files, made once by the models' own code in a container, and kept."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.lab.hosts import LabHost
from tests.lab.process import progress
from tests.lab.state import folder
from tests.upstream.bases import FILES, PYTHON, Base, context, load
from tests.upstream.registries import Registries

IMAGE = "upstream/models"
DOCKERFILE = """FROM {base}
RUN python3 -m venv /venv && /venv/bin/pip install {packages}
COPY . /made/
RUN mkdir /out && cd /out && /venv/bin/python /made/{script}
"""


@dataclass(frozen=True)
class Models:
    """Files that a script writes to its working directory.

    + script: of tests/upstream/files
    + packages: for pip
    + files: beside the script
    """

    script: str
    packages: str
    files: Mapping[str, bytes] = field(default_factory=dict)


def packed(host: LabHost, models: Models, registries: Registries) -> bytes:
    """A tar of the files."""
    kept = folder() / "upstream" / models.script.replace(".py", ".tar")
    if not kept.exists():
        progress(f"making the model files of {models.script} (some minutes, once)")
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(_make(host, models, registries))
    return kept.read_bytes()


def _make(host: LabHost, models: Models, registries: Registries) -> bytes:
    base = Base("upstream/models-base", PYTHON, "")
    load(host, base, registries)
    recipe = DOCKERFILE.format(base=base.tag, packages=models.packages, script=models.script)
    script = (FILES / models.script).read_bytes()
    files = {"Dockerfile": recipe.encode(), models.script: script, **models.files}
    host.run(f"docker build -q -t {IMAGE} -", stdin=context(files), timeout=1800)
    # The output of a command is text.
    text = host.run(f"docker run --rm {IMAGE} tar -c -C /out . | base64", timeout=300).stdout
    host.run(f"docker rmi {IMAGE}")
    return base64.b64decode(text)
