"""Media that a target cannot have: the model is told, a warning says so, and no provider refuses the call."""

import json
from typing import Any

import pytest

from llm_intercept.wire.codec import Context, Target, Untranslatable
from llm_intercept.wire.translation import Side, Translation

PNG = "iVBORw0KGgo="
SHOWN = {"type": "text", "text": "see"}
OPENAIS = ("openai_chat", "openai_responses")


def sent(client: str, target: str, document: dict[str, Any], **facts: Any) -> tuple[Any, list[str]]:
    context = Context(target=Target(**facts))
    translation = Translation(Side(client), Side(target), context, stream=False)
    context.request = translation.read(json.dumps({"model": "m", **document}).encode(), "m", False)
    return translation.encode(context.request).body, context.warnings


def asked(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"max_tokens": 99, "messages": [{"role": "user", "content": [SHOWN, *blocks]}]}


def of_file(kind: str) -> dict[str, Any]:
    return {"type": kind, "source": {"type": "file", "file_id": f"file_{kind}"}}


@pytest.mark.parametrize("target", [*OPENAIS, "gemini", "bedrock_converse", "ollama"])
def test_a_file_of_anthropic_s_is_nobody_else_s(target: str) -> None:
    result = {"type": "tool_result", "tool_use_id": "t", "content": [of_file("image")]}
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}
    document = asked(of_file("image"), of_file("document"))
    document["messages"] += [call, {"role": "user", "content": [result]}]
    body, warnings = sent("anthropic", target, document)
    written = json.dumps(body)
    assert written.count("[image left out: file_image]") == 2
    assert written.count("[document left out: file_document]") == 1
    assert '"file_id"' not in written
    assert any(warning.startswith("document: ") for warning in warnings)


def test_a_file_of_openai_s_is_the_same_in_both_of_its_dialects() -> None:
    part = {"type": "file", "file": {"file_id": "file-1"}}
    body, warnings = sent("openai_chat", "openai_responses", asked(part))
    assert body["input"][0]["content"][1] == {"type": "input_file", "file_id": "file-1"}
    assert not any("file" in warning for warning in warnings)


@pytest.mark.parametrize("target", [*OPENAIS, "anthropic"])
@pytest.mark.parametrize(
    "uri", ["gs://b/a.png", "https://generativelanguage.googleapis.com/v1beta/files/abc"]
)
def test_what_google_alone_can_fetch_is_told_of(target: str, uri: str) -> None:
    parts = [{"text": "see"}, {"fileData": {"fileUri": uri, "mimeType": "image/png"}}]
    body, warnings = sent("gemini", target, {"contents": [{"role": "user", "parts": parts}]})
    assert f"[image left out: {uri}]" in json.dumps(body)
    assert warnings == ["image: an address that its own provider alone can fetch; said in words"]


def test_pictures_of_the_assistant_are_shown_by_the_user() -> None:
    """Chat completions take text only in messages of the assistant's."""
    drawn = {
        "role": "model",
        "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}, {"text": "so"}],
    }
    contents = [
        {"role": "user", "parts": [{"text": "draw"}]},
        drawn,
        {"role": "user", "parts": [{"text": "red"}]},
    ]
    body, warnings = sent("gemini", "openai_chat", {"contents": contents})
    drew, more = body["messages"][1:]
    assert drew == {"role": "assistant", "content": "so"}
    assert [item["type"] for item in more["content"]] == ["text", "image_url", "text"]
    assert warnings == ["messages: media of the assistant's put into a user message after it"]


def test_numbers_and_words_that_gemini_refuses() -> None:
    document = {"messages": [{"role": "user", "content": "q"}], "seed": 2**40, "stop": ["", "a"]}
    body, warnings = sent("openai_chat", "gemini", document)
    assert body["generationConfig"] == {"stopSequences": ["a"]}
    assert warnings == [f"seed: {2**40} is more than Gemini takes, left out"]


def test_logprobs_are_asked_of_models_that_give_them() -> None:
    document = {"messages": [{"role": "user", "content": "q"}], "logprobs": True}
    body, _ = sent("openai_chat", "openai_responses", document)
    assert body["include"] == ["message.output_text.logprobs"]
    body, warnings = sent("openai_chat", "openai_responses", document, rejects=frozenset({"logprobs"}))
    assert "include" not in body
    assert warnings == ["logprobs: not taken by the model"]


@pytest.mark.parametrize("name", ["cachedContent", "cached_content"])
def test_what_google_keeps_of_the_prompt_is_refused(name: str) -> None:
    """The model would be asked about something that it has never seen."""
    document = {"contents": [{"role": "user", "parts": [{"text": "q"}]}], name: "cachedContents/1"}
    with pytest.raises(Untranslatable, match="kept by Google"):
        sent("gemini", "openai_chat", document)
    assert sent("gemini", "gemini", document)[0]["cachedContent"] == "cachedContents/1"


@pytest.mark.parametrize("target", OPENAIS)
def test_names_of_files_have_the_ending_that_openai_wants(target: str) -> None:
    file = {"document": {"format": "pdf", "name": "report", "source": {"bytes": "JVBERi0="}}}
    talk = {"messages": [{"role": "user", "content": [{"text": "see"}, file]}]}
    body, _ = sent("bedrock_converse", target, talk)
    assert '"report.pdf"' in json.dumps(body)
