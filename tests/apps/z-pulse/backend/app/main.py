"""Stand-in for the API: rows in PostgreSQL, visits in Redis, and feeds of the bridge's database."""

import os
import sqlite3

import psycopg2
import redis
import server
from shared.database import TABLE, connect


class Api(server.Handler):
    health_path = "/health"

    def health(self) -> dict[str, object]:
        # As the real one: it answers 200 whatever became of its database.
        try:
            connect().close()
        except psycopg2.Error:
            return {"status": "running", "database": "unhealthy"}
        return {"status": "running", "database": "healthy"}

    def rows(self) -> list[str]:
        with connect() as database, database.cursor() as cursor:
            cursor.execute("SELECT text FROM rows ORDER BY made")
            return [row[0] for row in cursor.fetchall()]

    def keep(self, text: str) -> None:
        with connect() as database, database.cursor() as cursor:
            cursor.execute("INSERT INTO rows (text) VALUES (%s)", (text,))

    def get(self) -> object:
        if self.path == "/api/reports/":
            return [{"title": text} for text in self.rows()]
        if self.path == "/api/visits":
            return redis.Redis("redis", password=os.environ["REDIS_PASSWORD"]).incr("visits")
        if self.path == "/api/feeds":
            with sqlite3.connect(os.environ["WERSS_DB_PATH"]) as bridge:
                return [row[0] for row in bridge.execute("SELECT url FROM articles")]
        return None


if __name__ == "__main__":
    with connect() as database, database.cursor() as cursor:
        cursor.execute(TABLE)
    server.main(Api, port=8000)
