"""Download the models that the page loads, if they are not there, and write its first settings."""

from pathlib import Path

from modelscope import snapshot_download

MODELS = Path("/app/models")
# FunASR calls them paraformer-zh, fsmn-vad and ct-punc-c (funasr/download/name_maps_from_hub.py);
# src/services/asr wants these revisions.
WANTED = {
    "paraformer-zh": (
        "iic/speech_seaco_paraformer_large_asr_nat-zh-cn-16k-common-vocab8404-pytorch",
        "v2.0.4",
    ),
    "fsmn-vad": ("iic/speech_fsmn_vad_zh-cn-16k-common-pytorch", "v2.0.4"),
    "ct-punc-c": ("iic/punc_ct-transformer_zh-cn-common-vocab272727-pytorch", "v2.0.4"),
    "SenseVoiceSmall": ("iic/SenseVoiceSmall", "master"),
}
SETTINGS = Path("/app/settings/.env")
# Without keys for a language model, its parts are off; the page can switch them on.
DEFAULTS = "DISABLE_LLM_POLISH=true\nDISABLE_LLM_SUMMARY=true\n"


def main() -> None:
    for name, (model, revision) in WANTED.items():
        target = MODELS / name
        # The last file that a download needs; a part of it has another name.
        if (target / "model.pt").exists() and (target / "configuration.json").exists():
            print(f"{name}: is there", flush=True)
            continue
        print(f"Downloading {name}: {model} {revision}", flush=True)
        snapshot_download(model, revision=revision, local_dir=str(target))
    if not SETTINGS.exists():
        SETTINGS.write_text(DEFAULTS)


main()
