"""The API itself: whether it is there, its version, its description."""

import asyncio

from pydantic import Field

from llm_dashboard.api.operation import Call, Nothing, Table, View
from llm_intercept import __version__, presence

table = Table("system", "The API itself.")


class Health(View):
    """Whether the dashboard can work."""

    status: str = Field(description="ok")


class Version(View):
    """What runs here."""

    version: str
    proxy: str | None = Field(description="where the proxy of this home listens; null: none is running")


@table.get("/health", "Whether the API is there", Health, where="here", scope="none")
async def health(call: Call[Nothing, Nothing]) -> object:
    """Needs no login. Answers once control.db and usage.db can be read."""
    await asyncio.gather(
        call.stage.manage(lambda management: management.control.check()),
        call.stage.usage(lambda conn: conn.execute("SELECT 1 FROM requests LIMIT 1").fetchone()),
    )
    return {"status": "ok"}


@table.get("/version", "What runs here", Version, where="here")
async def version(call: Call[Nothing, Nothing]) -> object:
    """The version of llm-intercept, and where its proxy is."""
    return {"version": __version__, "proxy": presence.find(call.stage.home.path)}
