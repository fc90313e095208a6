"""The law that keeps silent drops out: what a request says is in the target's body, or a warning names it."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from llm_intercept.wire import codecs
from llm_intercept.wire.codec import QUIET as QUIET_MEMBERS
from llm_intercept.wire.codec import Context, Target, Untranslatable
from llm_intercept.wire.ir import Request
from llm_intercept.wire.translation import Side, Translation
from tests.wire.parameters import PARAMETERS, WORDS, documented, with_parameter
from tests.wire.said import MODEL, SAYINGS, Saying, unlisted

DOCS = Path(__file__).resolve().parents[2] / "docs" / "translation-warnings.md"
# What a target takes reasoning in, so that there is something to say it with.
REASONING = {
    "anthropic": "budget",
    "bedrock_converse": "",
    "gemini": "budget",
    "openai_chat": "effort",
    "openai_responses": "effort",
    "ollama": "effort",
}


# What is dropped and needs no warning, and why; the documentation has the same list.
QUIET = {
    "reasoning.visible": "what is not to be shown is left out of the answer",
    "reasoning.summary": "others show their thinking or do not",
    "format.name": "a label for logs",
    "format.strict": "a schema is enforced there, or a warning says that it is not",
}


def written(request: Request, target: str) -> tuple[bytes, list[str]]:
    form = Target(model=MODEL, reasoning=REASONING.get(target, ""))
    context = Context(target=form, now=1.0, request=request)
    body = codecs.get(target).encode_request(request, context).body
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS), context.warnings


def silent(saying: Saying, target: str) -> bool:
    try:
        body, warnings = written(saying.said, target)
    except Untranslatable as error:
        return not any(word in str(error) for word in saying.named)
    explained = any(re.search(word, warning) for warning in warnings for word in saying.named)
    return body == written(saying.without, target)[0] and not explained


@pytest.mark.parametrize("target", sorted(codecs.names()))
@pytest.mark.parametrize("saying", SAYINGS, ids=lambda saying: saying.title)
def test_nothing_is_dropped_in_silence(saying: Saying, target: str) -> None:
    assert saying.title in QUIET or not silent(saying, target), written(saying.said, target)


def test_the_documentation_says_what_goes_silently() -> None:
    documented = re.findall(r"`([\w.]+)`", DOCS.read_text().partition("## Said without a warning")[2])
    assert set(documented) >= QUIET_MEMBERS


def test_every_field_is_said() -> None:
    assert not unlisted()


def translated(client: str, body: dict[str, Any], target: str) -> tuple[bytes, list[str]]:
    context = Context(
        target=Target(model=MODEL, reasoning=REASONING.get(target, ""), structured=True), now=1.0
    )
    one = Translation(Side(client), Side(target), context, stream=False)
    request = context.request = one.read(orjson.dumps(body), MODEL, False)
    written = one.encode(request).body
    return orjson.dumps(written, option=orjson.OPT_SORT_KEYS), context.warnings


def named_in(name: str, warnings: list[str]) -> bool:
    last = name.rpartition(".")[2]
    return any(re.search(word, warning) for warning in warnings for word in (last, *WORDS.get(last, ())))


def dropped(client: str, name: str, target: str) -> str:
    """What is wrong; "" for nothing."""
    without, said = with_parameter(client, name)
    try:
        body, warnings = translated(client, said, target)
    except Untranslatable as error:
        return "" if named_in(name, [str(error)]) else f"{name}: refused without its name: {error}"
    if named_in(name, warnings) or body != translated(client, without, target)[0]:
        return ""
    return f"{name}: silent in {target}: {warnings}"


ASKED = [(client, name) for client, names in PARAMETERS.items() for name in names]


@pytest.mark.parametrize(("client", "name"), ASKED, ids=lambda word: word)
def test_no_parameter_is_dropped_in_silence(client: str, name: str) -> None:
    targets = sorted(codecs.names() - {client})
    faults = [fault for target in targets if (fault := dropped(client, name, target))]
    assert not faults or name in QUIET_MEMBERS, "\n".join(faults)


@pytest.mark.parametrize("client", PARAMETERS)
def test_every_documented_parameter_is_asked_for(client: str) -> None:
    outer = {name.rpartition(".")[2] for name in PARAMETERS[client]}
    assert documented(client) <= outer
