"""Which variables hold secrets, by their names: what `gpuhost init` asks for, and logs mask."""

from __future__ import annotations

import pytest

from gpuhost.runner.contract import is_secret_name

SECRETS = """
    OPENAI_API_KEY apiKey API_KEYS JWT_SECRET SITE_SECRET WECHAT_APPSECRET SECRET_KEY_BASE
    POSTGRES_PASSWORD EMAIL_PASSWORD EMAIL_HOST_PASSWORD DEFAULT_ADMIN_PASSWORD DB_PWD DB_PASS
    LANGFUSE_INIT_USER_PASSWORD EMAIL_API_KEY REDIS_AUTH NEO4J_AUTH HF_TOKEN AWS_ACCESS_KEY_ID
    PASSWORD_SALT SSH_PASSPHRASE
"""
SETTINGS = """
    MAX_TOKENS MAX_TOKEN TOKEN_LIMIT PASSWORD_MIN_LENGTH ALLOW_EMPTY_PASSWORD ENABLE_API_KEY
    USE_SECRET PUBLIC_KEY_URL SECRET_KEY_FILE POSTGRES_PASSWORD_FILE CLIENT_ID TOKENIZER_PATH PWD
    TOKEN_EXPIRE_MINUTES AUTH COMPASS POSTGRES_USER
"""


@pytest.mark.parametrize("name", SECRETS.split())
def test_a_secret(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", SETTINGS.split())
def test_a_setting(name: str) -> None:
    assert not is_secret_name(name)
