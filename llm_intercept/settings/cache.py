"""How answers are stored, to be given again when the same is asked again."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class CacheSettings(BaseModel):
    """Answers that are given again when the same is asked again (cache.db)."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["off", "opt-in", "on"] = Field(
        "opt-in",
        description="whose answers are stored: nobody's, those of calls that ask for it "
        "(`Cache-Control: max-age=300`), or all; a project or a listener can say otherwise",
    )
    ttl: float = Field(
        300.0, description="seconds that an answer is good for, unless its call asked for more", gt=0
    )
    max_ttl: float = Field(30 * 86_400.0, description="the most seconds that a call can ask for", gt=0)
    scope: Literal["project", "token", "all"] = Field(
        "project", description="who shares answers; own keys of clients never share with anybody"
    )
    streams: bool = Field(True, description="store streamed answers as well")
    max_object: int = Field(1_000_000, description="larger answers are not stored, in bytes", ge=1024)
    max_size: int = Field(
        256_000_000,
        description="of all stored answers, compressed; those unused for longest go first",
        ge=1_000_000,
    )
