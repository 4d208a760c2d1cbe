"""Stand-in for SQLAlchemy 2: it executes no plain text. The database is elsewhere."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Connection:
    async def execute(self, statement: object) -> None:
        raise TypeError(f"Not an executable object: {statement!r}")

    async def exec_driver_sql(self, statement: str) -> None:
        """It reaches its database."""


@asynccontextmanager
async def begin() -> AsyncIterator[Connection]:
    yield Connection()
