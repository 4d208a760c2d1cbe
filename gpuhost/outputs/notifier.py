"""A process of its own that calls apprise: python -m gpuhost.outputs.notifier.

What hangs in it is ended with it, and what apprise and its plugins print or log, which may be a
URL with a token, goes nowhere. On stdin it gets JSON: `urls`, and `message` (title, body, type) or
null, which only asks whether the URLs are usable. On stdout it says of each, by its place, as soon
as it knows: `0 ok`, `1 failed`.
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
    answers = _alone_on_stdout()
    lock = threading.Lock()

    def answer(place: int, url: str) -> None:
        good = _is_good(lambda: _tried(url, request["message"]))
        with lock:
            print(place, "ok" if good else "failed", file=answers, flush=True)

    # At once: none waits for another that hangs.
    threads = [threading.Thread(target=answer, args=each) for each in enumerate(request["urls"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _alone_on_stdout() -> TextIO:
    """The only thing that still writes to where stdout went."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers


def _is_good(tried: Callable[[], bool]) -> bool:
    try:
        return tried()
    except Exception:
        # A fault of a plugin's: what it says may hold the URL.
        return False


def _tried(url: str, message: dict[str, str] | None) -> bool:
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
