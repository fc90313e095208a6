"""Requests. The model, and whether a stream is wanted, stand in the path."""

from collections.abc import Mapping

from llm_intercept.wire.codec import Context, Encoded
from llm_intercept.wire.codecs.bedrock_converse import messages, options, reasoning, tools
from llm_intercept.wire.codecs.bedrock_converse.blocks import Blocks
from llm_intercept.wire.codecs.bedrock_converse.models import family
from llm_intercept.wire.codecs.bedrock_converse.options import Options, merged
from llm_intercept.wire.codecs.bedrock_converse.terms import NAME, Members, own, string
from llm_intercept.wire.families import unsaid
from llm_intercept.wire.families.settled import settled
from llm_intercept.wire.fields import mapping
from llm_intercept.wire.ir import Json, Request

DECODED = frozenset({"system", "messages", "modelId"})
LACKING = frozenset(
    (
        *("seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"),
        *("verbosity", "user", "cache_key", "metadata", unsaid.NAME, unsaid.DETAIL),
    )
)


def decode_request(body: Mapping[str, Json], model: str, stream: bool) -> Request:
    fields = dict(mapping(body.get("additionalModelRequestFields")))
    config = mapping(body.get("inferenceConfig"))
    tool_config = mapping(body.get("toolConfig"))
    output = mapping(body.get("outputConfig"))
    format_ = options.read_format(output)
    return Request(
        model=model or string(body.get("modelId")),
        messages=messages.read(body),
        tools=tools.read_tools(tool_config),
        tool_choice=tools.read_choice(tool_config),
        sampling=options.read_sampling(config, fields),
        reasoning=reasoning.read(fields),
        format=format_,
        stream=stream,
        service_tier=string(mapping(body.get("serviceTier")).get("type")),
        extras=_extras(body, fields, without="textFormat" if format_ else ""),
    )


def _extras(body: Mapping[str, Json], fields: Members, without: str) -> dict[str, Members]:
    """What has no word in the IR, where it stood. Even empty it tells that the client speaks Converse."""
    left = {name: value for name, value in body.items() if name not in DECODED}
    left["additionalModelRequestFields"] = fields
    for name, known in (
        ("inferenceConfig", options.KNOWN),
        ("toolConfig", ("tools", "toolChoice")),
        ("outputConfig", (without,)),
        ("serviceTier", ("type",)),
    ):
        left[name] = {key: value for key, value in mapping(left.get(name)).items() if key not in known}
    left = {name: value for name, value in left.items() if value not in ({}, None)}
    return {NAME: left}


def encode_request(request: Request, context: Context) -> Encoded:
    kind = family(context.target.model or request.model)
    blocks = Blocks(context, kind)
    chosen = Options(request, kind, context)
    chosen.refuse_several()
    if messages.under_way_without_reasoning(request.messages):
        chosen.cancel_thinking()
    talk = request.messages if chosen.native else settled(request.messages, context)
    system, turns = messages.write(talk, blocks)
    if not chosen.native:
        messages.end(turns, blocks, chosen.thinking)
    if instruction := chosen.instruction():
        system.append({"text": instruction})
    answer = request.format if chosen.structure == "tool" else None
    members: dict[str, Json] = {
        "system": system,
        "messages": turns,
        "inferenceConfig": chosen.inference_config(),
        "toolConfig": tools.write_config(request, blocks, chosen.thinking, answer),
        "additionalModelRequestFields": chosen.additional_fields(),
        "outputConfig": chosen.output_config(),
        "serviceTier": chosen.service_tier(),
    }
    unsaid.warn(request, NAME, "Converse", LACKING, context)
    body = {name: value for name, value in members.items() if value}
    return Encoded(merged(body, own(request.extras)), model_in_path=True)
