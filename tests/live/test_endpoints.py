"""Lists of models, token counts and embeddings by the official SDKs: what leads elsewhere, what ends here."""

import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from anthropic import Anthropic
from google import genai
from google.genai import errors
from openai import BadRequestError, OpenAI

from llm_intercept.sim.tokens import count
from llm_intercept.sim.vectors import vector
from tests import google_http
from tests.live.stack import PROVIDERS, Stack

CONFIG = """
[cors]
origins = ["http://page.example"]

[models.aliases]
to-openai = "openai/text-embedding-3-small"
to-mistral = "mistral/mistral-embed"
to-gemini = "gemini/gemini-embedding-001"
to-vertex = "vertex/text-embedding-005"
to-cohere = "cohere/embed-v4.0"
to-ollama = "ollama/nomic-embed-text"
limited = "openai/sim-error-429"
to-anthropic = "anthropic/claude-sonnet-5"
nowhere = "deepseek/deepseek-chat"
claude-mini = "openai/gpt-4o-mini"
"gpt-claude" = "anthropic/claude-opus-4-8"
"flash" = "gemini/gemini-2.5-flash"

[models.tiers.big]
model = "openai/gpt-5"

[models.projects.plain]
"""
KEYS = ("openai", "gemini", "mistral", "cohere", "anthropic")
TEXTS = ["hello there", "a second text, somewhat longer than the first"]


@dataclass(frozen=True)
class Home:
    """The stack and what a client needs to reach it."""

    stack: Stack
    token: str
    plain: str
    bundle: str
    opened: list[httpx.Client] = field(default_factory=list)

    def http(self, entry: str, library: Any = httpx) -> Any:
        if entry == "base_url":
            client = library.Client(trust_env=False)
        else:
            context = ssl.create_default_context(cafile=self.bundle)
            client = library.Client(proxy=self.stack.url, verify=context, trust_env=False)
        self.opened.append(client)
        return client

    def openai(self, entry: str, token: str = "") -> OpenAI:
        base = f"{self.stack.url}/v1" if entry == "base_url" else "https://api.openai.com/v1"
        return OpenAI(api_key=token or self.token, base_url=base, max_retries=0, http_client=self.http(entry))

    def anthropic(self, entry: str, token: str = "") -> Anthropic:
        base = self.stack.url if entry == "base_url" else "https://api.anthropic.com"
        return Anthropic(
            api_key=token or self.token, base_url=base, max_retries=0, http_client=self.http(entry)
        )

    def gemini(self, entry: str) -> genai.Client:
        options = {"base_url": self.stack.url} if entry == "base_url" else {}
        return genai.Client(
            api_key=self.token, http_options={**options, "httpx_client": self.http(entry, google_http.httpx)}
        )

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        headers = {"authorization": f"Bearer {self.token}"}
        with httpx.Client(trust_env=False, timeout=30) as client:
            answer = client.post(self.stack.url + path, json=body, headers=headers)
            return answer.status_code, answer.json()


@pytest.fixture
def home(everything: Home) -> Iterator[Home]:
    yield everything
    while everything.opened:
        everything.opened.pop().close()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    path: Path = tmp_path_factory.mktemp("endpoints")
    stack = Stack(path, CONFIG)
    stack.write_config({name: stack.sim for name in (*PROVIDERS, "ollama")})
    try:
        stack.start_sim()
        stack.cli("init")
        for name in KEYS:
            stack.cli("key", "add", name, "--key-stdin", stdin=f"real-{name}-key-0123456789")
        project = f"{stack.sim}/v1/projects/p/locations/l"
        stack.cli("key", "add", "vertex", "--key-stdin", "--base-url", project, stdin="ya29.token-of-vertex")
        stack.start_proxy()
        yield Home(stack, _token(stack, "demo"), _token(stack, "plain"), stack.cli("ca", "path").strip())
    finally:
        stack.stop()


def _token(stack: Stack, project: str) -> str:
    stack.cli("project", "create", project)
    made = json.loads(stack.cli("token", "create", "--project", project, "--name", "sdk", "--json"))
    return str(made["token"])


# embeddings

TARGETS = {
    "to-openai": ("openai", "text-embedding-3-small"),
    "to-mistral": ("mistral", "mistral-embed"),
    "to-gemini": ("gemini", "gemini-embedding-001"),
    "to-vertex": ("vertex", "text-embedding-005"),
    "to-cohere": ("cohere", "embed-v4.0"),
    "to-ollama": ("ollama", "nomic-embed-text"),
}
TOKENS = sum(map(count, TEXTS))


def expected(alias: str, dimensions: int | None = None) -> list[Any]:
    """What the simulator gives for these texts, asked natively."""
    return [pytest.approx(vector(text, TARGETS[alias][1], dimensions), abs=1e-6) for text in TEXTS]


def check_row(home: Home, since: int, alias: str, dialect: str) -> dict[str, Any]:
    (row,) = home.stack.rows(1, since)
    provider, model = TARGETS[alias]
    assert (row["provider"], row["operation"], row["dialect"]) == (provider, "embeddings", dialect)
    assert (row["model_requested"], row["model"]) == (alias, model)
    assert (row["outcome"], row["status"], row["attempts"]) == ("ok", 200, 1)
    assert (row["usage_source"], row["input_tokens"]) == ("provider", TOKENS)
    assert f"model: {alias} -> {model}" in row["changes"]
    return row


@pytest.mark.parametrize("entry", ["connect", "base_url"])
@pytest.mark.parametrize("alias", TARGETS)
def test_openai_embeds_anywhere(home: Home, alias: str, entry: str) -> None:
    since = home.stack.last_id()
    answer = home.openai(entry).embeddings.create(model=alias, input=TEXTS)
    assert [item.embedding for item in answer.data] == expected(alias)
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (TOKENS, TOKENS)
    row = check_row(home, since, alias, "openai_embeddings")
    if alias == "to-vertex":
        assert "dialect: openai_embeddings -> gemini" in row["changes"]
        assert answer.model == alias
    else:  # every other one has an endpoint in OpenAI's shape
        assert "dialect" not in row["changes"]
        assert answer.model == TARGETS[alias][1]
    if alias == "to-openai":
        assert row["priced"] == 1
        assert row["cost_nanos"] > 0


@pytest.mark.parametrize("entry", ["connect", "base_url"])
@pytest.mark.parametrize("alias", TARGETS)
def test_gemini_embeds_anywhere(home: Home, alias: str, entry: str) -> None:
    since = home.stack.last_id()
    answer = home.gemini(entry).models.embed_content(model=alias, contents=list(TEXTS))
    assert [item.values for item in answer.embeddings or []] == expected(alias)
    check_row(home, since, alias, "gemini")


@pytest.mark.parametrize("alias", TARGETS)
@pytest.mark.parametrize(
    ("path", "body", "dialect"),
    [
        (
            "/cohere/v2/embed",
            {"texts": TEXTS, "embedding_types": ["float"], "input_type": "search_query"},
            "cohere",
        ),
        ("/cohere/v1/embed", {"texts": TEXTS, "input_type": "search_query"}, "cohere"),
        ("/api/embed", {"input": TEXTS}, "ollama"),
    ],
)
def test_cohere_and_ollama_embed_anywhere(
    home: Home, alias: str, path: str, body: dict[str, Any], dialect: str
) -> None:
    since = home.stack.last_id()
    status, answer = home.post(path, {"model": alias, **body})
    assert status == 200, answer
    made = answer["embeddings"]
    assert (made["float"] if isinstance(made, dict) else made) == expected(alias)
    counted = answer.get("prompt_eval_count") or answer["meta"]["billed_units"]["input_tokens"]
    assert counted == TOKENS
    check_row(home, since, alias, dialect)


def test_dimensions_travel(home: Home) -> None:
    for alias in ("to-openai", "to-gemini", "to-cohere", "to-ollama", "to-vertex"):
        answer = home.openai("base_url").embeddings.create(model=alias, input=TEXTS, dimensions=64)
        assert [item.embedding for item in answer.data] == expected(alias, 64)


def test_errors_of_embeddings_are_the_clients_own(home: Home) -> None:
    since = home.stack.last_id()
    with pytest.raises(BadRequestError, match="tokens"):
        home.openai("base_url").embeddings.create(model="to-vertex", input=[1, 2, 3])
    (row,) = home.stack.rows(1, since)
    assert (row["outcome"], row["attempts"], row["error_type"]) == ("refused", 0, "untranslatable")
    assert "operation_not_served" in home.post("/v1/embeddings", {"model": "to-anthropic", "input": "x"})[1][
        "error"
    ].get("code", "")


def test_an_error_of_another_provider_reads_as_the_client_s_own(home: Home) -> None:
    since = home.stack.last_id()
    with pytest.raises(errors.ClientError, match="RESOURCE_EXHAUSTED") as raised:
        home.gemini("base_url").models.embed_content(model="limited", contents="hello")
    assert raised.value.code == 429
    (row,) = home.stack.rows(1, since)
    assert (row["provider"], row["outcome"], row["status"]) == ("openai", "client_error", 429)
    assert "rate" in row["error_type"]


# counts

TURN: Any = [{"role": "user", "content": "Say hello to the proxy, please."}]
TOOL: Any = {
    "name": "get_weather",
    "description": "The weather of a city, today or on another day.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}


def check_count(home: Home, since: int, dialect: str) -> None:
    (row,) = home.stack.rows(1, since)
    assert (row["operation"], row["dialect"], row["outcome"]) == ("count_tokens", dialect, "ok")
    assert (row["status"], row["attempts"], row["usage_source"]) == (200, 0, "")
    assert (row["input_tokens"], row["output_tokens"], row["cost_nanos"]) == (None, None, None)
    assert "estimated here" in row["warnings"]


@pytest.mark.parametrize("entry", ["connect", "base_url"])
@pytest.mark.parametrize("model", ["claude-mini", "claude-opus-4-8", "flash"])
def test_counts_of_models_elsewhere_are_estimated(home: Home, model: str, entry: str) -> None:
    since = home.stack.last_id()
    ask = home.anthropic(entry).messages.count_tokens
    plain = ask(model=model, messages=TURN).input_tokens
    check_count(home, since, "anthropic")
    assert plain == ask(model=model, messages=TURN).input_tokens
    assert 8 <= plain <= 25
    system = ask(model=model, messages=TURN, system="Be short and kind.").input_tokens
    tools = ask(model=model, messages=TURN, system="Be short and kind.", tools=[TOOL]).input_tokens
    seen: Any = [{"role": "user", "content": [*({"type": "text", "text": TURN[0]["content"]},), IMAGE]}]
    image = ask(model=model, messages=seen, system="Be short and kind.", tools=[TOOL]).input_tokens
    assert plain < system < tools < image


def test_a_count_stays_with_a_provider_that_answers_it(home: Home) -> None:
    since = home.stack.last_id()
    assert home.anthropic("base_url").messages.count_tokens(model="to-anthropic", messages=TURN).input_tokens
    (row,) = home.stack.rows(1, since)
    assert (row["provider"], row["model"], row["attempts"], row["warnings"]) == (
        "anthropic",
        "claude-sonnet-5",
        1,
        "",
    )
    assert home.stack.received()[-1]["path"].startswith("/v1/messages/count_tokens")


def test_gemini_counts(home: Home) -> None:
    models = home.gemini("base_url").models
    since = home.stack.last_id()
    short = models.count_tokens(model="gpt-claude", contents="hello there").total_tokens
    check_count(home, since, "gemini")
    longer = models.count_tokens(model="gpt-claude", contents="hello there, and more").total_tokens
    assert short
    assert longer
    assert 0 < short < longer
    since = home.stack.last_id()
    assert models.count_tokens(model="flash", contents="hello there").total_tokens
    (row,) = home.stack.rows(1, since)
    assert (row["model"], row["attempts"]) == ("gemini-2.5-flash", 1)


def test_responses_count(home: Home) -> None:
    ask = home.openai("base_url").responses.input_tokens.count
    since = home.stack.last_id()
    found = ask(model="gpt-claude", input="hello there", instructions="be short")
    assert found.object == "response.input_tokens"
    check_count(home, since, "openai_responses")
    assert found.input_tokens > ask(model="gpt-claude", input="hello there").input_tokens > 0


def test_converse_counts(home: Home) -> None:
    since = home.stack.last_id()
    asked = {"input": {"converse": {"messages": [{"role": "user", "content": [{"text": "hello there"}]}]}}}
    status, answer = home.post("/model/claude-mini/count-tokens", asked)
    assert status == 200
    assert answer["inputTokens"] > 0
    check_count(home, since, "bedrock_converse")


# lists


@pytest.mark.parametrize("entry", ["connect", "base_url"])
def test_openai_lists(home: Home, entry: str) -> None:
    since = home.stack.last_id()
    client = home.openai(entry)
    listed = {model.id: model for model in client.models.list()}
    assert {"to-gemini", "to-ollama", "opus", "sonnet", "gpt-4o", "anthropic/claude-sonnet-5"} <= set(listed)
    assert not {"nowhere", "deepseek/deepseek-chat", "groq/openai/gpt-oss-120b", "haiku"} & set(listed)
    assert (listed["opus"].owned_by, listed["gpt-4o"].owned_by) == ("openai", "openai")
    assert {model.object for model in listed.values()} == {"model"}
    assert client.models.retrieve("claude-mini").owned_by == "openai"
    assert client.models.retrieve("anthropic/claude-sonnet-5").owned_by == "anthropic"
    client.models.list()
    home.openai("base_url").embeddings.create(model="to-openai", input="mark")
    assert [row["operation"] for row in home.stack.rows(1, since)] == ["embeddings"]


@pytest.mark.parametrize("entry", ["connect", "base_url"])
def test_anthropic_lists(home: Home, entry: str) -> None:
    client = home.anthropic(entry)
    whole = client.models.list(limit=1000)
    assert whole.has_more is False
    ids = [model.id for model in whole.data]
    assert len(ids) == len(set(ids))
    assert {"claude-mini", "claude-opus-4-8", "claude-sonnet-5", "openai/gpt-4o"} <= set(ids)
    assert "nowhere" not in ids
    paged = [model.id for model in client.models.list(limit=7)]
    assert paged == ids
    before = client.models.list(limit=3, before_id=ids[5])
    assert [model.id for model in before.data] == ids[2:5]
    one = client.models.retrieve("claude-mini")
    assert (one.display_name, one.type) == ("claude-mini (openai/gpt-4o-mini)", "model")
    assert one.created_at.year == 1970
    assert one.max_input_tokens == 128_000


@pytest.mark.parametrize("entry", ["connect", "base_url"])
def test_gemini_lists(home: Home, entry: str) -> None:
    models = home.gemini(entry).models
    listed = {model.name: model for model in models.list(config={"page_size": 10})}
    assert {"models/to-openai", "models/gpt-claude", "models/gemini-2.5-flash", "models/opus"} <= set(listed)
    assert not [name for name in listed if name and name.count("/") > 1]
    assert listed["models/gpt-claude"].supported_actions == ["generateContent", "countTokens"]
    assert "embedContent" in (listed["models/to-openai"].supported_actions or [])
    assert models.get(model="gpt-claude").input_token_limit


def test_a_list_without_a_key_of_the_provider(home: Home) -> None:
    """No key of DeepSeek is stored: what a token can ask for there is elsewhere."""
    status, answer = _get(home, "/deepseek/models", {"authorization": f"Bearer {home.token}"})
    assert status == 200
    ids = {model["id"] for model in json.loads(answer)["data"]}
    assert "openai/gpt-4o" in ids
    assert not {"deepseek-chat", "nowhere"} & ids
    status, answer = _get(home, "/deepseek/models/deepseek-chat", {"authorization": f"Bearer {home.token}"})
    assert (status, json.loads(answer)["error"]["code"]) == (404, "model_not_found")


def test_lists_need_a_valid_token(home: Home) -> None:
    status, answer = _get(home, "/v1/models", {"authorization": "Bearer lli_" + "x" * 40})
    assert status == 401, answer


def test_unknown_cursors_and_models(home: Home) -> None:
    headers = {"x-api-key": home.token, "anthropic-version": "2023-06-01"}
    status, answer = _get(home, "/v1/models?after_id=none", headers)
    assert (status, json.loads(answer)["error"]["type"]) == (400, "invalid_request_error")


def test_a_provider_is_asked_for_what_is_not_known_here(home: Home) -> None:
    """The simulator knows any model by name."""
    assert home.anthropic("base_url").models.retrieve("claude-of-tomorrow").id == "claude-of-tomorrow"


def test_bedrock_s_own_lists_pass(home: Home) -> None:
    """What has another shape is its provider's."""
    since = home.stack.last_id()
    _get(home, "/api/tags", {})
    assert [row["provider"] for row in home.stack.rows(1, since)] == ["ollama"]


# pages in a browser


def _get(home: Home, path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, bytes]:
    status, _, body = exchange(home, method, path, headers)
    return status, body


def exchange(
    home: Home, method: str, path: str, headers: dict[str, str]
) -> tuple[int, http.client.HTTPMessage, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", home.stack.port, timeout=20)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


PREFLIGHT = {
    "origin": "http://page.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}


def test_preflights_of_known_pages(home: Home) -> None:
    status, headers, body = exchange(home, "OPTIONS", "/v1/chat/completions", PREFLIGHT)
    assert (status, body) == (204, b"")
    assert headers["access-control-allow-origin"] == "http://page.example"
    assert headers["access-control-allow-headers"] == "authorization,content-type"
    assert "POST" in headers["access-control-allow-methods"]


def test_answers_to_known_pages(home: Home) -> None:
    for path, status in (("/v1/models", 200), ("/v1/files", 200)):
        token = {"authorization": f"Bearer {home.token}", "origin": "http://page.example"}
        found, headers, _ = exchange(home, "GET", path, token)
        assert (found, headers["access-control-allow-origin"]) == (status, "http://page.example")
        assert "Origin" in headers["vary"]
        refused, headers, _ = exchange(home, "GET", path, token | {"authorization": "Bearer lli_wrong"})
        assert (refused, headers["access-control-allow-origin"]) == (401, "http://page.example")


def test_other_pages_get_nothing(home: Home) -> None:
    origin = {"origin": "http://other.example"}
    token = {"authorization": f"Bearer {home.token}"}
    assert exchange(home, "GET", "/v1/models", token | origin)[1]["access-control-allow-origin"] is None
    status, headers, _ = exchange(home, "OPTIONS", "/v1/chat/completions", PREFLIGHT | origin | token)
    assert (status, headers["access-control-allow-origin"]) != (204, "http://other.example")
    asked = len(home.stack.received())
    status, headers, _ = exchange(home, "OPTIONS", "/v1/chat/completions", PREFLIGHT | origin)
    assert (status, headers["access-control-allow-origin"]) == (204, None)
    assert len(home.stack.received()) == asked
    assert exchange(home, "OPTIONS", "/nothing", PREFLIGHT)[0] == 404


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/chat/completions", "POST, OPTIONS"),
        ("/v1/models", "GET, DELETE, OPTIONS"),
        ("/openai/v1/nothing/known", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    ],
)
def test_options_without_a_credential_are_no_call(home: Home, path: str, methods: str) -> None:
    asked, since = len(home.stack.received()), home.stack.last_id()
    status, headers, body = exchange(home, "OPTIONS", path, {})
    assert (status, headers["allow"], body) == (204, methods, b"")
    assert len(home.stack.received()) == asked
    exchange(home, "GET", "/v1/files", {"authorization": f"Bearer {home.token}"})
    assert [row["method"] for row in home.stack.rows(1, since)] == ["GET"]


def test_head_of_the_root(home: Home) -> None:
    assert exchange(home, "HEAD", "/", {})[0] == 200
