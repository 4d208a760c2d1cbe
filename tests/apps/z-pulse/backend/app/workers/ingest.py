"""Stand-in for a worker: it needs the database, says so, and works now and then."""

import os
import signal
import time

from shared.database import connect


def work(name: str) -> None:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    connect().close()
    print(f"{name} started", flush=True)
    while True:
        connect().close()
        print(f"{name}: nothing to do", flush=True)
        time.sleep(float(os.environ.get("POLL_INTERVAL", "60")))


if __name__ == "__main__":
    work("Ingestion worker")
