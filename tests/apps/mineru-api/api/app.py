"""Stand-in for the API: health that says what it found, tasks, and rows in Redis."""

import json
import os
import uuid
from pathlib import Path

import redis
import server
from shared.broker import CONVERT, broker

TASKS = "/api/v1/tasks/"
RESULTS = Path(os.environ["OUTPUT_DIR"])
STORE = redis.from_url(os.environ["REDIS_URL"], decode_responses=True)


class Api(server.Handler):
    health_path = "/api/v1/health"

    def health(self) -> dict[str, object]:
        answering = broker.control.inspect(timeout=1).ping()
        return {"status": "healthy", "workers": {"available": bool(answering)}}

    def rows(self) -> list[str]:
        return list(STORE.lrange("rows", 0, -1))

    def keep(self, text: str) -> None:
        STORE.rpush("rows", text)

    def get(self) -> object:
        if not self.path.startswith(TASKS):
            return None
        result = RESULTS / f"{self.path.removeprefix(TASKS)}.json"
        if not result.exists():
            return {"status": "pending"}
        return {"status": "completed", **json.loads(result.read_text())}

    def post(self, body: str) -> object:
        if self.path != f"{TASKS}submit":
            return None
        text = body.split("\r\n\r\n", 1)[1].split("\r\n--", 1)[0]
        task = str(uuid.uuid4())
        broker.send_task(CONVERT, [task, text])
        return {"success": True, "task_id": task}


if __name__ == "__main__":
    server.main(Api, port=8000)
