"""What binds a conversation to its issuer, in each dialect; and what only looks like it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_intercept.policy import bound
from llm_intercept.policy.bound import UNBOUND, Bound, bound_items, conversation_key, kin
from llm_intercept.wire.codecs.anthropic import signatures as anthropic
from llm_intercept.wire.codecs.bedrock_converse import signatures as converse
from llm_intercept.wire.codecs.gemini import signatures as gemini
from llm_intercept.wire.codecs.openai_chat import thought as chat

RESPONSE = "resp_0a336a93a5b22685006a6398ef3254819d9284bf4afa8ca247"
REASONING = "rs_0a336a93a5b22685006a6398f03f80819daec5d014e760c64f"
OLD = "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b"
OLD_MESSAGE = "msg_67ccd2bf17f0819081ff3bb2cf6508e60bb6a6b452d3795b"
KIN = "kin:0a336a93a5b22685"


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}, *blocks]}]}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [*blocks]}]}


def details(*given: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "assistant", "content": "hi", "reasoning_details": [*given]}]}


def contents(**part: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "hi", **part}]}]}


def turn(**block: Any) -> dict[str, Any]:
    return {"messages": [{"role": "assistant", "content": [block]}]}


GEMINI_FILE = "https://generativelanguage.googleapis.com/v1beta/files/abc-123"

BINDING: list[tuple[str, dict[str, Any], Bound]] = [
    (
        "openai_responses",
        {"input": "go on", "previous_response_id": RESPONSE},
        Bound("key", (RESPONSE, KIN), RESPONSE),
    ),
    ("openai_responses", {"previous_response_id": "gen-1"}, Bound("key", ("gen-1",), "gen-1")),
    ("openai_responses", {"conversation": "conv_1"}, Bound("key", ("conv_1",))),
    ("openai_responses", {"conversation": {"id": "conv_1"}}, Bound("key", ("conv_1",))),
    (
        "openai_responses",
        {"input": [{"type": "reasoning", "id": REASONING, "encrypted_content": "gAAAA", "summary": []}]},
        Bound("key", (REASONING, KIN)),
    ),
    ("openai_responses", {"input": [{"type": "reasoning", "encrypted_content": "gAAAA"}]}, Bound("key")),
    (
        "openai_responses",
        {"input": [{"type": "item_reference", "id": OLD_MESSAGE}]},
        Bound("key", (OLD_MESSAGE, "kin:0bb6a6b452d3795b")),
    ),
    (
        "openai_responses",
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
        Bound("key", ("file-1",)),
    ),
    (
        "openai_responses",
        {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
        Bound("key", ("cntr_1",)),
    ),
    ("openai_chat", user({"type": "file", "file": {"file_id": "file-1"}}), Bound("key", ("file-1",))),
    (
        "openai_chat",
        {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]},
        Bound("key", ("audio_1",)),
    ),
    ("openai_chat", details({"type": "reasoning.text", "text": "t", "signature": "s"}), Bound("provider")),
    ("openai_chat", details({"type": "reasoning.encrypted", "data": "s"}), Bound("provider")),
    (
        "openai_chat",
        {"messages": [{"tool_calls": [{"extra_content": {"google": {"thought_signature": "s"}}}]}]},
        Bound("provider"),
    ),
    ("anthropic", assistant({"type": "thinking", "thinking": "t", "signature": "Eq"}), Bound("provider")),
    ("anthropic", assistant({"type": "redacted_thinking", "data": "Eq"}), Bound("provider")),
    (
        "anthropic",
        user({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
        Bound("key", ("file_1",)),
    ),
    ("anthropic", {**user(), "container": "container_1"}, Bound("key", ("container_1",))),
    ("anthropic", {**user(), "container": {"skills": [], "id": "c_1"}}, Bound("key", ("c_1",))),
    (
        "anthropic",
        assistant({"type": "web_search_result", "encrypted_content": "Eq"}),
        Bound("provider"),
    ),
    (
        "anthropic",
        assistant({"type": "thinking", "signature": "Eq"}, {"source": {"file_id": "file_1"}}),
        Bound("key", ("file_1",)),
    ),
    ("bedrock_invoke", assistant({"type": "thinking", "signature": "Eq"}), Bound("provider")),
    (
        "bedrock_converse",
        turn(reasoningContent={"reasoningText": {"text": "t", "signature": "s"}}),
        Bound("provider"),
    ),
    ("bedrock_converse", turn(reasoningContent={"redactedContent": "c2VhbGVk"}), Bound("provider")),
    ("gemini", contents(thoughtSignature="c2ln"), Bound("provider")),
    ("gemini", contents(thought_signature="c2ln"), Bound("provider")),
    ("gemini", {**contents(), "cachedContent": "cachedContents/a"}, Bound("key", ("cachedContents/a",))),
    ("gemini", {**contents(), "cached_content": "cachedContents/a"}, Bound("key", ("cachedContents/a",))),
    ("gemini", contents(fileData={"fileUri": GEMINI_FILE}), Bound("key", ("files/abc-123",))),
    ("gemini", contents(file_data={"file_uri": GEMINI_FILE}), Bound("key", ("files/abc-123",))),
]


@pytest.mark.parametrize(("dialect", "document", "expected"), BINDING)
def test_what_binds(dialect: str, document: dict[str, Any], expected: Bound) -> None:
    assert bound_items(dialect, json.dumps(document).encode()) == expected
    assert bound_items(dialect, json.dumps(document, separators=(",", ":")).encode()) == expected
    assert bound_items(dialect, json.dumps(document, indent=2).encode()) == expected
    # The same words in a prompt bind nothing.
    for quoted in (json.dumps(document), json.dumps(json.dumps(document))):
        said = {"messages": [{"role": "user", "content": quoted}], "input": quoted}
        assert bound_items(dialect, json.dumps(said).encode()) == UNBOUND


SIGNED = "Eq" * 40
FREE: list[tuple[str, dict[str, Any]]] = [
    ("openai_responses", {"input": "hello", "previous_response_id": None, "conversation": None}),
    (
        "openai_responses",
        {
            "input": [
                {"type": "reasoning", "id": "rs_lli1_1", "encrypted_content": "lli1.anthropic.Eq"},
                {"type": "message", "id": OLD_MESSAGE, "role": "assistant", "content": []},
            ]
        },
    ),
    ("openai_responses", {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
    ("openai_responses", {"conversation": "how it was"}),
    ("openai_chat", details({"type": "reasoning.text", "signature": chat.sealed(SIGNED, "anthropic")})),
    (
        "openai_chat",
        {
            "messages": [
                *details({"type": "reasoning.encrypted", "data": chat.sealed(SIGNED, "gemini")})["messages"],
                *user({"type": "input_audio", "input_audio": {"data": "UklGRg", "format": "wav"}})[
                    "messages"
                ],
            ]
        },
    ),
    (
        "openai_chat",
        {"tools": [{"function": {"parameters": {"properties": {"file_id": {"type": "string"}}}}}]},
    ),
    ("anthropic", assistant({"type": "thinking", "signature": anthropic.tagged(SIGNED, "gemini")})),
    ("anthropic", assistant({"type": "thinking", "signature": ""})),
    (
        "anthropic",
        assistant(
            anthropic.before_call(SIGNED, "gemini"),
            anthropic.redacted(SIGNED, "bedrock_converse"),
            {"type": "image", "source": {"type": "base64", "data": "iVBORw0KGgo"}},
        ),
    ),
    ("bedrock_converse", turn(reasoningContent={"redactedContent": converse.sealed(SIGNED, "anthropic")})),
    ("bedrock_converse", turn(reasoningContent={"redactedContent": converse.after_call(SIGNED, "gemini")})),
    ("bedrock_converse", turn(reasoningContent={"signature": converse.tagged(SIGNED, "anthropic")})),
    ("gemini", contents(thoughtSignature=gemini.tagged(SIGNED, "anthropic"))),
    ("gemini", contents(thoughtSignature=gemini.BYPASS)),
    ("gemini", contents(fileData={"fileUri": "gs://bucket/files/x.pdf"})),
    ("gemini", contents(fileData={"fileUri": "https://www.youtube.com/watch?v=x"})),
    ("cohere", {"file_id": "file-1"}),
    ("observe", {"previous_response_id": "resp_1"}),
]


@pytest.mark.parametrize(("dialect", "document"), FREE)
def test_what_does_not(dialect: str, document: dict[str, Any]) -> None:
    assert bound_items(dialect, json.dumps(document).encode()) == UNBOUND


def test_what_is_ours_hides_nothing_of_theirs() -> None:
    ours, theirs = anthropic.redacted(SIGNED, "gemini"), {"type": "redacted_thinking", "data": "Eq"}
    body = json.dumps(assistant(ours, theirs)).encode()
    assert bound_items("anthropic", body) == Bound("provider")


def test_ids_are_bounded() -> None:
    many = [{"file_id": f"file-{n}"} for n in range(1000)]
    found = bound_items("openai_chat", json.dumps(many).encode())
    assert found.kind == "key"
    assert len(found.ids) == 50


@given(
    st.sampled_from(sorted(bound._LOOKS)),
    st.binary(max_size=60),
    st.lists(st.sampled_from([word for looks in bound._LOOKS.values() for word in looks]), max_size=4),
)
def test_any_bytes(dialect: str, noise: bytes, named: list[bytes]) -> None:
    body = noise.join([b"{", *(word + b': "x"' for word in named), b"}"])
    found = bound_items(dialect, body)
    assert found.kind or not found.ids


def test_answers_of_one_call_are_kin() -> None:
    assert kin(RESPONSE) == kin(REASONING) == (KIN,)
    assert kin(OLD) == kin(OLD_MESSAGE) == ("kin:0bb6a6b452d3795b",)
    assert kin("resp_1") == kin("file-abc") == kin("") == ()


@pytest.mark.parametrize(
    ("answer", "ids"),
    [
        ({"id": "file-abc", "object": "file", "filename": "a.pdf"}, ("file-abc",)),
        ({"id": "file_011CN", "type": "file"}, ("file_011CN",)),
        ({"file": {"name": "files/abc-123", "uri": GEMINI_FILE}}, ("files/abc-123",)),
        ({"name": "cachedContents/x1", "model": "models/gemini"}, ("cachedContents/x1",)),
        ({"id": "conv_1", "object": "conversation"}, ("conv_1",)),
        ({"id": "msg_1", "container": {"id": "container_1", "expires_at": "x"}}, ("container_1",)),
        ({"data": [{"id": "file-a"}, {"id": "file-b"}, {"id": "file-a"}]}, ("file-a", "file-b")),
        ({"id": "chatcmpl-1", "choices": [{"message": {"content": '"id": "file-x"'}}]}, ()),
    ],
)
def test_ids_that_an_answer_issues(answer: dict[str, Any], ids: tuple[str, ...]) -> None:
    assert bound.issued(json.dumps(answer).encode()) == ids
    assert len(bound.issued(json.dumps([{"id": f"file-{n}"} for n in range(99)]).encode())) == 50


def test_an_issued_id_is_the_one_that_a_request_names() -> None:
    uploaded = {"file": {"name": "files/abc-123", "uri": GEMINI_FILE}}
    asked = bound_items("gemini", json.dumps(contents(fileData={"fileUri": GEMINI_FILE})).encode())
    assert bound.issued(json.dumps(uploaded).encode()) == asked.ids


FIRST = {"role": "user", "content": "What is a proxy?"}
ANSWER = {"role": "assistant", "content": "Something in between."}
NEXT = {"role": "user", "content": "And a gateway?"}


def key(dialect: str, document: object, session_id: str = "") -> str:
    return conversation_key(dialect, json.dumps(document).encode(), session_id)


SAME: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    (
        "anthropic",
        {"system": "Be kind.", "messages": [FIRST]},
        {"system": "Be kind.", "messages": [FIRST, ANSWER, NEXT], "max_tokens": 9},
    ),
    (
        "anthropic",
        {
            "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}],
                }
            ],
        },
        {"system": "Be kind.", "messages": [{"role": "user", "content": "Hi"}, ANSWER, NEXT]},
    ),
    (
        "openai_chat",
        {"messages": [{"role": "system", "content": "Be kind."}, FIRST]},
        {"messages": [{"role": "system", "content": "Be kind."}, FIRST, ANSWER, NEXT]},
    ),
    (
        "openai_responses",
        {"instructions": "Be kind.", "input": "Hi"},
        {"instructions": "Be kind.", "input": [{"role": "user", "content": "Hi"}, ANSWER, NEXT]},
    ),
    (
        "gemini",
        {
            "systemInstruction": {"parts": [{"text": "x"}]},
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        },
        {
            "system_instruction": {"parts": [{"text": "x"}]},
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": []}],
        },
    ),
]


@pytest.mark.parametrize(("dialect", "first", "later"), SAME)
def test_turns_of_one_conversation(dialect: str, first: dict[str, Any], later: dict[str, Any]) -> None:
    assert key(dialect, first) == key(dialect, later)
    assert key(dialect, first).startswith("digest:")
    for name in ("system", "instructions", "systemInstruction"):
        assert key(dialect, {**first, name: "Be rude."}) != key(dialect, later)


def test_another_beginning_is_another_conversation() -> None:
    assert key("openai_chat", {"messages": [FIRST]}) != key("openai_chat", {"messages": [NEXT]})


def test_a_session_says_it_best() -> None:
    assert key("anthropic", {"messages": [FIRST]}, "abc") == key("anthropic", {"messages": [NEXT]}, "abc")
    assert len(key("anthropic", {}, "x" * 10_000)) < 250


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b'{"messages": 3}', b'{"messages": []}', b"\xff"]
)
def test_a_body_that_does_not_tell(body: bytes) -> None:
    assert conversation_key("openai_chat", body, "") == ""
    assert conversation_key("openai_audio", b'{"messages": [{}]}', "") == ""
