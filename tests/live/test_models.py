"""Where a model's name leads: aliases, tiers, own keys, and who may open a stored key by them."""

import base64
import http.client
import json
from collections.abc import Iterator

import pytest

from tests.live.stack import Stack, running

CONFIG = """
[models.aliases]
"mini" = "openai/gpt-4o-mini"
"claude" = "anthropic/claude-sonnet-5"
"thinker" = "openai/gpt-5:high"
"gone" = "openrouter/some/model"
"deep" = "deepseek/deepseek-chat"

[models.projects.brief]
system = "Be brief."

[models.projects.strict]
unknown = "refuse"
"""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("models"), config=CONFIG) as started:
        yield started


@pytest.fixture(scope="module")
def token(mapped: Stack) -> str:
    return str(
        json.loads(mapped.cli("token", "create", "--project", "demo", "--name", "t", "--json"))["token"]
    )


def chat(stack: Stack, model: str, key: str, **more: object) -> tuple[int, dict[str, object]]:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}], **more})
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=20)
    connection.request(
        "POST",
        "/v1/chat/completions",
        body,
        {"authorization": f"Bearer {key}", "content-type": "application/json"},
    )
    answer = connection.getresponse()
    found = answer.status, json.loads(answer.read())
    connection.close()
    return found


def test_an_alias_in_one_dialect_is_spliced(mapped: Stack, token: str):
    since = mapped.last_id()
    assert chat(mapped, "mini", token)[0] == 200
    (row,) = mapped.rows(1, since)
    assert (row["model_requested"], row["model"], row["provider"]) == ("mini", "gpt-4o-mini", "openai")
    sent = json.loads(base64.b64decode(mapped.received()[-1]["body_base64"]))
    assert sent == {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}
    assert "model: mini -> gpt-4o-mini" in row["changes"]


def test_an_alias_works_with_the_clients_own_key_at_the_same_provider(mapped: Stack):
    assert chat(mapped, "mini", "sk-own-00000000000000")[0] == 200
    assert "sk-own-00000000000000" in json.dumps(mapped.received()[-1])


def test_an_own_key_never_goes_to_another_provider(mapped: Stack):
    before = len(mapped.received())
    status, answer = chat(mapped, "claude", "sk-own-00000000000000")
    assert status == 401
    assert "project token" in json.dumps(answer)
    assert len(mapped.received()) == before


def test_a_token_opens_the_other_providers_key(mapped: Stack, token: str):
    since = mapped.last_id()
    status, answer = chat(mapped, "claude", token)
    assert (status, answer["object"], answer["model"]) == (200, "chat.completion", "claude")
    (row,) = mapped.rows(1, since)
    assert (row["provider"], row["dialect"], row["usage_source"]) == ("anthropic", "openai_chat", "provider")
    seen = json.dumps(mapped.received()[-1])
    assert "real-anthropic-key-0123456789" in seen
    assert token not in seen


def test_a_reasoning_suffix_reaches_the_provider_in_its_own_form(mapped: Stack, token: str):
    assert chat(mapped, "thinker", token)[0] == 200
    sent = json.loads(base64.b64decode(mapped.received()[-1]["body_base64"]))
    assert (sent["model"], sent["reasoning_effort"]) == ("gpt-5", "high")


def test_a_missing_key_says_which(mapped: Stack, token: str):
    status, answer = chat(mapped, "gone", token)
    assert status == 403
    assert "llm-intercept key add openrouter" in json.dumps(answer)


def test_a_project_may_refuse_unknown_models(mapped: Stack):
    mapped.cli("project", "create", "strict")
    key = json.loads(mapped.cli("token", "create", "--project", "strict", "--name", "t", "--json"))["token"]
    assert chat(mapped, "gpt-4o", key)[0] == 200
    status, answer = chat(mapped, "no-such-model-anywhere", key)
    assert (status, answer["error"]["code"]) == (404, "model_unknown")


def test_what_cannot_be_said_is_refused_by_name(mapped: Stack, token: str):
    status, answer = chat(mapped, "claude", token, n=2)
    assert status == 400
    assert "n" in json.dumps(answer)


def test_a_body_that_only_its_own_provider_reads_is_refused(mapped: Stack, token: str):
    """Bedrock's invoke takes the body of each family as it is: only Anthropic's has a translation."""
    connection = http.client.HTTPConnection("127.0.0.1", mapped.port, timeout=20)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    connection.request("POST", "/model/mini/invoke", json.dumps({"inputText": "hi"}), headers)
    answer = connection.getresponse()
    assert (answer.status, "does not serve" in answer.read().decode()) == (400, True)
    connection.close()


CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 99}
CLAUDE_ASKS = {**CLAUDE, "messages": [{"role": "user", "content": "hi"}]}
NOVA_ASKS = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}


@pytest.fixture(scope="module")
def brief(mapped: Stack) -> str:
    mapped.cli("project", "create", "brief")
    made = mapped.cli("token", "create", "--project", "brief", "--name", "t", "--json")
    return str(json.loads(made)["token"])


@pytest.mark.parametrize("verb", ["invoke", "invoke-with-response-stream"])
@pytest.mark.parametrize(
    ("model", "asked", "reached"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", CLAUDE_ASKS, True),
        ("amazon.nova-pro-v1:0", NOVA_ASKS, False),
    ],
)
def test_settings_reach_what_can_be_read_of_bedrocks_bodies(
    mapped: Stack, brief: str, verb: str, model: str, asked: dict[str, object], reached: bool
):
    """Claude's is written anew in Bedrock's envelope; any other goes as it is, and the row says so."""
    since = mapped.last_id()
    connection = http.client.HTTPConnection("127.0.0.1", mapped.port, timeout=20)
    headers = {"authorization": f"Bearer {brief}", "content-type": "application/json"}
    connection.request("POST", f"/model/{model}/{verb}", json.dumps(asked), headers)
    answer = connection.getresponse()
    assert (answer.status, bool(answer.read())) == (200, True)
    connection.close()
    (row,) = mapped.rows(1, since)
    sent = json.loads(base64.b64decode(mapped.received()[-1]["body_base64"]))
    assert ("Be brief." in json.dumps(sent)) is reached
    assert ("not applied" in str(row["warnings"])) is not reached
    assert row["usage_source"] == "provider"


LINE = "x-anthropic-billing-header: cc_version=2.1.177.01c; cc_entrypoint=cli; cch=36ee5;"


@pytest.mark.parametrize(("model", "kept"), [("claude", True), ("mini", False), ("deep", False)])
def test_claude_codes_accounting_line_goes_to_claude_only(
    mapped: Stack, token: str, model: str, kept: bool
) -> None:
    """In its own dialect too: the line is another in each request, no prompt with it could be cached."""
    mapped.cli("key", "add", "deepseek", "--name", model, "--key-stdin", stdin="real-deepseek-key-0123456789")
    since = mapped.last_id()
    system = [{"type": "text", "text": LINE}, {"type": "text", "text": "Be kind."}]
    asked = {"max_tokens": 50, "system": system, "messages": [{"role": "user", "content": "hi"}]}
    connection = http.client.HTTPConnection("127.0.0.1", mapped.port, timeout=20)
    headers = {"x-api-key": token, "anthropic-version": "2023-06-01", "content-type": "application/json"}
    connection.request("POST", "/v1/messages", json.dumps({"model": model, **asked}), headers)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["type"]) == (200, "message")
    connection.close()
    (row,) = mapped.rows(1, since)
    assert ("accounting" in str(row["warnings"])) is not kept
    sent = base64.b64decode(mapped.received()[-1]["body_base64"]).decode()
    assert (LINE in sent) is kept
    assert "Be kind." in sent
    assert ("dialect:" in row["changes"]) is (model == "mini")


def test_an_alias_that_is_set_counts_for_the_next_call(mapped: Stack, token: str):
    leads = []
    for words in ((), ("set", "quick", "mini"), ("set", "quick", "openai/gpt-4o"), ("remove", "quick")):
        if words:
            mapped.cli("alias", *words)
        since = mapped.last_id()
        chat(mapped, "quick", token)
        (row,) = mapped.rows(1, since)
        leads.append(row["model"])
    assert leads == ["quick", "gpt-4o-mini", "gpt-4o", "quick"]
