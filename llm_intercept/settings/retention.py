"""Settings of what is kept for how long; `settings/__init__.py` holds all the others."""

from pydantic import BaseModel, ConfigDict, Field


class RetentionSettings(BaseModel):
    """How long what is no longer needed is kept, in days; 0: for ever. Sums by hour and day always stay."""

    model_config = ConfigDict(extra="forbid")

    daily: bool = Field(True, description="the proxy cleans up once a day; else only `cleanup` does")
    requests_days: int = Field(0, description="calls, with their tries", ge=0)
    tokens_days: int = Field(90, description="tokens after their end (expired, revoked)", ge=0)
    audit_days: int = Field(0, description="the audit log; what remains can still be verified", ge=0)
    logs_days: int = Field(0, description="rotated log files", ge=0)
