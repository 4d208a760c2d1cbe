"""A separate process that calls apprise: python -m gpuhost.outputs.notifier.

If a service hangs, the process is killed. The output of apprise and its plugins is discarded: it
may contain a URL with a token. stdin: JSON with `urls` and `message` (title, body, type); null only
checks whether the URLs are usable. stdout: a line for each URL as soon as it is done, with its
index: `0 ok`, `1 failed`.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import TextIO


def main() -> None:
    request = json.load(sys.stdin)
    answers = _redirect_stdout()
    lock = threading.Lock()

    def answer(index: int, url: str) -> None:
        good = _succeeds(lambda: _notify(url, request["message"]))
        with lock:
            print(index, "ok" if good else "failed", file=answers, flush=True)

    # In parallel: a service that hangs does not delay the others.
    threads = [threading.Thread(target=answer, args=each) for each in enumerate(request["urls"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _redirect_stdout() -> TextIO:
    """Send stdout and stderr to the null device. Returns the real stdout."""
    answers = os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    return answers


def _succeeds(action: Callable[[], bool]) -> bool:
    try:
        return action()
    except Exception:
        # A bug in a plugin. Its message may contain the URL.
        return False


def _notify(url: str, message: dict[str, str] | None) -> bool:
    import apprise

    service = apprise.Apprise.instantiate(url)
    if service is None or message is None:
        return service is not None
    return bool(
        apprise.Apprise([service]).notify(
            message["body"], message["title"], message["type"], body_format="text"
        )
    )


if __name__ == "__main__":
    main()
