"""The name of an app: of its file, its directory on the host, its Compose project and its units."""

from __future__ import annotations

import re

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
NAME_RULE = "lowercase letters, digits, - and _, starting with a letter or digit"
