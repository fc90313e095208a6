"""The neutral model -> requests that Anthropic takes, or a provider that speaks its dialect."""

from typing import Any

from llm_intercept.wire.codec import Context, Encoded, Untranslatable
from llm_intercept.wire.codecs.anthropic import caching, reasoning, tools_out, turns
from llm_intercept.wire.codecs.anthropic.blocks_out import RequestBlocks
from llm_intercept.wire.codecs.anthropic.members import NAME, own
from llm_intercept.wire.codecs.anthropic.reasoning import Plan
from llm_intercept.wire.families import structured, toolnames, unsaid
from llm_intercept.wire.families.unseen import seen
from llm_intercept.wire.ir import Format, Request

LACKING = frozenset(
    (
        *("seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"),
        *("verbosity", "metadata", unsaid.DETAIL, unsaid.NAME),
    )
)
COMPOSED = frozenset({"thinking", "output_config", "output_format", "metadata"})
TIERS = {"auto": "auto", "default": "standard_only"}


def encode_request(request: Request, context: Context) -> Encoded:
    native = NAME in request.extras
    request = request if native else toolnames.fitting(request)
    talk = turns.build(seen(request, (NAME,), context), RequestBlocks(context, native))
    plan = reasoning.planned(request, context, talk.can_think())
    if not native and (plan.thinks or "prefill" in context.target.rejects):
        turns.begun(talk, context)
    body: dict[str, Any] = {"model": request.model, "max_tokens": plan.max_tokens}
    system = _system(talk.system)
    if system:
        body["system"] = system
    body["messages"] = [turn.body() for turn in talk.turns]
    if plan.thinking is not None:
        body["thinking"] = plan.thinking
    _tools(body, request, plan, context)
    _output(body, request, plan, context)
    _sampling(body, request, plan, context)
    _rest(body, request, context)
    if not native and request.cache_key:
        caching.mark(body)
    return Encoded(body)


def _system(prompts: list[turns.Turn]) -> str | list[dict[str, Any]]:
    if len(prompts) == 1 and prompts[0].string:
        content = prompts[0].body()["content"]
        return content if isinstance(content, str) else prompts[0].blocks
    return [block for prompt in prompts for block in prompt.blocks]


def _tools(body: dict[str, Any], request: Request, plan: Plan, context: Context) -> None:
    tools = tools_out.tools(request, context)
    if tools:
        body["tools"] = tools
        choice = tools_out.choice(request, plan.thinks, context)
        if choice is not None:
            body["tool_choice"] = choice
    elif NAME not in request.extras and (tools := tools_out.remembered(request.messages, context)):
        body["tools"] = tools
        body["tool_choice"] = {"type": "none"}


def _output(body: dict[str, Any], request: Request, plan: Plan, context: Context) -> None:
    """Effort and the form of the answer, natively or by a tool."""
    mine = own(request.extras)
    config = dict(mine.get("output_config") or {})
    if plan.effort and "effort" not in context.target.rejects:
        config["effort"] = plan.effort
    form = request.format
    if form is not None and form.kind == "json":
        _instructed(body, structured.WORDS)
        context.warn("response_format: any JSON object is asked for in words; Anthropic has no such mode")
    elif form is not None and form.kind == "schema":
        _schema(body, config, form, plan, request, context)
    if config:
        body["output_config"] = config


def _schema(
    body: dict[str, Any],
    config: dict[str, Any],
    form: Format,
    plan: Plan,
    request: Request,
    context: Context,
) -> None:
    native = NAME in request.extras
    takes = context.target.structured or (native and context.target.structured is None)
    if not takes or not (native or structured.fits(form.schema)):
        config.pop("format", None)
        _by_tool(body, form, plan, context)
        return
    schema = form.schema if native else structured.closed(form.schema or {"type": "object"})
    written = {"type": "json_schema", "schema": schema}
    if "output_format" in own(request.extras):
        body["output_format"] = written
    else:
        config.setdefault("format", written)


def _by_tool(body: dict[str, Any], form: Format, plan: Plan, context: Context) -> None:
    """The answer as a call that has to be made; beside other tools, one call of any has to be made."""
    made = structured.tool(form)
    tool = {"name": made.name, "description": made.description, "input_schema": made.schema}
    others = body.get("tools", ()) if body.get("tool_choice", {}).get("type") != "none" else ()
    body["tools"] = [*body.get("tools", ()), tool]
    if plan.thinks:
        context.warn("response_format: a schema cannot be forced while the model thinks; asked for in words")
        body["tool_choice"] = {"type": "auto"}
        _instructed(body, f"Give the final answer only by calling the tool {tool['name']}.")
    elif others:
        body["tool_choice"] = {**body.get("tool_choice", {}), "type": "any"}
        body["tool_choice"].pop("name", None)
    else:
        body["tool_choice"] = {"type": "tool", "name": tool["name"]}


def _instructed(body: dict[str, Any], words: str) -> None:
    """After what the client said, so that its cached prefix stays as it is."""
    said = body.get("system") or []
    blocks = [{"type": "text", "text": said}] if isinstance(said, str) else said
    body["system"] = [*blocks, {"type": "text", "text": words}]


def _sampling(body: dict[str, Any], request: Request, plan: Plan, context: Context) -> None:
    sampling, native = request.sampling, NAME in request.extras
    values = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
    if not native and values["temperature"] is not None and values["top_p"] is not None:
        if values["top_p"] != 1:
            context.warn("top_p: newer models of Anthropic's take temperature or top_p, not both; left out")
        values["top_p"] = None
    for name, value in values.items():
        if value is not None and _taken(name, value, plan, context):
            body[name] = value
    if (body.get("temperature") or 0) > 1:
        context.warn(f"temperature: {body['temperature']} is more than Anthropic takes; 1 instead")
        body["temperature"] = 1
    stop = [word for word in sampling.stop if word.strip()]
    if len(stop) < len(sampling.stop):
        context.warn("stop: Anthropic takes no stop sequences of blanks only; left out")
    if stop:
        body["stop_sequences"] = stop


def _taken(name: str, value: float, plan: Plan, context: Context) -> bool:
    """Thinking goes with the default temperature and a top_p near 1 only."""
    if name in context.target.rejects:
        context.warn(f"{name}: not taken by this model; left out")
        return False
    if not plan.thinks or (name == "temperature" and value == 1) or (name == "top_p" and value >= 0.95):
        return True
    context.warn(f"{name}: not taken while the model thinks; left out")
    return False


def _rest(body: dict[str, Any], request: Request, context: Context) -> None:
    mine = own(request.extras)
    metadata = {**(mine.get("metadata") or {}), **({"user_id": request.user} if request.user else {})}
    if metadata:
        body["metadata"] = metadata
    tier = request.service_tier if NAME in request.extras else TIERS.get(request.service_tier)
    if tier:
        body["service_tier"] = tier
    elif request.service_tier:
        context.warn(f"service_tier: {request.service_tier} is not known to Anthropic; left out")
    if request.stream:
        body["stream"] = True
    body.update({name: value for name, value in mine.items() if name not in COMPOSED})
    _unsaid(request, context)


def _unsaid(request: Request, context: Context) -> None:
    """Notes what Anthropic has no word for."""
    if (request.sampling.n or 1) > 1:
        raise Untranslatable("n", "Anthropic gives one answer to a request")
    unsaid.warn(request, NAME, "Anthropic", LACKING, context)
