"""A call for embeddings between two shapes: request, answer, errors, and answers that are none."""

from typing import Any

import orjson
import pytest

from llm_intercept.wire import embeddings
from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.embeddings.translation import EmbeddingTranslation, alike

CLIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai_embeddings": ("/v1/embeddings", {"model": "m", "input": ["a", "b"]}),
    "gemini": (
        "/v1beta/models/m%3AbatchEmbedContents",
        {"requests": [{"content": {"parts": [{"text": t}]}} for t in "ab"]},
    ),
    "cohere": ("/v1/embed", {"model": "m", "texts": ["a", "b"], "input_type": "search_query"}),
    "ollama": ("/api/embed", {"model": "m", "input": ["a", "b"]}),
}
SERVED = {
    "openai_embeddings": "/v1/embeddings",
    "gemini": "/v1beta/models/target:batchEmbedContents",
    "cohere": "/v2/embed",
    "ollama": "/api/embed",
}
ANSWERS: dict[str, Any] = {
    "openai_embeddings": {
        "data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}],
        "usage": {"prompt_tokens": 5},
    },
    "gemini": {
        "embeddings": [{"values": [1.0]}, {"values": [2.0]}],
        "usageMetadata": {"promptTokenCount": 5},
    },
    "cohere": {"embeddings": {"float": [[1.0], [2.0]]}, "meta": {"billed_units": {"input_tokens": 5}}},
    "ollama": {"embeddings": [[1.0], [2.0]], "prompt_eval_count": 5},
}
PAIRS = [(c, u) for c in embeddings.NAMES for u in embeddings.NAMES]


def translation(client: str, upstream: str) -> tuple[EmbeddingTranslation, Any]:
    made = EmbeddingTranslation(client, upstream, Context(requested_model="m"))
    path, body = CLIENTS[client]
    return made, orjson.loads(made.write(orjson.dumps(body), path, "target", SERVED[upstream]))


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_there_and_back(client: str, upstream: str) -> None:
    made, sent = translation(client, upstream)
    asked = embeddings.get(upstream).decode_request(sent, "", SERVED[upstream])
    assert (asked.model, asked.inputs) == ("target", ("a", "b"))
    raw = orjson.dumps(ANSWERS[upstream])
    relay = made.relay("application/json")
    assert [relay.feed(raw[i : i + 1]) for i in range(len(raw))] == [[]] * len(raw)
    (given,) = relay.close()
    assert given == made.answer(raw, "application/json")
    answer = embeddings.get(client).decode_answer(orjson.loads(given))
    assert [list(v) for v in answer.vectors] == [[1.0], [2.0]]
    assert answer.usage.input == 5


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
def test_errors_keep_status_words_and_pause(client: str, upstream: str) -> None:
    made, _ = translation(client, upstream)
    for status in (400, 401, 404, 429, 503):
        reply = made.error(
            status, {"retry-after": "7"}, b'{"error":{"message":"too much"},"message":"too much"}', "id"
        )
        assert reply.status == status
        assert b"too much" in reply.body
    assert reply.status == 503


def test_a_rate_limit_says_when_to_come_back() -> None:
    for client in embeddings.NAMES:
        reply = translation(client, "cohere")[0].error(429, {"retry-after": "7"}, b"{}", "id")
        said = {name.lower(): value for name, value in reply.headers}
        assert said["retry-after"] == "7", client


@pytest.mark.parametrize("body", [b"", b"oops", b"{}", b'{"embeddings":{"float":[[1.0]]}}', b"[1]"])
@pytest.mark.parametrize("client", embeddings.NAMES)
def test_an_answer_without_embeddings_is_an_error(client: str, body: bytes) -> None:
    made, _ = translation(client, "cohere")
    assert b"no embeddings" in made.answer(body, "application/json")
    assert made.context.warnings[-1].startswith("answer: ")


def test_an_answer_that_breaks_off() -> None:
    relay = translation("openai_embeddings", "cohere")[0].relay("application/json")
    relay.feed(b'{"emb')
    (body,) = relay.abort("gone")
    assert orjson.loads(body)["error"]["message"]
    assert (relay.feed(b"x"), relay.close(), relay.abort("again")) == ([], [], [])


def test_one_input_stays_one_for_gemini() -> None:
    made = EmbeddingTranslation("gemini", "openai_embeddings", Context(requested_model="m"))
    asked = {"content": {"parts": [{"text": "a"}]}}
    made.write(orjson.dumps(asked), "/v1beta/models/m:embedContent", "target", "/v1/embeddings")
    answer = made.answer(b'{"data":[{"index":0,"embedding":[1.0]}]}', "application/json")
    assert orjson.loads(answer)["embedding"] == {"values": [1.0]}


def test_openai_s_client_gets_vertex_s_newest_embeddings() -> None:
    """The settings stand in a config, and there is one input to a call."""
    one = EmbeddingTranslation("openai_embeddings", "gemini", Context())
    path = "/v1/projects/p/locations/global/publishers/google/models/gemini-embedding-2:embedContent"
    asked = {"model": "e", "input": "a", "dimensions": 2}
    written = one.write(orjson.dumps(asked), "/v1/embeddings", "gemini-embedding-2", path)
    assert orjson.loads(written) == {
        "content": {"parts": [{"text": "a"}]},
        "embedContentConfig": {"outputDimensionality": 2},
    }
    answer = {
        "embedding": {"values": [0.5, 1.0]},
        "usageMetadata": {"promptTokenCount": 3},
        "truncated": False,
    }
    given = orjson.loads(one.answer(orjson.dumps(answer), "application/json"))
    assert given["data"][0]["embedding"] == [0.5, 1.0]
    assert given["usage"]["prompt_tokens"] == 3


def test_what_cannot_be_said_is_refused() -> None:
    made = EmbeddingTranslation("openai_embeddings", "gemini", Context(requested_model="m"))
    with pytest.raises(Untranslatable, match="tokens"):
        made.write(b'{"input":[1,2]}', "/v1/embeddings", "target", SERVED["gemini"])


@pytest.mark.parametrize(
    ("dialect", "client", "upstream", "expected"),
    [
        ("openai_embeddings", "/v1/embeddings", "/openai/v1/embeddings", True),
        ("cohere", "/v2/embed", "/v2/embed", True),
        ("cohere", "/v1/embed", "/v2/embed", False),
        ("ollama", "/api/embeddings", "/api/embed", False),
        ("gemini", "/v1beta/models/a:embedContent", "/v1beta/models/b:batchEmbedContents", False),
    ],
)
def test_bodies_that_fit_both_endpoints(dialect: str, client: str, upstream: str, expected: bool) -> None:
    assert alike(dialect, client, dialect, upstream) is expected
    assert not alike("ollama", "/api/embed", "cohere", "/api/embed")
