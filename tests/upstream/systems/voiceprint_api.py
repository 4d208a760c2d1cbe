"""voiceprint-api: voices are registered and recognised; MySQL and MinIO run elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from tests.apps.base_image import Root, load_root
from tests.lab.hosts import LabHost
from tests.upstream.bases import FILES, PLAIN, context, python
from tests.upstream.registries import BUNDLE, Registries
from tests.upstream.system import Change, Stub, System

API = "http://127.0.0.1:8000/api"
PASSWORD = "planted-Passw0rd"
DATABASE_PASSWORD = "planted-5b1c"
NETWORK = "voiceprint-api_default"
MARIADB = Root("upstream/mariadb", (*PLAIN.included, "mariadb-server"))
# The base image again, with Python's headers as in the official one, the certificate of the
# storage, and models with random weights.
PYTHON = """FROM python:3.10-slim
RUN apt-get update -qq && apt-get install -yqq --no-install-recommends libpython3-dev >/dev/null
COPY tls.crt voice_models.py /upstream/
RUN cat /upstream/tls.crt >> {bundle}
RUN python -m venv /venv && /venv/bin/pip install "setuptools<81" "numpy<2" torch \\
    speechbrain==1.0.3 requests soundfile \\
 && PIP_CONSTRAINT= /venv/bin/pip install --no-deps torchaudio==2.6.0 \\
 && rm /venv/lib/python3*/site-packages/torchaudio/lib/*.so \\
 && /venv/bin/python /upstream/voice_models.py /app/pretrained_models && rm -r /venv
"""
STORAGE = """FROM python:3.10-slim
RUN pip install 'moto[server]'
COPY tls.crt tls.key /
CMD ["moto_server", "-H", "0.0.0.0", "-p", "9000", "-s", "-c", "/tls.crt", "-k", "/tls.key"]
"""
TORCHAUDIO = (
    "    && pip install --no-cache-dir torchaudio==2.6.0"
    " --index-url https://download.pytorch.org/whl/cu118 \\\n"
)
LAST = "--upgrade librosa soundfile scipy"
# SpeechBrain 1.0.3 needs an older one than the packages above would bring.
OLDER_TORCHAUDIO = (
    "    && PIP_CONSTRAINT= pip install --no-cache-dir --no-deps torchaudio==2.6.0 \\\n"
    "    && rm /usr/local/lib/python3*/dist-packages/torchaudio/lib/*.so"
)
CERTIFICATE = (
    "openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=minio"
    " -addext subjectAltName=DNS:minio -keyout /root/tls.key -out /root/tls.crt 2>/dev/null"
)
MAKE = (
    "install -d -o mysql /run/mysqld"
    " && { test -d /var/lib/mysql/mysql || mariadb-install-db --user=mysql >/dev/null; }"
)
START = f"{MAKE} && exec mariadbd --user=mysql --bind-address=0.0.0.0"
ACCOUNT = (
    "CREATE DATABASE IF NOT EXISTS voiceprint; "
    f"CREATE USER IF NOT EXISTS voiceprint@'%' IDENTIFIED BY '{DATABASE_PASSWORD}'; "
    "GRANT ALL ON voiceprint.* TO voiceprint@'%'"
)


class VoiceprintApi(System):
    name = "voiceprint-api"
    repository = "zjjcorbin/voiceprint-weapp-open"
    real = "Dockerfile, pip, FastAPI, SpeechBrain 1.0.3, librosa, MariaDB, an S3 server with TLS"
    secrets: ClassVar = {
        "DATABASE_URL": f"mysql+asyncmy://voiceprint:{DATABASE_PASSWORD}@mysql:3306/voiceprint",
        "MINIO_ENDPOINT": "minio:9000",
        "MINIO_ACCESS_KEY": "planted-access",
        "MINIO_SECRET_KEY": "planted-secret-2f",
        "SECRET_KEY": "planted-0123456789abcdef0123456789abcdef",
    }
    bases = (python("3.10-slim"),)
    stubs = (
        Stub(
            "PyTorch 2.6 for CUDA: the CPU wheel, and torchaudio without its compiled part",
            (
                Change(
                    "Dockerfile",
                    "torch==2.6.0 torchvision==0.21.0 --index-url "
                    "https://download.pytorch.org/whl/cu118",
                    "torch",
                ),
                Change("Dockerfile", TORCHAUDIO, ""),
                Change("Dockerfile", LAST, f"{LAST} \\\n{OLDER_TORCHAUDIO}"),
                Change("requirements.txt", "torch==2.6.0\n", "torch\n"),
                Change("requirements.txt", "torchvision==0.21.0\n", ""),
                Change("requirements.txt", "torchaudio==2.6.0\n", ""),
                Change("requirements.txt", "torchaudio-augmentations>=0.2.0\n", ""),
            ),
        ),
        Stub("both models: random weights, in the layout of SpeechBrain"),
        Stub("MySQL 8: MariaDB; MinIO: moto, with TLS"),
    )
    broken = Change(
        "app/services/voiceprint_service.py",
        'settings.VOICEPRINT_MODEL.split("/")[-1]',
        '"missing"',
    )
    has_backup = False
    card_ends: ClassVar = "torch.cuda.is_available()"

    def prepare(self, host: LabHost, source: Path, registries: Registries) -> None:
        """The base image with the models; the database and the storage as if elsewhere."""
        host.run(CERTIFICATE)
        tls = {
            f"tls.{end}": host.run(f"cat /root/tls.{end}").stdout.encode() for end in ("crt", "key")
        }
        models = {"voice_models.py": (FILES / "voice_models.py").read_bytes()}
        _build(host, "python:3.10-slim", PYTHON.format(bundle=BUNDLE), {**tls, **models})
        _build(host, "upstream/storage", STORAGE, tls)
        load_root(host, MARIADB)
        labels = "com.docker.compose.project=voiceprint-api", "com.docker.compose.network=default"
        host.run(f"docker network create --label {' --label '.join(labels)} {NETWORK}", check=False)
        host.run("docker rm -fv mysql minio", check=False)  # of an earlier run
        run = f"docker run -d --restart unless-stopped --network {NETWORK}"
        host.run(f"{run} --name mysql {MARIADB.name} sh -c '{START}'")
        host.run(f"{run} --name minio upstream/storage")
        ready = "until docker exec mysql mariadb -e 'SELECT 1' >/dev/null 2>&1; do sleep 1; done"
        host.run(ready, timeout=60)
        host.run("docker exec -i mysql mariadb", stdin=ACCOUNT.encode())

    def prove(self, host: LabHost) -> str:
        verified = "docker exec voiceprint-api-voiceprint-api-1 python scripts/verify_release.py"
        answer = host.run(verified, timeout=300).stdout
        assert "registered and recognised" in answer, answer
        health = json.loads(host.run("curl -sSk -m 60 https://localhost/health").stdout)
        assert set(health["services"].values()) == {"healthy"}, health
        return "a voice registered and recognised, its emotion detected"

    def write(self, host: LabHost, text: str) -> None:
        _post(host, "register", _account(text))

    def kept(self, host: LabHost) -> list[str]:
        """The accounts that can log in, of those that may have been written."""
        texts = ("written before", "written after")
        return [text for text in texts if "access_token" in _post(host, "login", _account(text))]


def _account(name: str) -> dict[str, str]:
    return {"username": name, "password": PASSWORD}


def _build(host: LabHost, tag: str, dockerfile: str, files: dict[str, bytes]) -> None:
    content = context({"Dockerfile": dockerfile.encode(), **files})
    host.run(f"docker build -q -t {tag} -", stdin=content, timeout=1800)


def _post(host: LabHost, path: str, body: dict[str, str]) -> dict[str, Any]:
    sent = f"curl -sS -m 60 -H 'Content-Type: application/json' -d @- {API}/auth/{path}"
    answer: dict[str, Any] = json.loads(host.run(sent, stdin=json.dumps(body).encode()).stdout)
    return answer
