"""Stand-in for scripts/seed-docker.js: the administrator, once; with --check: is there one?"""

import os
import sqlite3
import sys
from pathlib import Path

with sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("file:")) as database:
    database.execute("CREATE TABLE IF NOT EXISTS administrators (email TEXT, length INTEGER)")
    found = database.execute("SELECT count(*) FROM administrators").fetchone()[0]
    if "--check" in sys.argv:
        sys.exit(0 if found else 1)
    if not found:
        # Only the length: what a test wants to know is whether a secret arrived whole.
        values = (os.environ["ADMIN_EMAIL"], len(os.environ["ADMIN_PASSWORD"]))
        database.execute("INSERT INTO administrators VALUES (?, ?)", values)
        # scripts/seed-docker.js:76
        if "${adminPassword}" in (Path(__file__).parent / "scripts/seed-docker.js").read_text():
            print("   Password:", os.environ["ADMIN_PASSWORD"])
