"""The database, whose extensions were made when it was; and a session like SQLAlchemy's."""

import os

import psycopg2
from psycopg2.extensions import connection

from shared.config import settings

TABLE = """
CREATE TABLE IF NOT EXISTS rows (
    id uuid PRIMARY KEY DEFAULT uuid_generate_v4(), made timestamptz DEFAULT now(), text text
)
"""


def connect() -> connection:
    host, name, user, password, *_ = (os.environ[variable] for variable in settings.REQUIRED)
    return psycopg2.connect(host=host, dbname=name, user=user, password=password)


class Session:
    """SQLAlchemy 2 executes no plain text, its connection does."""

    def execute(self, statement: object) -> None:
        raise TypeError(f"Textual SQL expression {statement!r} should be explicitly declared")

    def connection(self) -> "Session":
        return self

    def exec_driver_sql(self, statement: str) -> None:
        with connect() as database, database.cursor() as cursor:
            cursor.execute(statement)
