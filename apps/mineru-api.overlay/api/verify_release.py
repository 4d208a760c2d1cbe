"""Proves a release: a PDF is submitted, converted by a worker with its models, and read back.

python api/verify_release.py       # in the container mineru-api
"""

from __future__ import annotations

import os
import sys
import time

import requests

API = "http://127.0.0.1:8000/api/v1"
# The first conversion loads the models. A worker on the wrong queue never starts it.
LIMIT_S = {"pending": 120, "processing": 540}
SENTENCE = "The quick brown fox jumps over the lazy dog"
LINES = ("A Test Of This Release", *[f"{SENTENCE}, line {number}." for number in range(1, 9)])


def main() -> None:
    task = submit()
    answer = wait(task)
    text = answer.get("markdown_content") or ""
    if SENTENCE.replace(" ", "").lower() not in "".join(text.split()).lower():
        sys.exit(f"the converted PDF lacks its text; it begins: {text[:500]!r}")
    print(f"a PDF was converted: {len(text)} characters of Markdown")


def submit() -> str:
    file = ("gpuhost-verify.pdf", pdf(), "application/pdf")
    # With the defaults of a user, except for the language: all models are loaded.
    answer = requests.post(
        f"{API}/tasks/submit", files={"file": file}, data={"lang": "en"}, timeout=60
    )
    if answer.status_code != 200:
        sys.exit(f"the API does not accept a PDF: {answer.status_code} {answer.text[:500]}")
    return str(answer.json()["task_id"])


def wait(task: str) -> dict[str, object]:
    start, status = time.monotonic(), "pending"
    while time.monotonic() - start < LIMIT_S[status]:
        answer = requests.get(f"{API}/tasks/{task}", timeout=60).json()
        status = answer["task"]["status"]
        if status == "completed" and "markdown_content" in answer:
            return dict(answer)
        if status not in LIMIT_S:
            sys.exit(f"the worker failed: {answer['task'].get('error_message') or status}")
        time.sleep(1)
    queue = os.getenv("MINERU_QUEUE", "mineru-tasks")
    sys.exit(
        f"no worker took the task within {LIMIT_S['pending']} s: is a worker running, "
        f"on the queue {queue}?"
        if status == "pending"
        else f"the PDF was not converted within {LIMIT_S['processing']} s"
    )


def pdf() -> bytes:
    """One page of text."""
    shown = "".join(f"({line}) Tj 0 -28 Td\n" for line in LINES)
    stream = f"BT /F1 16 Tf 72 740 Td\n{shown}ET".encode()
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page + b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    content, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    count, start = len(objects) + 1, len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
    return content + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        count,
        start,
    )


if __name__ == "__main__":
    main()
