"""Stand-in for the script of the overlay: a document is submitted, converted and read back."""

import json
import sys
import time
from urllib.request import urlopen

TASKS = "http://127.0.0.1:8000/api/v1/tasks"
# A worker on another queue never takes it.
LIMIT_S = 5

if __name__ == "__main__":
    body = b"--b\r\nContent-Disposition: form-data\r\n\r\nHello\r\n--b--\r\n"
    task = json.load(urlopen(f"{TASKS}/submit", body, timeout=10))["task_id"]
    end = time.monotonic() + LIMIT_S
    while (answer := json.load(urlopen(f"{TASKS}/{task}", timeout=10)))["status"] == "pending":
        if time.monotonic() > end:
            sys.exit("no worker took the task: is a worker running, on the queue?")
        time.sleep(0.2)
    if answer["markdown"] != "# Hello":
        sys.exit(f"converted to {answer}")
