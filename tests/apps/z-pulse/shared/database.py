"""The database, whose extensions were made when it was."""

import os

import psycopg2
from psycopg2.extensions import connection

from shared import settings

TABLE = """
CREATE TABLE IF NOT EXISTS rows (
    id uuid PRIMARY KEY DEFAULT uuid_generate_v4(), made timestamptz DEFAULT now(), text text
)
"""


def connect() -> connection:
    host, name, user, password, *_ = (os.environ[variable] for variable in settings.REQUIRED)
    return psycopg2.connect(host=host, dbname=name, user=user, password=password)
