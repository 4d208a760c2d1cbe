"""As upstream's: all of these must be set, or nothing that imports them starts."""

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
    sys.exit(f"{len(missing)} validation errors for Settings: {', '.join(missing)}: Field required")
