"""The forms of tokens: what a token shall be like, and what may be changed of one."""

from datetime import timedelta
from typing import Any

from llm_dashboard.admin import policies
from llm_dashboard.admin.forms import NAMES, Field, Form, Section, plain_options, whole
from llm_intercept.policy.allow import Policy
from llm_intercept.policy.tokens import parse_lifetime
from llm_intercept.store.tokens import Token, Wanted

BLAME = (
    ("cannot be the name", "name"),
    ("has a token named", "name"),
    ("no project named", "project"),
    ("max_requests", "max_requests"),
    ("may work for", "lifetime"),
    ("tokens at once", "count"),
)
_KINDS = (
    ("", "A token, in place of a provider's key"),
    ("aws", "An access key pair, for AWS SDKs (Bedrock)"),
)


def sections(projects: list[str], users: list[str], longest: timedelta | None) -> list[Section]:
    """For a new one."""
    until = "Such as 30d, 12h, 90m or never. Empty: as long as it may"
    until += "." if longest is None else f", which is {longest.days} days."
    return [
        Section(
            "Token",
            (
                Field("project", "Project", "select", options=plain_options(projects), required=True),
                Field("name", "Name", help=NAMES, placeholder="laptop", required=True),
                Field("user", "Whose it is", help="A user, or any label.", options=plain_options(users)),
                Field("lifetime", "Works for", help=until, placeholder="30d"),
                _REQUESTS,
                Field(
                    "count",
                    "How many",
                    "number",
                    "More than one are called name-1, name-2 and so on.",
                    placeholder="1",
                ),
                Field("kind", "Kind", "select", options=_KINDS),
            ),
        ),
        policies.section("What it may be used for", "nothing said: whatever its project may"),
    ]


_REQUESTS = Field(
    "max_requests",
    "Calls in total",
    "number",
    "It is exhausted after so many. Empty: no limit.",
    placeholder="1000",
)


def changing(users: list[str]) -> list[Section]:
    """For one that exists."""
    return [
        Section(
            "Restrictions",
            (
                Field("user", "Whose it is", help="A user, or any label.", options=plain_options(users)),
                _REQUESTS,
                Field(
                    "lifetime",
                    "Works from now on for",
                    help="Empty: as before; never: until revoked.",
                    placeholder="30d",
                ),
            ),
        ),
        policies.section("What it may be used for", "nothing said: whatever its project may"),
    ]


REFRESH = (
    Section(
        "New secret",
        (
            Field(
                "overlap",
                "The old secret works on for",
                help="Time to change it everywhere, such as 1h. Empty: it stops at once.",
                placeholder="1h",
            ),
            Field(
                "lifetime",
                "The new one works for",
                help="Empty: as long again; never: until revoked.",
                placeholder="30d",
            ),
        ),
    ),
)


def values(token: Token) -> dict[str, str]:
    return {
        "user": token.user,
        "max_requests": str(token.max_requests or ""),
        **policies.values(token.policy),
    }


def wanted(form: Form) -> Wanted:
    return Wanted(
        form.text("user"),
        form.read("lifetime", parse_lifetime),
        form.text("kind") == "aws",
        policies.read(form) or Policy(),
        form.read("max_requests", whole),
    )


def changes(form: Form) -> dict[str, Any]:
    return {
        "user": form.text("user"),
        "max_requests": form.read("max_requests", whole) or 0,
        "lifetime": form.read("lifetime", parse_lifetime),
        "policy": policies.read(form),
    }
