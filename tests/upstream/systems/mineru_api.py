"""mineru-api: documents to Markdown, a queue in Redis."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import Any, ClassVar

from tests.apps.base_image import SERVICES
from tests.lab.hosts import LabHost
from tests.upstream.bases import FILES, Base, python
from tests.upstream.registries import Registries
from tests.upstream.system import Change, Stub, System, put

API = "http://127.0.0.1:8000/api/v1/tasks"
# The ids of what was written.
KEPT = "/root/mineru-tasks"
CONVERSION_S = 120

REDIS = Base(
    "redis:8-alpine",
    SERVICES,
    "Debian 12 with Redis 7",
    instructions=(
        "RUN mkdir -p /data && chown redis:redis /data",
        "VOLUME /data",
        "WORKDIR /data",
        'CMD ["redis-server"]',
    ),
)


class MineruApi(System):
    name = "mineru-api"
    repository = "wzdavid/mineru-api"
    real = (
        "four Dockerfiles, pip, FastAPI, Celery, Redis, MinerU 2.7.6 but for its models, MarkItDown"
    )
    settings: ClassVar = {"gpu": "none", "build_args": {"SKIP_MODEL_DOWNLOAD": "true"}}
    bases = (python("3.12-slim"), REDIS)
    stubs = (
        Stub(
            "MinerU's models: lines of text are found by their dark pixels",
            (
                Change("shared/pdf_models.py", "", (FILES / "pdf_models.py").read_text()),
                Change(
                    "worker/tasks.py",
                    "# MinerU related imports\n",
                    "import shared.pdf_models\n# MinerU related imports\n",
                ),
            ),
        ),
        Stub(
            "a mirror of Debian in China: this machine's archive",
            tuple(
                Change(f"docker/Dockerfile.{image}", 'RUN echo "Types', 'RUN true || echo "Types')
                for image in ("api", "cleanup", "worker.cpu")
            ),
        ),
    )
    broken = Change("shared/pdf_models.py", "TEXT, LINE = 1, 15", "TEXT, LINE = 2, 16")
    has_backup = False

    def prepare(self, host: LabHost, source: Path, registries: Registries) -> None:
        host.run(f"rm -f {KEPT}")

    def prove(self, host: LabHost) -> str:
        put(host, "/root/page.html", b"<h1>A Title</h1><p>From a page.</p>")
        page = _finished(host, _submit(host, "/root/page.html"))
        assert "# A Title" in page["markdown_content"], page
        log = host.run("docker logs mineru-mineru-worker-cpu-1 2>&1 | grep Broker").stdout
        assert "@" not in log, log
        return "a PDF and a web page as Markdown; no password in the worker's log"

    def write(self, host: LabHost, text: str) -> None:
        put(host, "/root/note.txt", text.encode())
        task = _submit(host, "/root/note.txt")
        _finished(host, task)
        host.run(f"echo {task} >>{KEPT}")

    def kept(self, host: LabHost) -> list[str]:
        tasks = host.run(f"cat {KEPT}").stdout.split()
        return [str(_finished(host, task)["markdown_content"]).strip() for task in tasks]


def _submit(host: LabHost, path: str) -> str:
    sent = host.run(f"curl -fsS -m 60 -F file=@{shlex.quote(path)} {API}/submit").stdout
    return str(json.loads(sent)["task_id"])


def _finished(host: LabHost, task: str) -> dict[str, Any]:
    """The answer, once the task has ended."""
    deadline = time.monotonic() + CONVERSION_S
    while True:
        answer: dict[str, Any] = json.loads(host.run(f"curl -fsS -m 60 {API}/{task}").stdout)
        if answer["task"]["status"] not in ("pending", "processing"):
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(1)
