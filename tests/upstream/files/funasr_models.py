#!/usr/bin/env python3
"""Small models in FunASR's formats, with fixed weights: all sound is speech, and says one word.

Each is loaded by FunASR's own code, as the real ones are.
"""

import json
from pathlib import Path

import funasr  # noqa: F401  registers the classes
import sentencepiece
import torch
import yaml
from funasr.register import tables

WORD = "planted"
SENSE_VOICE = {
    "model": "SenseVoiceSmall",
    "model_conf": {"length_normalized_loss": True, "sos": 1, "eos": 2, "ignore_id": -1},
    "encoder": "SenseVoiceEncoderSmall",
    "encoder_conf": {
        "output_size": 64, "attention_heads": 2, "linear_units": 64, "num_blocks": 2,
        "tp_blocks": 1, "dropout_rate": 0.1, "positional_dropout_rate": 0.1,
        "attention_dropout_rate": 0.1, "input_layer": "pe",
        "pos_enc_class": "SinusoidalPositionEncoder", "normalize_before": True, "kernel_size": 11,
        "sanm_shfit": 0, "selfattention_layer_type": "sanm",
    },
    "ctc_conf": {"dropout_rate": 0.0, "ctc_type": "builtin", "reduce": True},
    "tokenizer": "SentencepiecesTokenizer",
    "tokenizer_conf": {"bpemodel": None, "unk_symbol": "<unk>", "split_with_space": True},
    "frontend": "WavFrontend",
    "frontend_conf": {
        "fs": 16000, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10,
        "lfr_m": 7, "lfr_n": 6,
    },
}  # fmt: skip
VAD = {
    "model": "FsmnVADStreaming",
    "model_conf": {
        "sample_rate": 16000, "detect_mode": 1, "snr_mode": 0, "max_end_silence_time": 800,
        "max_start_silence_time": 3000, "do_start_point_detection": True,
        "do_end_point_detection": True, "window_size_ms": 200, "sil_to_speech_time_thres": 150,
        "speech_to_sil_time_thres": 150, "speech_2_noise_ratio": 1.0, "do_extend": 1,
        "lookback_time_start_point": 200, "lookahead_time_end_point": 100,
        "max_single_segment_time": 60000, "snr_thres": -100.0, "noise_frame_num_used_for_snr": 100,
        "decibel_thres": -100.0, "speech_noise_thres": 0.6, "fe_prior_thres": 0.0001,
        "silence_pdf_num": 1, "sil_pdf_ids": [0], "speech_noise_thresh_low": -0.1,
        "speech_noise_thresh_high": 0.3, "output_frame_probs": False, "frame_in_ms": 10,
        "frame_length_ms": 25,
    },
    "encoder": "FSMN",
    "encoder_conf": {
        "input_dim": 400, "input_affine_dim": 140, "fsmn_layers": 4, "linear_dim": 250,
        "proj_dim": 128, "lorder": 20, "rorder": 0, "lstride": 1, "rstride": 0,
        "output_affine_dim": 140, "output_dim": 248,
    },
    "frontend": "WavFrontendOnline",
    "frontend_conf": {
        "fs": 16000, "window": "hamming", "n_mels": 80, "frame_length": 25, "frame_shift": 10,
        "dither": 0.0, "lfr_m": 5, "lfr_n": 1,
    },
}  # fmt: skip


def main():
    target = Path()
    vocabulary(target / "SenseVoiceSmall", 60)
    save(target / "SenseVoiceSmall", SENSE_VOICE, model(SENSE_VOICE, 560, 60), "bpe.model")
    save(target / "fsmn-vad", VAD, model(VAD, 400, -1))


def model(config, size, vocabulary_size):
    torch.manual_seed(0)
    made = tables.model_classes[config["model"]](
        **config, **config["model_conf"], input_size=size, vocab_size=vocabulary_size
    )
    if hasattr(made, "ctc"):
        pieces = sentencepiece.SentencePieceProcessor(model_file="/tmp/bpe.model")
        with torch.no_grad():
            made.ctc.ctc_lo.bias.fill_(-50)
            made.ctc.ctc_lo.bias[pieces.piece_to_id(f"▁{WORD}")] = 50
    return made


def vocabulary(directory, size):
    directory.mkdir(parents=True, exist_ok=True)
    text = Path("/tmp/text")
    text.write_text(f"{WORD} words that were\n" * 100 + "abcdefghijklmnopqrstuvwxyz\n" * 10)
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix="/tmp/bpe", vocab_size=size, model_type="bpe",
        user_defined_symbols=f"▁{WORD}", hard_vocab_limit=False,
    )  # fmt: skip
    (directory / "bpe.model").write_bytes(Path("/tmp/bpe.model").read_bytes())


def save(directory, config, made, bpe=None):
    directory.mkdir(parents=True, exist_ok=True)
    torch.save(made.state_dict(), directory / "model.pt")
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    meta = {"init_param": "model.pt", "config": "config.yaml"}
    if bpe:
        meta["tokenizer_conf"] = {"bpemodel": bpe}
    content = {"framework": "pytorch", "model": {"type": "funasr"}, "file_path_metas": meta}
    (directory / "configuration.json").write_text(json.dumps(content))


main()
