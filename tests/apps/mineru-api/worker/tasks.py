"""Stand-in for MinerU: a text becomes Markdown, by a Celery worker.

As upstream's it starts without MinerU (tasks.py:62), and prints its broker (:1652).
"""

import json
import os
import sys
from pathlib import Path

from shared import celeryconfig
from shared.broker import CONVERT, broker

try:
    from mineru.cli.common import do_parse

    MINERU_AVAILABLE = True
except ImportError:
    MINERU_AVAILABLE = False

HOW = json.loads((Path(__file__).parents[1] / "stand-in.json").read_text())


@broker.task(name=CONVERT)
def convert(task: str, text: str) -> None:
    if MINERU_AVAILABLE:
        made = {"device": os.environ["MINERU_DEVICE_MODE"], "markdown": do_parse(text)}
    else:
        made = {"status": "failed", "error_message": "MinerU is not available"}
    (Path(os.environ["OUTPUT_DIR"]) / f"{task}.json").write_text(json.dumps(made))


if __name__ == "__main__":
    if os.environ.get("WORKER_POOL") != "threads":
        sys.exit("AssertionError: daemonic processes are not allowed to have children")
    print(f"🔗 Broker: {celeryconfig.broker_url}")
    print(f"💾 Backend: {celeryconfig.result_backend}")
    queue = ["--queues=another"] if HOW.get("broken") == "queue" else []
    broker.worker_main(
        [
            "worker",
            "--loglevel=INFO",
            "--pool=threads",
            f"--concurrency={os.environ['WORKER_CONCURRENCY']}",
            f"--prefetch-multiplier={os.environ['WORKER_PREFETCH_MULTIPLIER']}",
            *queue,
        ]
    )
