"""Everything of a request beside its messages and tools: sampling, format of the answer, service tier."""

from collections.abc import Mapping

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.codecs.bedrock_converse import reasoning
from llm_intercept.wire.codecs.bedrock_converse.models import Family
from llm_intercept.wire.codecs.bedrock_converse.terms import NAME, Members, string
from llm_intercept.wire.families import structured
from llm_intercept.wire.fields import compact, count, items, mapping, parse
from llm_intercept.wire.ir import Format, Json, Request, Sampling

KNOWN = ("maxTokens", "temperature", "topP", "stopSequences")
TIERS = {
    "priority": "priority",
    "flex": "flex",
    "default": "default",
    "standard": "default",
    "standard_only": "default",
    "reserved": "reserved",
}
HOTTEST = 1.0
LEAST_TOP_P = 0.95  # with reasoning


def read_sampling(config: Members, fields: Members) -> Sampling:
    """`fields` (additionalModelRequestFields) lose what is understood."""
    return Sampling(
        max_tokens=count(config.get("maxTokens")),
        temperature=_number(config.get("temperature")),
        top_p=_number(config.get("topP")),
        top_k=_read_top_k(fields),
        stop=tuple(stop for stop in items(config.get("stopSequences")) if isinstance(stop, str)),
    )


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _read_top_k(fields: Members) -> int | None:
    if (found := count(fields.get("top_k"))) is not None:
        del fields["top_k"]
        return found
    nova = mapping(fields.get("inferenceConfig"))
    if (found := count(nova.get("topK"))) is None:
        return None
    left = {name: value for name, value in nova.items() if name != "topK"}
    fields.pop("inferenceConfig")
    if left:
        fields["inferenceConfig"] = left
    return found


def read_format(config: Members) -> Format | None:
    """`schema` is JSON in a string."""
    wanted = mapping(config.get("textFormat"))
    schema = mapping(mapping(wanted.get("structure")).get("jsonSchema"))
    known = parse(string(schema.get("schema"))) if schema else None
    if wanted.get("type") != "json_schema" or not isinstance(known, dict):
        return None
    return Format("schema", known, string(schema.get("name")), string(schema.get("description")))


class Options:
    """Writes them, one request at a time; what they need of each other is decided here."""

    def __init__(self, request: Request, family: Family, context: Context) -> None:
        self.request, self.family, self.context = request, family, context
        model = context.target.model or request.model
        self._model = model or "the model"
        self.native = NAME in request.extras  # the client speaks Converse
        self.max_tokens = self._max_tokens()
        wish = reasoning.Wish(model, self.max_tokens, self.native)
        self.fields = reasoning.write(request.reasoning, family, context, wish)

    @property
    def thinking(self) -> bool:
        """Claude reasons: its sampling is restricted then."""
        return mapping(self.fields.get("thinking")).get("type") in ("enabled", "adaptive")

    def cancel_thinking(self) -> None:
        """Claude wants a turn that is under way to begin with its own reasoning."""
        if mapping(self.fields.get("thinking")).get("type") == "enabled":
            self.context.warn("reasoning: switched off, the turn under way has none of this model")
            self.fields = {}

    def _allowed(self, name: str, value: object) -> bool:
        if value is None:
            return False
        if name in self.context.target.rejects:
            self.context.warn(f"{name}: not taken by {self._model}")
            return False
        return True

    def _max_tokens(self) -> int | None:
        asked, most = self.request.sampling.max_tokens, self.context.target.max_output
        if asked is not None and most is not None and asked > most:
            self.context.warn(f"max_tokens: {asked} is more than {self._model} can, sent as {most}")
            return most
        return asked

    def inference_config(self) -> Members:
        """`maxTokens`, `temperature`, `topP`, `stopSequences`."""
        config: Members = {}
        if self._allowed("max_tokens", self.max_tokens):
            config["maxTokens"] = self.max_tokens
        if (temperature := self._temperature()) is not None:
            config["temperature"] = temperature
        if (top_p := self._top_p()) is not None:
            config["topP"] = top_p
        stop = [word for word in self.request.sampling.stop if word]
        if stop and self._allowed("stop", stop):
            config["stopSequences"] = stop
        return self._without_for_nova(config)

    def _without_for_nova(self, config: Members) -> Members:
        """Nova 2 with the highest effort takes no limits beside it."""
        if mapping(self.fields.get("reasoningConfig")).get("maxReasoningEffort") != "high":
            return config
        for name in KNOWN[:3]:
            if config.pop(name, None) is not None:
                self.context.warn(f"{name}: not taken by Nova together with high reasoning effort")
        return config

    def _temperature(self) -> float | None:
        asked = self.request.sampling.temperature
        if asked is None or not self._allowed("temperature", asked):
            return None
        if self.thinking and asked != HOTTEST:
            self.context.warn("temperature: not taken by Claude together with reasoning")
            return None
        if asked > HOTTEST:
            self.context.warn(f"temperature: {asked} is more than Converse takes, sent as 1")
            return HOTTEST
        return asked

    def _top_p(self) -> float | None:
        asked = self.request.sampling.top_p
        if asked is None or not self._allowed("top_p", asked):
            return None
        if self.thinking and asked < LEAST_TOP_P:
            self.context.warn("top_p: less than 0.95 is not taken by Claude together with reasoning")
            return None
        return asked

    def additional_fields(self) -> Members:
        """`additionalModelRequestFields`: reasoning and top_k."""
        top_k = self.request.sampling.top_k
        if top_k is None or not self._allowed("top_k", top_k):
            return self.fields
        if self.thinking:
            self.context.warn("top_k: not taken by Claude together with reasoning")
            return self.fields
        if not self.family.top_k:
            self.context.warn(f"top_k: not taken by {self._model}")
            return self.fields
        value: Json = top_k
        for name in reversed(self.family.top_k):
            value = {name: value}
        return merged(self.fields, value)

    @property
    def structure(self) -> str:
        """How the answer gets its form: "" (it has none), "config", "tool" or "words"."""
        asked = self.request.format
        if asked is None or asked.kind == "text":
            return ""
        if asked.kind == "json":
            return "words"
        told = self.context.target.structured
        takes = self.family.schemas if told is None else told
        if takes and (self.native or self.family.name != "claude" or structured.fits(asked.schema)):
            return "config"
        return "words" if self.thinking or not self.family.choices else "tool"

    def output_config(self) -> Members | None:
        """Only a schema can be said there, and only to some models."""
        asked = self.request.format
        if asked is None or self.structure != "config":
            return None
        definition: Members = {"schema": compact(self._schema(asked.schema or {"type": "object"}))}
        if asked.name:
            definition["name"] = asked.name
        if asked.description:
            definition["description"] = asked.description
        return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": definition}}}

    def _schema(self, schema: Mapping[str, Json]) -> Json:
        """Claude's structured outputs take less than JSON Schema; its own clients know that."""
        if self.family.name != "claude" or self.native:
            return schema
        whole = structured.closed(schema)
        if whole != schema:
            self.context.warn("format: the schema is closed and its limits are in words, as Claude takes it")
        return whole

    def instruction(self) -> str:
        """What the system prompt has to ask for because nothing can force it; "" for nothing."""
        asked = self.request.format
        if asked is None or self.structure != "words":
            return ""
        if asked.kind == "json":
            self.context.warn("format: Converse has no JSON without a schema, asked for in the system prompt")
            return structured.WORDS
        self.context.warn(
            f"format: a schema cannot be forced on {self._model}, asked for in the system prompt"
        )
        return structured.asked(asked)

    def service_tier(self) -> Members | None:
        asked = self.request.service_tier
        if asked in TIERS:
            return {"type": TIERS[asked]}
        if asked not in ("", "auto"):
            self.context.warn(f"service_tier: {asked} is not known to Converse")
        return None

    def refuse_several(self) -> None:
        if (self.request.sampling.n or 1) > 1:
            raise Untranslatable("n", "Converse gives one answer to a call")


def merged(base: Mapping[str, Json], more: Mapping[str, Json]) -> Members:
    """Both, objects inside objects too; `base` wins."""
    whole = dict(base)
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(whole.get(name), dict):
            whole[name] = merged(whole[name], value)
        else:
            whole.setdefault(name, value)
    return whole
