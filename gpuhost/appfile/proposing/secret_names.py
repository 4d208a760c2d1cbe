"""Which variables hold secrets, by their names, and which values may be real ones."""

from __future__ import annotations

import re
from collections.abc import Collection

from gpuhost.appfile.compose.variables import OF_THE_HOST
from gpuhost.runner.contract import is_secret_name, words_in, words_of_name

# Of somebody else: it cannot be generated.
THIRD_PARTY = words_in("""
    API APIKEY CLIENT AWS GCP GOOGLE AZURE GITHUB GITLAB OPENAI ANTHROPIC HF HUGGINGFACE HUGGING
    SMTP MAIL EMAIL STRIPE TWILIO SLACK DISCORD TELEGRAM BOT OAUTH OIDC SAML LDAP S3 R2 OSS COS
    WECHAT DINGTALK FEISHU LARK FACEBOOK APPLE MICROSOFT LICENSE LICENCE SENTRY CLOUDFLARE CF
    TUNNEL NGROK RECAPTCHA CAPTCHA VAPID PROXY MAILGUN SENDGRID ADMIN SUPERUSER ROOTUSER
    OPERATOR FERNET
""")
STORES = words_in("""
    DB DATABASE POSTGRES POSTGRESQL PG PGSQL MYSQL MARIADB REDIS MONGO MONGODB RABBITMQ RABBIT
    AMQP MINIO CLICKHOUSE ELASTIC ELASTICSEARCH OPENSEARCH QDRANT MEILI MEILISEARCH NEO4J VALKEY
    KEYDB WEAVIATE SURREAL COUCHDB INFLUXDB TYPESENSE DRAGONFLY
""")
OWN = re.compile(
    r"JWT|SESSION|COOKIE|NEXTAUTH|AUTH_SECRET|ENCRYPT|SALT|SIGNING|CSRF|HASHING"
    r"|(?:^|_)SECRET_KEY(?:_BASE)?$|^SECRET$|^APP_SECRET$|INTERNAL|INNER|SECRET_BASE"
)
VAGUE = re.compile(r"change|your|replace|example|todo|xxx|<|\*\*|placeholder|insert", re.IGNORECASE)
LOGIN_IN_URL = re.compile(r"[a-z][a-z0-9+.-]{0,40}://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE)
# Keys of known services.
REAL = re.compile(
    r"(?:sk-|sk_|pk_|rk_|gh[pousr]_|github_pat_|glpat-|hf_|AKIA|ASIA|AIza|xox[abprs]-|r8_|gsk_"
    r"|nvapi-|eyJ[A-Za-z0-9]|-----BEGIN|SG\.|ya29\.|dop_v1_)"
)
PLACEHOLDER = re.compile(
    r"change|your|example|replace|placeholder|secret|passw|dummy|sample|default|insert|todo|fixme"
    r"|here|admin|postgres|minio|redis|root|user|test|demo|null|none|xxx|\.\.\.|\*\*\*|<.*>|_key|-key"
    r"|generate|random|must|please|enter|fill|required|optional|empty|unset|token|abc|123|qwerty",
    re.IGNORECASE,
)


def is_secret(name: str, value: str = "") -> bool:
    """+ value: a URL with a login is a secret, whatever its name

    >>> is_secret("OPENAI_API_KEY"), is_secret("MAX_TOKEN"), is_secret("PUBLIC_KEY_URL")
    (True, False, False)
    """
    if LOGIN_IN_URL.search(value):
        return True
    if name in OF_THE_HOST:
        return False
    return is_secret_name(name)


def is_of_a_store(name: str) -> bool:
    """The password of a database or of another store."""
    return bool(STORES.intersection(words_of_name(name))) and is_secret(name)


def is_of_a_client(name: str) -> bool:
    """Of a store, or of what speaks its protocol: S3."""
    return bool((STORES | {"S3", "AWS", "ACCESS"}).intersection(words_of_name(name))) and is_secret(
        name
    )


def is_password(name: str) -> bool:
    """What stands in a URL, before the @."""
    return bool({"PASSWORD", "PASSWD", "PASS", "PWD", "DBPASS"}.intersection(words_of_name(name)))


def is_address(name: str) -> bool:
    """A URL or the like: it cannot be generated."""
    return bool({"URL", "URI", "DSN", "ADDRESS", "CONNECTION"}.intersection(words_of_name(name)))


def is_own(name: str, stores: Collection[str]) -> bool:
    """Whether only this deployment must agree on it with itself.

    + stores: the kinds of store that the project runs itself: its secrets are its own
    """
    words = set(words_of_name(name))
    of_a_form = (
        name in ("APP_KEY", "MASTER_KEY", "RAILS_MASTER_KEY") or {"TLS", "SSL", "PEM"} & words
    )
    if of_a_form or is_address(name):
        return False
    if words & STORES:
        return bool(stores)
    return not words & THIRD_PARTY and OWN.search(name.upper()) is not None


def is_third_party(name: str) -> bool:
    return bool(THIRD_PARTY.intersection(words_of_name(name)))


def is_vague(value: str) -> bool:
    """A placeholder that unrelated secrets share: "changeme"."""
    return len(value) < 4 or VAGUE.search(value) is not None


def looks_real(value: str) -> bool:
    """Whether a value may be somebody's secret; such a value is never repeated."""
    if LOGIN_IN_URL.search(value) or "\n" in value:
        return True
    is_of_a_service = REAL.match(value)
    rest = value[is_of_a_service.end() :] if is_of_a_service else value
    if PLACEHOLDER.search(rest):
        # A long one may hold such letters by chance.
        longest = max(map(len, re.split(r"[^A-Za-z0-9+/=]+", rest)), default=0)
        return longest >= (20 if is_of_a_service else 32) and _is_mixed(rest)
    return len(rest) >= 8 and (is_of_a_service is not None or _is_mixed(rest))


def _is_mixed(value: str) -> bool:
    return bool(re.search(r"[0-9]", value) and re.search(r"[A-Za-z]", value))
