"""Google's shapes: `embedContent` and `batchEmbedContents`, and Vertex's older `predict` with instances.

One content is one embedding, whatever number of parts it has. Vertex's `embedContent` (the models after
gemini-embedding-001) has its settings in `embedContentConfig`.
"""

from collections.abc import Mapping, Sequence

from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.dialects import gemini as dialect
from llm_intercept.wire.embeddings.model import (
    EmbedAnswer,
    EmbedEncoded,
    EmbedRequest,
    Members,
    Purpose,
    counted,
    extras_of,
    input_tokens,
    of_own,
    string,
    vectors,
    warn_of_others,
    words,
)
from llm_intercept.wire.fields import count, mapping, objects
from llm_intercept.wire.ir import Extras, Json

NAME = "gemini"
SINGLE = "embedContent"
BATCH = "batchEmbedContents"
PREDICT = "predict"
VERTEX = "/publishers/"  # in the path of every model there
PURPOSES: dict[str, Purpose] = {
    "RETRIEVAL_QUERY": "query",
    "RETRIEVAL_DOCUMENT": "document",
    "SEMANTIC_SIMILARITY": "similarity",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
    "QUESTION_ANSWERING": "question",
    "FACT_VERIFICATION": "fact",
    "CODE_RETRIEVAL_QUERY": "code",
}
TASKS = {purpose: task for task, purpose in PURPOSES.items()}
SETTINGS = (
    "model",
    "content",
    "taskType",
    "task_type",
    "title",
    "outputDimensionality",
    "output_dimensionality",
)
TRUNCATING = ("autoTruncate", "auto_truncate")


def decode_request(body: Mapping[str, Json], model: str = "", operation: str = "") -> EmbedRequest:
    known = (operation or _operation(body)).rpartition(":")[2]
    if known == PREDICT:
        return _decode_instances(body, model)
    calls = objects(body.get("requests")) if known == BATCH else [dict(body)]
    if not calls:
        raise Untranslatable("requests", "nothing to embed")
    settings = _common([_settings(call) for call in calls], "requests")
    left = extras_of(body, NAME, "requests", "model") if known == BATCH else _left(calls[0])
    return EmbedRequest(
        model=(model or string(body.get("model")) or string(calls[0].get("model"))).removeprefix("models/"),
        inputs=tuple(_text(call.get("content")) for call in calls),
        single=known == SINGLE,
        operation=known,
        extras=left,
        **settings,
    )


def _operation(body: Mapping[str, Json]) -> str:
    if "requests" in body:
        return BATCH
    return PREDICT if "instances" in body else SINGLE


def _left(call: Members) -> Extras:
    return extras_of(call, NAME, *SETTINGS, *TRUNCATING, "embedContentConfig")


def _settings(call: Mapping[str, Json]) -> Members:
    """The newer endpoint has them in `embedContentConfig`."""
    said = {**mapping(call.get("embedContentConfig")), **call}
    truncate = said.get("autoTruncate", said.get("auto_truncate"))
    return {
        "purpose": _purpose(said),
        "title": string(said.get("title")),
        "dimensions": count(said.get("outputDimensionality", said.get("output_dimensionality"))),
        "truncate": truncate if isinstance(truncate, bool) else None,
    }


def _purpose(said: Mapping[str, Json]) -> Purpose | None:
    return PURPOSES.get(string(said.get("taskType", said.get("task_type"))))


def _common(settings: Sequence[Members], name: str) -> Members:
    """All inputs of a call have the same settings in every other shape."""
    if any(one != settings[0] for one in settings):
        raise Untranslatable(name, "inputs with different settings cannot go in one call")
    return settings[0]


def _text(content: object) -> str:
    parts = [content] if isinstance(content, str) else objects(mapping(content).get("parts"))
    found = [part if isinstance(part, str) else part.get("text") for part in parts]
    pieces = [piece for piece in found if isinstance(piece, str)]
    if not pieces or len(pieces) < len(found):
        raise Untranslatable("content.parts", "only texts can be embedded elsewhere")
    return "\n".join(pieces)


def _decode_instances(body: Mapping[str, Json], model: str) -> EmbedRequest:
    instances, parameters = objects(body.get("instances")), mapping(body.get("parameters"))
    if not instances:
        raise Untranslatable("instances", "nothing to embed")
    settings = _common([_settings({**one, **parameters}) for one in instances], "instances")
    return EmbedRequest(
        model=model,
        inputs=tuple(_text(one.get("content")) for one in instances),
        operation=PREDICT,
        extras=extras_of(body, NAME, "instances", "parameters"),
        **settings,
    )


def encode_request(request: EmbedRequest, context: Context, operation: str = "") -> EmbedEncoded:
    inputs = words(request, "Gemini")
    chosen = operation.rpartition(":")[2] or (SINGLE if len(inputs) == 1 else BATCH)
    warn_of_others(request, NAME, context)
    if chosen == PREDICT:
        return EmbedEncoded(_instances(request, inputs), PREDICT, True)
    if chosen == SINGLE and len(inputs) > 1:
        raise Untranslatable("input", "embedContent takes one content at a time")
    if chosen == SINGLE and VERTEX in operation:
        return EmbedEncoded(_configured(request, inputs[0]), SINGLE, True)
    if request.truncate is False:
        context.warn("truncate: Gemini shortens what is too long, that cannot be forbidden")
    calls = [{"content": {"parts": [{"text": text}]}} | _written(request) for text in inputs]
    if chosen == BATCH:
        name = f"models/{request.model.removeprefix('models/')}"
        body: Members = {"requests": [{"model": name} | call for call in calls]}
        return EmbedEncoded(body | of_own(request.extras, NAME), BATCH, True)
    return EmbedEncoded(calls[0] | of_own(request.extras, NAME), SINGLE, True)


def _configured(request: EmbedRequest, text: str) -> Members:
    settings = _written(request)
    if request.truncate is not None:
        settings["autoTruncate"] = request.truncate
    body: Members = {"content": {"parts": [{"text": text}]}}
    return body | ({"embedContentConfig": settings} if settings else {}) | of_own(request.extras, NAME)


def _written(request: EmbedRequest) -> Members:
    settings: Members = {}
    if request.purpose is not None:
        settings["taskType"] = TASKS[request.purpose]
    if request.title:
        settings["title"] = request.title
    if request.dimensions is not None:
        settings["outputDimensionality"] = request.dimensions
    return settings


def _instances(request: EmbedRequest, inputs: Sequence[str]) -> Members:
    """Here the task is spelt `task_type`, and length and dimensions are the call's."""
    about: Members = {"task_type": TASKS[request.purpose]} if request.purpose is not None else {}
    if request.title:
        about["title"] = request.title
    parameters: Members = {}
    if request.truncate is not None:
        parameters["autoTruncate"] = request.truncate
    if request.dimensions is not None:
        parameters["outputDimensionality"] = request.dimensions
    body: Members = {"instances": [{"content": text} | about for text in inputs]}
    return body | ({"parameters": parameters} if parameters else {})


def decode_answer(body: Mapping[str, Json]) -> EmbedAnswer:
    if "predictions" in body:
        made = [mapping(one.get("embeddings")) for one in objects(body.get("predictions"))]
    elif "embeddings" in body:
        made = objects(body.get("embeddings"))
    else:
        made = [mapping(body.get("embedding"))] if "embedding" in body else []
    return EmbedAnswer("", vectors([one.get("values") for one in made]), counted(dialect.read_answer, body))


def encode_answer(answer: EmbedAnswer, request: EmbedRequest, context: Context) -> Mapping[str, Json]:
    made = [{"values": vector} for vector in answer.vectors]
    tokens = input_tokens(answer, context)
    if request.operation == PREDICT:
        return _predictions(made, tokens)
    usage: Members = {} if tokens is None else {"usageMetadata": {"promptTokenCount": tokens}}
    if request.operation == SINGLE:
        return {"embedding": made[0] if made else {"values": []}} | usage
    return {"embeddings": made} | usage


def _predictions(made: Sequence[Members], tokens: int | None) -> Members:
    """Tokens are counted for each input: of several only the sum is known, so it is said for one alone."""
    if len(made) == 1 and tokens is not None:
        statistics = {"token_count": tokens, "truncated": False}
        return {"predictions": [{"embeddings": {**made[0], "statistics": statistics}}]}
    return {"predictions": [{"embeddings": one} for one in made]}
