"""What a call would meet: the route that takes it, its targets in their order, and why. Nothing is sent."""

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llm_dashboard.admin.forms import Form, whole
from llm_dashboard.admin.visit import Visit
from llm_intercept import assembly, prices, resources
from llm_intercept.cli.route_call import Way, way
from llm_intercept.cli.session import Session
from llm_intercept.home import Home
from llm_intercept.manage import Management
from llm_intercept.policy.callfacts import is_background, thinks
from llm_intercept.policy.facts import Facts
from llm_intercept.policy.models import ModelMap
from llm_intercept.policy.pricing import Pricing
from llm_intercept.policy.routing import FLAGS, CallFacts, unmet
from llm_intercept.prompts import with_prompts

if TYPE_CHECKING:
    from llm_intercept.router import Explanation


@dataclass(frozen=True, slots=True)
class Explained:
    """`passed` are the routes before the one that takes it: (name, the condition that does not hold)."""

    explanation: "Explanation"
    passed: list[tuple[str, str]]


async def explained(visit: Visit, form: Form) -> Explained | None:
    """None if something is wrong, which the form then says."""
    tokens, model = form.read("tokens", whole) or 0, form.text("model")
    if form.failed:
        return None
    facts = CallFacts(
        model,
        project=form.text("project"),
        tokens=tokens,
        **{flag: form.ticked(flag) for flag in FLAGS},
    )

    def work(m: Management) -> Explained:
        m.desk.see(visit.actor, "routes")
        session = Session({**os.environ, "LLM_INTERCEPT_HOME": str(visit.home.path)})
        called = way(session, model, form.text("provider"), form.text("dialect"))
        return explain(m, visit.home, facts, called)

    return await visit.submit(form, work, (("no provider", "provider"), ("dialect", "dialect")))


def explain(m: Management, home: Home, facts: CallFacts, called: Way) -> Explained:
    """In the thread of control.db."""
    known = Facts(m.registry.providers, resources.model_catalogue)
    settings, aliasing = with_prompts(m.settings.models, home.path), m.control.aliases.active()
    models = ModelMap(settings, m.registry.providers, known.known, lambda: aliasing)
    found = models.resolve(facts.model, facts.project, called.provider, True)
    facts = replace(
        facts,
        alias=found.alias,
        tier=found.tier,
        dialect=called.dialect,
        background=facts.background or is_background({}, facts.model),
        thinking=facts.thinking or thinks({}, facts.model),
    )
    m.control.refresh()
    pricing = Pricing(m.settings.prices, prices.built_in())
    base = assembly.Base(home, m.settings, m.registry, m.control, pricing)
    router = assembly.explaining(base, models)
    explanation = router.explain(facts, called.dialect, called.provider)
    before = []
    for route in m.control.routing:
        if route.name == explanation.route:
            break
        before.append((route.name, unmet(route.match, facts)))
    return Explained(explanation, before)
