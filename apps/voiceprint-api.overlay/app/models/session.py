"""A session that also executes plain SQL, as the routers write it."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession


class Session(AsyncSession):
    """SQLAlchemy 2 takes no plain text, and the routers use the driver's placeholders, %s."""

    async def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
        if not isinstance(statement, str):
            return await super().execute(statement, params, **options)
        connection = await self.connection()
        # A list would mean several executions.
        return await connection.exec_driver_sql(statement, tuple(params or ()))
