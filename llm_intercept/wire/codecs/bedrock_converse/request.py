"""Requests. The model, and whether a stream is wanted, stand in the path."""

from collections.abc import Mapping

from llm_intercept.wire.codec import Context, Encoded, foreign_members
from llm_intercept.wire.codecs.bedrock_converse import messages, options, reasoning, tools
from llm_intercept.wire.codecs.bedrock_converse.blocks import Blocks
from llm_intercept.wire.codecs.bedrock_converse.models import family
from llm_intercept.wire.codecs.bedrock_converse.options import Options, merged
from llm_intercept.wire.codecs.bedrock_converse.terms import NAME, Members, own, string
from llm_intercept.wire.fields import mapping
from llm_intercept.wire.ir import Json, OpaqueTool, Request

DECODED = frozenset({"system", "messages", "modelId"})
# Members of other dialects that nobody misses in an answer, or that are understood and kept beside.
NOISE = frozenset(
    {
        *("id", "store", "stream_options", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
        *(
            "anthropic_version",
            "anthropic_beta",
            "betas",
            "include",
            "client_metadata",
            "parallel_tool_calls",
        ),
        *(
            "usage",
            "description",
            "parameters",
            "parametersJsonSchema",
            "responseJsonSchema",
            "responseSchema",
        ),
    }
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
    chosen.refuse_the_rest()
    if messages.under_way_without_reasoning(request.messages):
        chosen.cancel_thinking()
    system, turns = messages.write(request.messages, blocks)
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
    _warn_of_others(request, context)
    body = {name: value for name, value in members.items() if value}
    return Encoded(merged(body, own(request.extras)), model_in_path=True)


def _warn_of_others(request: Request, context: Context) -> None:
    """Members of other dialects that have no word in the IR; names with a mark are their codecs' notes."""
    kept = [request.extras, *(tool.extras for tool in request.tools if not isinstance(tool, OpaqueTool))]
    for extras in kept:
        for dialect, members in extras.items():
            for name in foreign_members({dialect: members}, NAME):
                if name not in NOISE:
                    context.warn(f"{name}: of {dialect}, not known to Converse")
