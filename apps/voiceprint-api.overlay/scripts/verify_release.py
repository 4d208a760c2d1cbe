"""Proves a release: a voice is registered and recognised, and its emotion detected.

    python scripts/verify_release.py       # in the container voiceprint-api

It uses the service as an app would, with an account and an employee that are deleted afterwards.
"""

from __future__ import annotations

import asyncio
import io
import secrets
import sys
import wave
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
import numpy as np
from app.core.config import settings
from app.core.minio_client import minio_client
from app.core.security import get_password_hash
from app.models import (
    AsyncSessionLocal,
    EmotionDetectionModel,
    EmployeeModel,
    RecognitionLogModel,
    UserModel,
    VoiceprintModel,
    engine,
)
from sqlalchemy import delete, select

NAME = "gpuhost-verify"
API = "http://127.0.0.1:8000"
RATE, SECONDS = 16000, 4


async def main() -> None:
    audio: list[str] = []
    try:
        await remove()
        password = secrets.token_urlsafe(24)
        employee = await create(password)
        async with httpx.AsyncClient(base_url=API, timeout=120) as client:
            await use(client, employee, password, audio)
    finally:
        await remove()
        for url in audio:
            remove_audio(url)
        await engine.dispose()
    print("a voice was registered and recognised, and its emotion detected")


async def use(client: httpx.AsyncClient, employee: int, password: str, audio: list[str]) -> None:
    login = await client.post("/api/auth/login", json={"username": NAME, "password": password})
    client.headers["Authorization"] = f"Bearer {answer('login', login)['access_token']}"
    register = {"employee_id": employee, "sample_index": 1}
    sent = await client.post("/api/voiceprint/register", params=register, files=voice(seed=1))
    answer("registration", sent)
    audio += await stored(employee)
    # The same voice, recorded once more.
    sent = await client.post("/api/voiceprint/recognize", files=voice(seed=2))
    found = answer("recognition", sent)
    audio.append(found["audio_url"])
    person = found["identified_employee"] or {}
    if not found["success"] or person.get("employee_id") != employee:
        sys.exit(f"the voice was not recognised: {found}")
    of = {"employee_id": str(employee)}
    sent = await client.post("/api/emotion/detect", data=of, files=voice(seed=1))
    feature = answer("emotion", sent)["emotion_feature"]
    audio.append(feature["audio_url"])
    await saved(employee)
    print(f"confidence {found['confidence']:.2f}, emotion {feature['dominant_emotion']}")


def answer(what: str, response: httpx.Response) -> dict[str, Any]:
    if response.status_code != 200:
        sys.exit(f"{what}: {response.status_code} {response.text[:500]}")
    return dict(response.json())


async def create(password: str) -> int:
    user = UserModel(username=NAME, hashed_password=get_password_hash(password))
    employee = EmployeeModel(employee_code=NAME, name=NAME)
    async with AsyncSessionLocal() as db:
        db.add_all([user, employee])
        await db.commit()
        return int(employee.employee_id)


async def stored(employee: int) -> list[str]:
    """The addresses of the registered recordings."""
    urls = select(VoiceprintModel.audio_sample_url).where(VoiceprintModel.employee_id == employee)
    async with AsyncSessionLocal() as db:
        return list((await db.execute(urls)).scalars())


async def saved(employee: int) -> None:
    """The emotion is saved after the answer."""
    of = select(EmotionDetectionModel.id).where(EmotionDetectionModel.employee_id == employee)
    for _ in range(20):
        async with AsyncSessionLocal() as db:
            if (await db.execute(of)).first():
                return
        await asyncio.sleep(0.5)
    sys.exit("the emotion was detected, but not saved: see the service's log")


async def remove() -> None:
    """Also what an interrupted run left."""
    own = select(EmployeeModel.employee_id).where(EmployeeModel.employee_code == NAME)
    models = (RecognitionLogModel, EmotionDetectionModel, VoiceprintModel, EmployeeModel)
    async with AsyncSessionLocal() as db:
        ids = list((await db.execute(own)).scalars())
        for model in models:
            await db.execute(delete(model).where(model.employee_id.in_(ids)))
        await db.execute(delete(UserModel).where(UserModel.username == NAME))
        await db.commit()


def remove_audio(url: str) -> None:
    bucket = settings.MINIO_BUCKET
    minio_client.remove_object(bucket, url.partition(f"/{bucket}/")[2])


def voice(seed: int) -> dict[str, tuple[str, bytes, str]]:
    """A synthetic voice: the harmonics of a throat, coloured by three changing vowels."""
    noise = np.random.default_rng(seed)
    time = np.arange(RATE * SECONDS) / RATE
    pitch = 2 * np.pi * np.cumsum(120 + 8 * np.sin(2 * np.pi * 2.1 * time)) / RATE
    vowels = np.array([[730, 1090], [270, 2290], [300, 870]])[(time * 3).astype(int) % 3]
    signal = np.zeros_like(time)
    for number in range(1, 40):
        shape = [np.exp(-(((number * 120 - formant) / 250) ** 2)) for formant in vowels.T]
        signal += sum(shape) * np.sin(number * pitch)
    signal *= 0.55 + 0.45 * np.sin(2 * np.pi * 3 * time)
    signal = signal / np.abs(signal).max() * 0.7 + noise.normal(0, 0.003, len(time))
    recording = io.BytesIO()
    with wave.open(recording, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((signal * 32767).astype("<i2").tobytes())
    return {"audio_file": (f"{NAME}.wav", recording.getvalue(), "audio/wav")}


if __name__ == "__main__":
    asyncio.run(main())
