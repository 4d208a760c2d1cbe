"""Removes results that are older than a day and some hours, again and again."""

import argparse
import os
import signal
import time
from pathlib import Path

HOUR = 3600

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    parser = argparse.ArgumentParser()
    parser.add_argument("--interval", type=int, required=True)
    parser.add_argument("--extra-hours", type=int, required=True)
    given = parser.parse_args()
    while True:
        oldest = time.time() - (24 + given.extra_hours) * HOUR
        for file in Path(os.environ["OUTPUT_DIR"]).iterdir():
            if file.stat().st_mtime < oldest:
                file.unlink()
        print(f"clean; again in {given.interval} hours", flush=True)
        time.sleep(given.interval * HOUR)
