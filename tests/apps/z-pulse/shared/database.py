"""The database, whose extensions were made when it was."""

import os

import psycopg2
from psycopg2.extensions import connection

TABLE = """
CREATE TABLE IF NOT EXISTS rows (
    id uuid PRIMARY KEY DEFAULT uuid_generate_v4(), made timestamptz DEFAULT now(), text text
)
"""


def connect() -> connection:
    return psycopg2.connect(os.environ["DATABASE_URL"])
