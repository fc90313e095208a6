"""Embeddings between all shapes: tables, every recording through every other shape, the SDKs as oracle."""

import json
import re
from array import array
from base64 import b64decode
from collections.abc import Mapping
from itertools import product
from typing import Any

import httpx2
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_intercept.errors import ConfigError
from llm_intercept.wire import embeddings
from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.embeddings import cohere, gemini, ollama, openai_embeddings
from llm_intercept.wire.embeddings.model import EmbedAnswer, EmbedRequest, Shape, packed
from llm_intercept.wire.usage import Usage
from tests.google_http import httpx
from tests.wire.recordings import Recording, recordings

SURFACES = ("embeddings", "batchEmbedContents", "embedContent")
SHAPES = {
    "openai_embeddings": "openai_embeddings",
    "gemini": "gemini",
    "cohere": "cohere",
    "ollama": "ollama",
}
FOUND = [r for r in recordings() if r.surface in SURFACES and r.status == 200]
NAMES = list(embeddings.NAMES)
TWO = EmbedRequest("m", ("a", "b"))


def body_of(recording: Recording) -> Any:
    """Some recorders have kept the chunks' sizes in the body."""
    return json.loads(re.sub(rb"^[0-9a-f]+\r\n|\r\n[0-9a-f]*(\r\n)*|\s+0\s*$", b"", recording.body, count=0))


def operation_of(recording: Recording) -> str:
    return recording.path.partition("?")[0].rpartition(":")[2] if ":" in recording.path else recording.path


def model_of(recording: Recording) -> str:
    found = re.search(r"models/([^:]+):", recording.path)
    return found[1] if found else ""


def shape_of(recording: Recording) -> Shape:
    return embeddings.get(recording.dialect)


def request_of(recording: Recording) -> EmbedRequest:
    return shape_of(recording).decode_request(
        json.loads(recording.request), model_of(recording), operation_of(recording)
    )


@pytest.mark.parametrize("recording", FOUND, ids=lambda r: r.name)
def test_a_request_survives(recording: Recording) -> None:
    shape, request = shape_of(recording), request_of(recording)
    context = Context()
    encoded = shape.encode_request(request, context, request.operation)
    again = shape.decode_request(encoded.body, model_of(recording), encoded.operation)
    assert context.warnings == []
    plain = {"types": ("float",)} if "base64" in request.types else {}
    assert {**_members(again), **plain} == {**_members(request), **plain}


def _members(request: EmbedRequest) -> dict[str, Any]:
    return {name: getattr(request, name) for name in EmbedRequest.__slots__}


@pytest.mark.parametrize("recording", FOUND, ids=lambda r: r.name)
def test_an_answer_survives(recording: Recording) -> None:
    shape, request = shape_of(recording), request_of(recording)
    answer = shape.decode_answer(body_of(recording))
    assert len(answer.vectors) == len(request.inputs)
    assert all(len(vector) > 100 for vector in answer.vectors)
    again = shape.decode_answer(json.loads(orjson.dumps(shape.encode_answer(answer, request, Context()))))
    assert [list(vector) for vector in again.vectors] == [list(vector) for vector in answer.vectors]
    assert again.usage.input == answer.usage.input


@pytest.mark.parametrize("recording", FOUND, ids=lambda r: r.name)
@pytest.mark.parametrize("client", NAMES)
def test_every_recorded_answer_for_every_client(recording: Recording, client: str) -> None:
    shape = embeddings.get(client)
    answer = shape_of(recording).decode_answer(body_of(recording))
    count = len(answer.vectors)
    request = shape.decode_request(
        ASKED[client][min(count, 2) - 1][0], "m", ASKED[client][min(count, 2) - 1][1]
    )
    written = json.loads(orjson.dumps(shape.encode_answer(answer, request, Context(requested_model="m"))))
    again = shape.decode_answer(written)
    assert [list(vector) for vector in again.vectors] == [list(vector) for vector in answer.vectors]
    assert again.usage.input == answer.usage.input


@pytest.mark.parametrize("recording", FOUND, ids=lambda r: r.name)
@pytest.mark.parametrize("target", NAMES)
def test_every_recorded_request_for_every_target(recording: Recording, target: str) -> None:
    request, shape = request_of(recording), embeddings.get(target)
    encoded = shape.encode_request(request, Context())
    again = shape.decode_request(encoded.body, request.model, encoded.operation)
    assert (again.inputs, again.dimensions, again.model) == (
        request.inputs,
        request.dimensions,
        request.model,
    )


ASKED: dict[str, list[tuple[dict[str, Any], str]]] = {
    "openai_embeddings": [
        ({"model": "m", "input": "a", "dimensions": 8}, ""),
        ({"model": "m", "input": ["a", "b"], "dimensions": 8}, ""),
    ],
    "gemini": [
        ({"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 8}, "embedContent"),
        (
            {
                "requests": [
                    {
                        "model": "models/m",
                        "content": {"parts": [{"text": text}]},
                        "outputDimensionality": 8,
                    }
                    for text in "ab"
                ]
            },
            "batchEmbedContents",
        ),
    ],
    "cohere": [
        (
            {
                "model": "m",
                "texts": list(texts),
                "input_type": "search_document",
                "embedding_types": ["float"],
                "output_dimension": 8,
            },
            "v2",
        )
        for texts in ("a", "ab")
    ],
    "ollama": [
        ({"model": "m", "input": "a", "dimensions": 8}, "embed"),
        ({"model": "m", "input": ["a", "b"], "dimensions": 8}, "embed"),
    ],
}
PAIRS = [(a, b, at) for a, b in product(NAMES, NAMES) for at in (0, 1)]


@pytest.mark.parametrize(("client", "target", "at"), PAIRS)
def test_all_pairs(client: str, target: str, at: int) -> None:
    """A client's request in the target's shape, the target's answer in the client's."""
    source, sink = embeddings.get(client), embeddings.get(target)
    body, operation = ASKED[client][at]
    request = source.decode_request(body, "m", operation)
    context = Context(requested_model="m")
    encoded = sink.encode_request(request, context)
    wanted, name = ASKED[target][at]
    assert normal(encoded.body) == normal(wanted)
    assert encoded.operation in (name, "embeddings")
    assert encoded.model_in_path is (target == "gemini")
    given = EmbedAnswer("m", ([0.5, -0.25], [1.0, 2.0])[: at + 1], Usage(input=7))
    answered = sink.decode_answer(
        sink.encode_answer(given, sink.decode_request(wanted, "m", name), Context())
    )
    final = source.decode_answer(source.encode_answer(answered, request, context))
    assert [list(v) for v in final.vectors] == [list(v) for v in given.vectors]
    assert final.usage.input == 7


def normal(body: Mapping[str, Any]) -> Any:
    """A list with one text is that text; a purpose is known to some only."""
    whole = {name: value for name, value in body.items() if name not in ("input_type", "taskType")}
    if isinstance(whole.get("input"), str):
        whole["input"] = [whole["input"]]
    for call in whole.get("requests", []):
        call.pop("taskType", None)
    return whole


UNTRANSLATABLE: list[tuple[str, dict[str, Any], str]] = [
    ("openai_embeddings", {"input": []}, "input"),
    ("openai_embeddings", {"input": [1, "a"]}, "input"),
    ("openai_embeddings", {}, "input"),
    ("openai_embeddings", {"input": "a", "encoding_format": "hex"}, "encoding_format"),
    ("openai_embeddings", {"input": "a", "output_dtype": "int8"}, "output_dtype"),
    ("cohere", {"texts": ["a"], "embedding_types": ["int8"]}, "embedding_types"),
    ("cohere", {"texts": ["a"], "embedding_types": ["float", "binary"]}, "embedding_types"),
    ("cohere", {"images": ["data:"]}, "images"),
    ("cohere", {"inputs": [{"content": [{"type": "image_url"}]}]}, "inputs"),
    ("cohere", {}, "texts"),
    ("gemini", {"requests": []}, "requests"),
    ("gemini", {"instances": []}, "instances"),
    ("gemini", {"instances": [{"image": {}}]}, "content.parts"),
    ("gemini", {"content": {"parts": [{"inlineData": {}}, {"text": "a"}]}}, "content.parts"),
    (
        "gemini",
        {
            "requests": [
                {"content": {"parts": [{"text": "a"}]}, "taskType": "CLUSTERING"},
                {"content": {"parts": [{"text": "a"}]}},
            ]
        },
        "requests",
    ),
    ("ollama", {}, "input"),
    ("ollama", {"prompt": 1}, "prompt"),
]


@pytest.mark.parametrize(("name", "body", "field"), UNTRANSLATABLE)
def test_what_cannot_be_translated_says_where(name: str, body: dict[str, Any], field: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        embeddings.get(name).decode_request(body, "m")
    assert caught.value.field == field


@pytest.mark.parametrize("target", [name for name in NAMES if name != "openai_embeddings"])
def test_tokens_are_for_openai_only(target: str) -> None:
    for tokens in ([1, 2, 3], [[1, 2], [3]]):
        request = openai_embeddings.decode_request({"model": "m", "input": tokens})
        assert openai_embeddings.encode_request(request, Context()).body["input"] == tokens
        with pytest.raises(Untranslatable, match="tokens"):
            embeddings.get(target).encode_request(request, Context())


def test_one_content_at_a_time() -> None:
    with pytest.raises(Untranslatable):
        gemini.encode_request(TWO, Context(), "embedContent")
    with pytest.raises(Untranslatable):
        ollama.encode_request(TWO, Context(), "embeddings")


def test_unknown_shapes() -> None:
    with pytest.raises(ConfigError, match="voyage"):
        embeddings.get("voyage")


PURPOSES = [
    ("query", "RETRIEVAL_QUERY", "search_query", 0),
    ("document", "RETRIEVAL_DOCUMENT", "search_document", 0),
    ("classification", "CLASSIFICATION", "classification", 0),
    ("clustering", "CLUSTERING", "clustering", 0),
    ("similarity", "SEMANTIC_SIMILARITY", "clustering", 1),
    ("question", "QUESTION_ANSWERING", "search_query", 1),
    ("fact", "FACT_VERIFICATION", "search_query", 1),
    ("code", "CODE_RETRIEVAL_QUERY", "search_query", 1),
]


@pytest.mark.parametrize(("purpose", "task", "input_type", "warned"), PURPOSES)
def test_purposes(purpose: Any, task: str, input_type: str, warned: int) -> None:
    request = EmbedRequest("m", ("a",), purpose=purpose)
    context = Context()
    assert gemini.encode_request(request, context).body["taskType"] == task
    assert gemini.decode_request({"content": {"parts": [{"text": "a"}]}, "taskType": task}).purpose == purpose
    assert cohere.encode_request(request, context).body["input_type"] == input_type
    assert len(context.warnings) == warned
    for shape in (ollama, openai_embeddings):
        context = Context()
        shape.encode_request(request, context)
        assert [warning.partition(":")[0] for warning in context.warnings] == ["purpose"]


def test_cohere_must_be_told_what_for() -> None:
    context = Context()
    assert cohere.encode_request(TWO, context).body["input_type"] == "search_document"
    assert len(context.warnings) == 1


TRUNCATING = [
    (cohere, {"texts": ["a"], "truncate": "NONE"}, False),
    (cohere, {"texts": ["a"], "truncate": "END"}, True),
    (cohere, {"texts": ["a"], "truncate": "START"}, True),
    (ollama, {"input": "a", "truncate": False}, False),
    (openai_embeddings, {"input": "a", "truncation": False}, False),
    (gemini, {"instances": [{"content": "a"}], "parameters": {"autoTruncate": False}}, False),
]


@pytest.mark.parametrize(("shape", "body", "truncate"), TRUNCATING)
def test_truncation(shape: Any, body: dict[str, Any], truncate: bool) -> None:
    request = shape.decode_request(body, "m")
    assert request.truncate is truncate
    again = shape.encode_request(request, Context(), request.operation).body
    for name in ("truncate", "truncation", "parameters"):
        assert again.get(name) == body.get(name)
    assert cohere.encode_request(request, Context()).body["truncate"] in ("NONE", "END", "START")


def test_predict_and_its_statistics() -> None:
    body = {
        "instances": [{"content": "a", "task_type": "RETRIEVAL_DOCUMENT", "title": "t"}],
        "parameters": {"outputDimensionality": 4},
    }
    request = gemini.decode_request(body, "text-embedding-005", "predict")
    assert request == EmbedRequest(
        "text-embedding-005", ("a",), dimensions=4, purpose="document", title="t", operation="predict"
    )
    assert gemini.encode_request(request, Context(), "predict").body == body
    answer = EmbedAnswer("", ([1.0],), Usage(input=3))
    written = gemini.encode_answer(answer, request, Context())
    assert written == {
        "predictions": [
            {"embeddings": {"values": [1.0], "statistics": {"token_count": 3, "truncated": False}}}
        ]
    }
    assert gemini.decode_answer({"predictions": [{"embeddings": {"values": [1.0]}}]}).vectors == ([1.0],)
    two = EmbedAnswer("", ((1.0,), (2.0,)), Usage(input=3))
    assert "statistics" not in str(gemini.encode_answer(two, request, Context()))


VERTEX = "/publishers/google/models/gemini-embedding-2:embedContent"


def test_vertex_has_settings_in_a_config_and_takes_one_content() -> None:
    asked = EmbedRequest("gemini-embedding-2", ("a",), dimensions=4, purpose="query", truncate=False)
    body = gemini.encode_request(asked, context := Context(), VERTEX).body
    assert body == {
        "content": {"parts": [{"text": "a"}]},
        "embedContentConfig": {
            "taskType": "RETRIEVAL_QUERY",
            "outputDimensionality": 4,
            "autoTruncate": False,
        },
    }
    assert not context.warnings
    again = gemini.decode_request(body, "gemini-embedding-2", VERTEX)
    assert (again.inputs, again.dimensions, again.purpose, again.truncate) == (("a",), 4, "query", False)
    assert gemini.encode_request(EmbedRequest("m", ("a",)), Context(), VERTEX).body == {
        "content": {"parts": [{"text": "a"}]}
    }
    with pytest.raises(Untranslatable, match="one content at a time"):
        gemini.encode_request(EmbedRequest("m", ("a", "b")), Context(), VERTEX)


def test_the_older_endpoints() -> None:
    request = ollama.decode_request(
        {"model": "m", "prompt": "a", "options": {"num_ctx": 1}, "keep_alive": "5m"}
    )
    assert request.operation == "embeddings"
    context = Context()
    assert ollama.encode_request(request, context, "embeddings").body["prompt"] == "a"
    assert ollama.encode_request(request, context).body["options"] == {"num_ctx": 1}
    assert context.warnings == []
    openai_embeddings.encode_request(request, context)
    assert context.warnings == ["options: of ollama, not known to openai_embeddings"]
    answer = EmbedAnswer("m", ([1.0, 2.0],), Usage(input=1))
    assert ollama.encode_answer(answer, request, context) == {"embedding": [1.0, 2.0]}
    assert ollama.decode_answer({"embedding": [1.0, 2.0]}).vectors == ([1.0, 2.0],)
    first = cohere.decode_request({"model": "m", "texts": ["a"]}, "", "/v1/embed")
    written = cohere.encode_answer(answer, first, context)
    assert (written["embeddings"], written["response_type"]) == ([[1.0, 2.0]], "embeddings_floats")
    typed = cohere.decode_request({"model": "m", "texts": ["a"], "embedding_types": ["float", "base64"]})
    assert set(cohere.encode_answer(answer, typed, context)["embeddings"]) == {"float", "base64"}
    context = Context()
    assert (
        "output_dimension"
        not in cohere.encode_request(EmbedRequest("m", ("a",), dimensions=2), context, "v1").body
    )
    assert len(context.warnings) == 2


def test_no_made_up_usage() -> None:
    answer = EmbedAnswer("m", ([1.0],))
    for name in NAMES:
        shape = embeddings.get(name)
        request = shape.decode_request(ASKED[name][0][0], "m", ASKED[name][0][1])
        assert shape.decode_answer(shape.encode_answer(answer, request, Context())).usage.input is None
        counted = shape.encode_answer(answer, request, Context(input_estimate=5))
        assert shape.decode_answer(counted).usage.input == 5


def test_order_and_broken_vectors() -> None:
    data = [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": packed([0.5])}]
    assert openai_embeddings.decode_answer({"data": data}).vectors == ([0.5], [2.0])
    odd = [{"embedding": value} for value in ("!", [1, "x"], None, [1])]
    assert openai_embeddings.decode_answer({"data": odd}).vectors == ((), (), (), [1])


# The official SDKs as oracle.


def answering(body: Mapping[str, Any]) -> httpx2.MockTransport:
    return httpx2.MockTransport(lambda request: httpx2.Response(200, json=json.loads(orjson.dumps(body))))


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_openais_sdk_reads_the_answer(encoding: Any) -> None:
    from openai import OpenAI
    from openai.types import CreateEmbeddingResponse

    answer = EmbedAnswer("m", ([0.5, -0.25], [1.0, 2.0]), Usage(input=7))
    request = openai_embeddings.decode_request(
        {"model": "m", "input": ["a", "b"], "encoding_format": encoding}
    )
    body = openai_embeddings.encode_answer(answer, request, Context())
    if encoding == "float":
        CreateEmbeddingResponse.model_validate(json.loads(orjson.dumps(body)), strict=True)
    with httpx2.Client(transport=answering(body)) as http, OpenAI(api_key="k", http_client=http) as client:
        given = client.embeddings.create(model="m", input=["a", "b"], encoding_format=encoding)
    assert given.usage.prompt_tokens == 7
    if encoding == "float":
        assert [item.embedding for item in given.data] == [[0.5, -0.25], [1.0, 2.0]]
    else:
        found = [array("f", b64decode(str(item.embedding))).tolist() for item in given.data]
        assert found == [[0.5, -0.25], [1.0, 2.0]]


@pytest.mark.parametrize("vertex", [False, True])
def test_googles_sdk_writes_what_we_read_and_reads_what_we_write(vertex: bool) -> None:
    from google.genai.models import (
        _EmbedContentResponse_from_mldev,
        _EmbedContentResponse_from_vertex,
    )
    from google.genai.types import EmbedContentResponse

    operation = "predict" if vertex else "batchEmbedContents"
    read = _EmbedContentResponse_from_vertex if vertex else _EmbedContentResponse_from_mldev
    request = EmbedRequest("m", ("a", "b"), operation=operation)
    answer = EmbedAnswer("", ([0.5], [1.0]), Usage(input=7))
    body = json.loads(orjson.dumps(gemini.encode_answer(answer, request, Context())))
    given = EmbedContentResponse.model_validate(read(body))
    assert [item.values for item in given.embeddings or []] == [[0.5], [1.0]]


def test_googles_sdk_asks_in_a_shape_that_we_know() -> None:
    from google import genai
    from google.genai import types

    seen: list[tuple[str, Any]] = []

    def answer(request: Any) -> Any:
        seen.append((request.url.path, json.loads(request.content)))
        return httpx.Response(200, json={"embeddings": [{"values": [1.0]}, {"values": [2.0]}]})

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        options = types.HttpOptions(httpx_client=http)
        client = genai.Client(api_key="k", http_options=options)
        config = types.EmbedContentConfig(task_type="RETRIEVAL_QUERY", output_dimensionality=4)
        given = client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"], config=config)
        client.close()
    ((path, body),) = seen
    request = gemini.decode_request(body, "gemini-embedding-001", path.rpartition(":")[2])
    assert (request.inputs, request.purpose, request.dimensions) == (("a", "b"), "query", 4)
    assert [item.values for item in given.embeddings or []] == [[1.0], [2.0]]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = st.sampled_from(
    ["data", "embeddings", "embedding", "predictions", "usage", "meta", "id", "usageMetadata"]
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(MEMBERS, ANYTHING | st.dictionaries(MEMBERS, ANYTHING), max_size=3))
def test_answers_are_read_whatever_they_are(body: dict[str, Any]) -> None:
    for name in NAMES:
        shape = embeddings.get(name)
        request = shape.decode_request(ASKED[name][0][0], "m", ASKED[name][0][1])
        shape.encode_answer(shape.decode_answer(body), request, Context())
