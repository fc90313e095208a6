"""What a call would meet: the route that takes it, and its targets in their order. Nothing is sent."""

import os
from typing import Any

from pydantic import Field

from llm_dashboard.admin.explaining import explain
from llm_dashboard.api.fields import Text
from llm_dashboard.api.operation import Call, Model, Nothing, View
from llm_dashboard.api.routing import table
from llm_intercept.cli.route_call import way
from llm_intercept.cli.session import Session
from llm_intercept.manage import Management
from llm_intercept.policy.routing import CallFacts
from llm_intercept.store.projects import DEFAULT_PROJECT


class CallToExplain(Model):
    """A call that is not made."""

    model: str = Field(min_length=1, max_length=300)
    project: str = Field("", max_length=64, description="empty: the default project")
    token: Text = Field("", description="by id or name; it says the project as well")
    provider: str = Field("", max_length=64, description="which is called; empty: whose model it is")
    dialect: str = Field("", max_length=64, description="empty: the provider's own")
    tokens: int = Field(0, ge=0, le=10**9, description="how long the prompt is")
    image: bool = False
    web_search: bool = False
    background: bool = False
    thinking: bool = False


class Candidate(View):
    """A target, in the place in which it would be tried."""

    provider: str
    model: str
    credential: str | None = Field(description="the name of the key; null: the client's own, or none")
    usable: bool
    state: str = Field(description="why it is not usable")
    reason: str = Field(description="why in this place")
    longer: bool = Field(description="only for a conversation that was too long for others")
    overrides: dict[str, Any]


class Passed(View):
    """A route that does not take the call."""

    route: str
    because: str = Field(description="the condition that does not hold")


class Explanation(View):
    """What would become of the call."""

    route: str = Field(description="the route that takes it; empty: none")
    resolution: str = Field(description="what the model's name leads to")
    refusal: str
    candidates: list[Candidate]
    passed_over: list[Passed]


@table.post(
    "/routes/explain",
    "Explain a call",
    Explanation,
    body=CallToExplain,
    scope="read",
    command="route explain",
)
def explain_(management: Management, call: Call[Nothing, CallToExplain]) -> object:
    """Keys that cool down and open breakers are those that the proxy wrote down last. Admins only."""
    management.desk.see(call.actor, "routes")
    body = call.body
    session = Session({**os.environ, "LLM_INTERCEPT_HOME": str(call.stage.home.path)})
    called = way(session, body.model, body.provider, body.dialect)
    found = explain(management, call.stage.home, _facts(management, body), called)
    explanation = found.explanation
    return {
        "route": explanation.route,
        "resolution": explanation.resolution,
        "refusal": explanation.refusal,
        "candidates": [_candidate(candidate, state) for candidate, state in explanation.candidates],
        "passed_over": [{"route": name, "because": condition} for name, condition in found.passed],
    }


def _facts(management: Management, body: CallToExplain) -> CallFacts:
    control = management.control
    token = control.tokens.get(body.token, body.project or None) if body.token else None
    project = token.project if token else control.projects.get(body.project or DEFAULT_PROJECT).name
    return CallFacts(
        body.model,
        project=project,
        token=token.name if token else "",
        tokens=body.tokens,
        image=body.image,
        web_search=body.web_search,
        background=body.background,
        thinking=body.thinking,
    )


def _candidate(candidate: Any, state: Any) -> dict[str, Any]:
    return {
        "provider": candidate.provider,
        "model": candidate.model,
        "credential": candidate.credential,
        "usable": state is None or state.usable,
        "state": state.reason if state else "",
        "reason": candidate.reason,
        "longer": candidate.longer,
        "overrides": dict(candidate.overrides),
    }
