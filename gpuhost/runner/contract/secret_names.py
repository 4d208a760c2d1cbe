"""Variables that hold secrets, by their names: the same for `gpuhost init` and for masking."""

from __future__ import annotations

import re


def words_in(text: str) -> frozenset[str]:
    return frozenset(text.split())


SECRET = words_in("""
    KEY KEYS APIKEY APIKEYS SECRET SECRETS PASSWORD PASSWORDS PASSWD PASS PASSPHRASE TOKEN
    CREDENTIAL CREDENTIALS SALT DBPASS USERPASS
""")
# Words may be written as one: WECHAT_APPSECRET.
ENDINGS = ("SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "APIKEY", "SECRETKEY", "ACCESSKEY")
# One of these words, and it is a setting about a secret.
SETTING = words_in("""
    PUBLIC URL URI LIMIT MAX MIN COUNT SIZE LENGTH TTL EXPIRE EXPIRES EXPIRED EXPIRATION EXPIRY
    TIMEOUT LIFETIME LIFESPAN AGE SECONDS MINUTES HOURS DAYS NAME PATH FILE DIR ENABLED ENABLE
    DISABLE DISABLED TYPE ALGORITHM HEADER PREFIX POLICY ROUNDS REQUIRED REQUIRE ALLOW MODE
    VERSION FORMAT PER BUDGET ROTATION INTERVAL HOST PORT ENDPOINT USE HAS IS COST PRICE WINDOW
    REGION DOMAIN DOMAINS ALLOWED FIELDS PROVIDER STRATEGY DEFAULT USER USERNAME EMAIL PATTERN
    SCOPE ISSUER AUDIENCE SITE
""")
# As the last word it is the value itself: EMAIL_HOST_PASSWORD, but not ALLOW_EMPTY_PASSWORD.
VALUES = ("PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "APIKEY")
WHOLE = frozenset(("PASS", "PWD"))
SWITCHES = words_in("ALLOW ENABLE DISABLE USE HAS IS REQUIRE")
PAIRS = (["API", "KEY"], ["REDIS", "AUTH"], ["NEO4J", "AUTH"])


def is_secret_name(name: str) -> bool:
    """
    >>> is_secret_name("OPENAI_API_KEY"), is_secret_name("MAX_TOKEN")
    (True, False)
    >>> is_secret_name("EMAIL_HOST_PASSWORD"), is_secret_name("PASSWORD_MIN_LENGTH")
    (True, False)
    """
    words = words_of_name(name)
    last = words[-1] if words else ""
    is_value = last.endswith(VALUES) or (last in WHOLE and len(words) > 1) or words[-2:] in PAIRS
    if is_value and words[0] not in SWITCHES:
        return True
    if "ID" in words and not {"ACCESS", "KEY"} <= set(words):
        return False
    if SETTING.intersection(words):
        return False
    return any(word in SECRET or word.endswith(ENDINGS) for word in words)


def words_of_name(name: str) -> list[str]:
    # "apiKey" has two words.
    split = re.sub(r"(?:(?<=[a-z])|(?<=[a-z][0-9]))(?=[A-Z])", "_", name)
    return [word for word in re.split(r"[^A-Z0-9]+", split.upper()) if word]
