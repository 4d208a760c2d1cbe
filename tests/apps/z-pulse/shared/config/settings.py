"""As upstream's settings.py:23-67: without these, nothing that imports them starts.

DATABASE_URL and REDIS_URL are made of the others, and never read.
"""

import os
import sys

REQUIRED = (
    "POSTGRES_HOST",
    "POSTGRES_DB",
    "POSTGRES_USER",
    "POSTGRES_PASSWORD",
    "DASHSCOPE_API_KEY",
)

if missing := [name for name in REQUIRED if name not in os.environ]:
    errors = f"{len(missing)} validation error{'s' * (len(missing) > 1)} for Settings"
    sys.exit(f"{errors}: {', '.join(missing)}: Field required")


class Settings:
    DASHSCOPE_API_KEY = os.environ["DASHSCOPE_API_KEY"]
    DASHSCOPE_BASE_URL = os.environ.get("DASHSCOPE_BASE_URL", "")
    REDIS_PASSWORD = os.environ.get("REDIS_PASSWORD")


settings = Settings()
