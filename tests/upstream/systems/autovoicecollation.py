"""autovoicecollation: text from recordings, through its Gradio page."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from tests.lab.hosts import LabHost
from tests.upstream.bases import PYTHON, Base, python
from tests.upstream.models import Models, packed
from tests.upstream.registries import Registries
from tests.upstream.system import Change, Stub, System, unpack

SHARED = "/opt/gpuhost/autovoicecollation/shared"
CONTAINER = "avc-webui-cpu"
# The word that the stand-in of the model hears in every recording.
WORD = "planted"
SEND = """
import shutil
from gradio_client import Client, handle_file
shutil.copy("gpuhost/gpuhost-verify.wav", "/tmp/{name}.wav")
print(Client("http://127.0.0.1:7860", verbose=False).predict(
    audio_file=handle_file("/tmp/{name}.wav"), text_only=True,
    api_name="/upload_process_wrapper")[0])
"""
MIRROR = "RUN if [ -f /etc/apt/sources.list ]; then"
PYTORCH = Base(
    "pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime",
    PYTHON,
    "Debian 12 with Python 3.11 and PyTorch without CUDA",
    instructions=(*python("").instructions, "RUN pip install torch torchaudio"),
)


class AutoVoiceCollation(System):
    name = "autovoicecollation"
    repository = "LogicShao/AutoVoiceCollation"
    real = "Dockerfile.cpu, pip, FunASR, Gradio, ffmpeg"
    bases = (python("3.11-slim"), PYTORCH)
    stubs = (
        Stub(
            "PyTorch's own index: the CPU wheel of this machine",
            (
                Change(
                    "Dockerfile.cpu",
                    "torch torchaudio --index-url https://download.pytorch.org/whl/cpu\n",
                    "torch torchaudio\n",
                ),
            ),
        ),
        Stub(
            "a mirror of Debian in China: this machine's archive",
            (
                Change("Dockerfile", MIRROR, f"RUN true || {MIRROR[4:]}"),
                Change("Dockerfile.cpu", MIRROR, f"RUN true || {MIRROR[4:]}"),
            ),
        ),
        Stub("weights of SenseVoiceSmall and fsmn-vad: small ones that hear one word"),
        Stub("weights of Paraformer and its punctuation (card only): empty files"),
    )
    broken = Change("src/services/asr/sense_voice.py", "return text\n", 'return ""\n')
    card_ends: ClassVar = "torch.cuda.is_available()"

    def prepare(self, host: LabHost, source: Path, registries: Registries) -> None:
        """Put the models where an operator without ModelScope puts them."""
        models = Models("funasr_models.py", "torch torchaudio funasr==1.2.9")
        unpack(host, f"{SHARED}/models", packed(host, models, registries))
        for name in ("paraformer-zh", "ct-punc-c"):
            files = f"{SHARED}/models/{name}/model.pt {SHARED}/models/{name}/configuration.json"
            host.run(f"mkdir -p {SHARED}/models/{name} && touch {files}")

    def prove(self, host: LabHost) -> str:
        inside = f"docker exec {CONTAINER} python gpuhost/speech_to_text.py"
        said = host.run(inside, timeout=300).stdout
        assert WORD in said, said
        return f"a recording sent to the page comes back as the mounted model's word {WORD!r}"

    def write(self, host: LabHost, text: str) -> None:
        program = SEND.format(name=text.replace(" ", "-")).encode()
        said = host.run(f"docker exec -i {CONTAINER} python -", stdin=program, timeout=300).stdout
        assert WORD in said, said

    def kept(self, host: LabHost) -> list[str]:
        """The results of recordings, in the order in which they may have been written."""
        found = host.run(f"cd {SHARED}/out && ls */result.json", check=False).stdout.split()
        names = {path.partition("/")[0].replace("-", " ") for path in found}
        return [text for text in ("written before", "written after") if text in names]
