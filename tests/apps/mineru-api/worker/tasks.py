"""Stand-in for MinerU: a text becomes Markdown, by a Celery worker."""

import json
import os
import sys
from pathlib import Path

from shared.broker import CONVERT, broker

HOW = json.loads((Path(__file__).parents[1] / "stand-in.json").read_text())


@broker.task(name=CONVERT)
def convert(task: str, text: str) -> None:
    made = {"device": os.environ["MINERU_DEVICE_MODE"], "markdown": f"# {text}"}
    (Path(os.environ["OUTPUT_DIR"]) / f"{task}.json").write_text(json.dumps(made))


if __name__ == "__main__":
    if os.environ.get("WORKER_POOL") != "threads":
        sys.exit("AssertionError: daemonic processes are not allowed to have children")
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
