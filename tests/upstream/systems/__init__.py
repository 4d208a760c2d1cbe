"""The systems, by the names of their app files."""

from __future__ import annotations

from tests.upstream.system import System
from tests.upstream.systems.autovoicecollation import AutoVoiceCollation
from tests.upstream.systems.english_listening_trainer import EnglishListeningTrainer
from tests.upstream.systems.mineru_api import MineruApi
from tests.upstream.systems.voiceprint_api import VoiceprintApi
from tests.upstream.systems.z_pulse import ZPulse

SYSTEMS: tuple[type[System], ...] = (
    EnglishListeningTrainer,
    MineruApi,
    VoiceprintApi,
    ZPulse,
    AutoVoiceCollation,
)
