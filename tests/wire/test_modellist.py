"""Pages of models in the three shapes, as their SDKs read them."""

from typing import Any

import pytest
from anthropic.types import ModelInfo
from openai.types import Model

from llm_intercept.errors import Refusal
from llm_intercept.wire.modellist import Entry, page, single

MODELS = [Entry(f"m{i}", "openai", context=1000 * i or None, max_output=10) for i in range(25)]


def listed(shape: str, query: str = "") -> dict[str, Any]:
    found = page(shape, MODELS, query)
    assert not isinstance(found, Refusal)
    return found


def names(document: dict[str, Any]) -> list[str]:
    return [m["id"] for m in document["data"]]


ALL = [m.id for m in MODELS]


@pytest.mark.parametrize(
    ("query", "expected", "more"),
    [
        ("", ALL[:20], True),
        ("limit=1000", ALL, False),
        ("limit=25", ALL, False),
        ("limit=24", ALL[:24], True),
        ("limit=3&after_id=m4", ALL[5:8], True),
        ("after_id=m4", ALL[5:25], False),
        ("limit=5&after_id=m24", [], False),
        ("limit=3&before_id=m5", ALL[2:5], True),
        ("limit=30&before_id=m5", ALL[:5], False),
        ("before_id=m0", [], False),
        ("limit=0", ALL[:20], True),
        ("limit=many", ALL[:20], True),
        ("limit=-3", ALL[:20], True),
        ("beta=true&limit=1", ALL[:1], True),
    ],
)
def test_anthropic_pages(query: str, expected: list[str], more: bool):
    found = listed("anthropic", query)
    assert (names(found), found["has_more"]) == (expected, more)
    ends = (expected[0], expected[-1]) if expected else (None, None)
    assert (found["first_id"], found["last_id"]) == ends


def test_openai_gives_all_unless_asked():
    assert names(listed("openai")) == ALL
    assert names(listed("openai", "client_version=0.169.0")) == ALL
    assert names(listed("openai", "limit=2&after=m3")) == ["m4", "m5"]


def test_gemini_pages_lead_through_all():
    seen, query = [], "pageSize=10"
    while True:
        found = listed("gemini", query)
        seen += [m["name"] for m in found["models"]]
        if "nextPageToken" not in found:
            break
        query = f"pageSize=10&pageToken={found['nextPageToken']}&key=secret"
    assert seen == [f"models/{name}" for name in ALL]


@pytest.mark.parametrize(
    ("shape", "query"),
    [
        ("anthropic", "after_id=none"),
        ("anthropic", "before_id=none"),
        ("openai", "after=none"),
        ("gemini", "pageToken=x"),
        ("gemini", "pageToken=25"),
        ("gemini", "pageToken=0"),
    ],
)
def test_cursors_that_nobody_gave_out(shape: str, query: str):
    found = page(shape, MODELS, query)
    assert isinstance(found, Refusal)
    assert found.kind == "invalid_request"


def test_single_models_fit_the_types_of_the_sdks():
    entry = Entry("claude-mini", "openai", "claude-mini (openai/gpt-4o-mini)", 128_000, 16_384)
    info = ModelInfo.model_validate(single("anthropic", entry))
    assert (info.display_name, info.max_input_tokens, info.max_tokens) == (entry.title, 128_000, 16_384)
    assert Model.model_validate(single("openai", entry)).owned_by == "openai"
    gemini = single("gemini", Entry("text-embedding-3-small", "openai", embeds=True))
    assert gemini["supportedGenerationMethods"] == ["embedContent", "batchEmbedContents"]
    assert "inputTokenLimit" not in gemini
