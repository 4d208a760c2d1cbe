"""Adds a row for each revision, once: what ran twice would show."""

import json
import os
import sqlite3
import time
from pathlib import Path

HOW = json.loads((Path(__file__).parent / "stand-in.json").read_text())
with sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("file:")) as database:
    database.execute("CREATE TABLE IF NOT EXISTS rows (text TEXT)")
    database.execute("CREATE TABLE IF NOT EXISTS migrations (revision TEXT PRIMARY KEY)")
    database.execute("INSERT OR IGNORE INTO migrations VALUES (?)", (str(HOW.get("revision")),))
time.sleep(HOW.get("migrates_s", 0))
