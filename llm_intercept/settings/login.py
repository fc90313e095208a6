"""Settings of logins that others vouch for: an OpenID provider, a proxy that sends a header."""

from ipaddress import ip_network
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llm_intercept.settings.hidden import VariableName

LoginRole = Literal["admin", "member", "viewer"]
# The highest first.
ROLES: tuple[LoginRole, ...] = ("admin", "member", "viewer")


def checked_networks(given: list[str]) -> list[str]:
    """ValueError for what is no address and no network."""
    for text in given:
        try:
            ip_network(text, strict=False)
        except ValueError:
            raise ValueError(f"has {text!r}, which is no address and no network such as 10.0.0.0/8") from None
    return given


class OidcSettings(BaseModel):
    """Logging in at an OpenID provider (authorization code with PKCE). Off unless there is this table."""

    model_config = ConfigDict(extra="forbid")

    issuer: str = Field(
        description="URL of the provider, as its tokens name it", pattern=r"^https?://[^\s?#]+$"
    )
    client_id: str = Field(description="what the provider calls this dashboard", min_length=1)
    client_secret_env: VariableName = Field(
        "", description="environment variable that holds the client's secret; empty: a public client"
    )
    scopes: list[str] = Field(
        default_factory=lambda: ["openid", "email", "profile"], description="what is asked for"
    )
    title: str = Field("single sign-on", description="what the button says after `Log in with`")
    create: bool = Field(False, description="make users of people who are not known; else they are refused")
    role: LoginRole = Field(
        "viewer", description="role of users that are made, and of those whose claim says nothing"
    )
    role_claim: str = Field("", description="claim that decides about the role at each login; empty: none")
    roles: dict[str, LoginRole] = Field(
        default_factory=dict, description="value of that claim -> role; the highest counts"
    )

    @field_validator("scopes")
    @classmethod
    def _check_scopes(cls, scopes: list[str]) -> list[str]:
        if "openid" not in scopes:
            raise ValueError("must have openid among them")
        return scopes

    @model_validator(mode="after")
    def _check_transport(self) -> Self:
        host = self.issuer.split("/")[2]
        is_local = host.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]")
        if self.issuer.startswith("http://") and not is_local:
            raise ValueError("issuer must begin with https:// unless it is on this machine")
        if bool(self.role_claim) != bool(self.roles):
            raise ValueError("role_claim and roles belong together")
        return self


class TrustedHeaderSettings(BaseModel):
    """A proxy in front says who it is that asks. Off unless there is this table."""

    model_config = ConfigDict(extra="forbid")

    header: str = Field(
        description="header with the name or the email address of a user", pattern=r"^[A-Za-z0-9-]+$"
    )
    proxies: list[str] = Field(
        description="addresses or networks of the proxies; from elsewhere the header is not looked at",
        min_length=1,
    )

    _networks = field_validator("proxies")(checked_networks)
