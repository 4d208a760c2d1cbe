"""The systems, by the names of their app files."""

from __future__ import annotations

from tests.upstream.system import System
from tests.upstream.systems.autovoicecollation import AutoVoiceCollation
from tests.upstream.systems.english_listening_trainer import EnglishListeningTrainer

SYSTEMS: tuple[type[System], ...] = (EnglishListeningTrainer, AutoVoiceCollation)
