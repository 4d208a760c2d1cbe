"""Stand-in for Prisma's migrations: brings the schema to this release's revision, once."""

import json
import os
import sqlite3
import sys
from pathlib import Path

HOW = json.loads((Path(__file__).parent / "stand-in.json").read_text())

if HOW.get("broken") == "migrate":
    sys.exit("Error: P3009 migrate found failed migrations in the target database")
with sqlite3.connect(os.environ["DATABASE_URL"].removeprefix("file:")) as database:
    database.execute("CREATE TABLE IF NOT EXISTS rows (text TEXT)")
    database.execute("CREATE TABLE IF NOT EXISTS migrations (revision TEXT PRIMARY KEY)")
    database.execute("INSERT OR IGNORE INTO migrations VALUES (?)", (str(HOW.get("revision")),))
print(f"1 migration applied: revision {HOW.get('revision', 1)}")
