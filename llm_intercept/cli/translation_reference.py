"""`docs/translation.md`, made by running the codecs (its own text says how)."""

import re
from collections.abc import Callable, Iterator, Sequence

import orjson

from llm_intercept.cli.translation_answers import ANSWERS
from llm_intercept.cli.translation_probes import Cell, Probe, of_answer, of_request
from llm_intercept.cli.translation_requests import REQUESTS
from llm_intercept.providers import Registry
from llm_intercept.providers.base import GENERATION, Provider
from llm_intercept.wire import codecs
from llm_intercept.wire.ir import Failure

CONFIG = """[models.aliases]
fast = "groq/openai/gpt-oss-20b"          # any client may ask for `fast`
"gpt-4o*" = "anthropic/claude-sonnet-4-5" # OpenAI's SDKs, answered by Claude

[models.tiers.big]                        # Claude Code's opus and sonnet ...
model = "gemini/gemini-2.5-pro"

[models.tiers.small]                      # ... and its haiku
provider = "house"
model = "Qwen/Qwen3-32B"

[providers.house]
dialect = "openai"
base_url = "http://10.0.0.7:8000/v1"
key_optional = true
"""
_HEAD = f"""# Translation: any client to any provider

A client keeps its own API; which provider answers is decided by the name of the model. This page is made
by running the codecs over one small request or answer for each feature: `python -m
llm_intercept.cli.translation_reference > docs/translation.md`.

## How a call is led there

The name goes through aliases, `provider/model`, tiers and what is unknown: see [models.md](models.md).
Then there are three modes:

| mode | when | what is sent |
|---|---|---|
| passthrough | provider and model are those that were called | the client's bytes |
| splice | another model or provider, the same dialect | the client's bytes but for values at the top level |
| translate | another dialect, or a change inside the body | the request read into parts and written anew |

```toml
{CONFIG}```

Store a key for each provider (`llm-intercept key add gemini --key-env GEMINI_API_KEY`), give the client a
project token, and point it here:

```sh
ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_AUTH_TOKEN=lli_... claude
OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=lli_... python app.py
llm-intercept translate --from anthropic --to gemini request.json   # just the translation
```

Answers come back the same way, and either side may stream without the other. The row names what was done
(`changes`: `dialect: anthropic -> gemini`) and what was lost (`warnings`);
[translation-warnings.md](translation-warnings.md) explains those that coding agents meet. Within one
dialect members that nobody knows are kept. Those that the new model is known to refuse (`seed` at Mistral,
`temperature` at o3) are left out with a warning, or said as it takes them; what lies deeper, such as a
schema for DeepSeek's answers, has the body written anew.

A share of the streams that we write is checked against the grammar of their dialect (`lint.own` in the
[settings](settings.md)).
"""
_NAMES = {
    "anthropic": "Anthropic",
    "bedrock_converse": "Converse",
    "gemini": "Gemini",
    "ollama": "Ollama",
    "openai_chat": "Chat",
    "openai_completions": "Completions",
    "openai_responses": "Responses",
}
_LEGEND = """**kept**: read back equal. **mapped**: there in another form. **dropped**: not there any more.
**refused**: the client gets a 400 that names the field. **–**: no other dialect can say it.
Numbers are the warnings below the table (`*`: a dialect); what is dropped without a number is
dropped without a warning.
"""
_KINDS = (
    ("invalid_request", 400),
    ("authentication", 401),
    ("permission", 403),
    ("not_found", 404),
    ("too_large", 413),
    ("overflow", 400),
    ("rate_limit", 429),
    ("internal", 500),
    ("upstream", 502),
    ("unavailable", 503),
    ("timeout", 504),
)
_ENVELOPES = {
    "bedrock": "no `model`, no `stream`; `anthropic_version: bedrock-2023-05-31`, betas in `anthropic_beta`; "
    "streams in AWS events",
    "vertex": "no `model`; `anthropic_version: vertex-2023-10-16`",
}

_PASSED_ON = """- Bedrock's InvokeModel has a body for each family of models. Anthropic's is translated.
  Those of Nova, Titan, Llama, Mistral, Cohere, AI21 and DeepSeek are passed on to the model that they name
  and their usage is read; settings of reasoning and system prompt do not reach them, and a name that leads
  to another provider is refused (400, `operation_not_served`): use Converse for that. So it is with Cohere's
  `/v2/chat`."""

_NAMED = re.compile("|".join(_NAMES))

type Ran = Callable[[Probe, str, str], tuple[str, list[str]] | None]


def markdown() -> str:
    parts = [
        _HEAD,
        "## Requests: what a provider's dialect takes\n",
        "Columns are dialects of providers; the request is of any other dialect that can say it.\n",
        _LEGEND,
        _table(REQUESTS, of_request),
        "## Answers: what a client's dialect can say\n",
        "Columns are dialects of clients; the answer is of any other dialect that can say it.\n",
        _table(ANSWERS, of_answer),
        _errors(),
        _endpoints(),
    ]
    return "\n".join(parts)


def _table(probes: Sequence[Probe], run: Ran) -> str:
    notes: dict[str, int] = {}
    lines = [_row("", *_titles()), "|---" * (len(_titles()) + 1) + "|"]
    for probe in probes:
        cells = (_shown(_cell(probe, target, run), notes) for target in _dialects())
        lines.append(_row(probe.title, *cells))
    numbered = (f"{number}. {_quoted(text)}" for text, number in notes.items())
    return "\n".join([*lines, "", *numbered, ""])


def _dialects() -> list[str]:
    return sorted(codecs.names())


def _titles() -> list[str]:
    return [_NAMES.get(name, name) for name in _dialects()]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(probe: Probe, target: str, run: Ran) -> Cell:
    cell = Cell()
    for source in _dialects():
        found = run(probe, source, target) if source != target else None
        if found is not None:
            cell.add(source, *found)
    return cell


def _shown(cell: Cell, notes: dict[str, int]) -> str:
    """The usual verdict first; exceptions name their sources."""
    ordered = sorted(cell.verdicts, key=lambda verdict: -len(cell.verdicts[verdict]))
    told = [_told(verdict, cell, notes, alone=not place) for place, verdict in enumerate(ordered)]
    return "; ".join(told) or "–"


def _told(verdict: str, cell: Cell, notes: dict[str, int], *, alone: bool) -> str:
    told = dict.fromkeys(_NAMED.sub("*", text) for text in cell.said.get(verdict, ()))
    numbers = [str(notes.setdefault(text, len(notes) + 1)) for text in told]
    sources = "" if alone else f" from {', '.join(_NAMES.get(s, s) for s in cell.verdicts[verdict])}"
    return f"{verdict}{sources}{f' ({", ".join(numbers)})' if numbers else ''}"


def _quoted(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _errors() -> str:
    lines = [
        "## Errors\n",
        "A provider's error reaches the client with the status and the words of the client's dialect;",
        "`Retry-After` and rate limits travel along. `overflow` is a prompt that is too long: agents know it",
        "by these words and compact.\n",
        _row("", *_titles()),
        "|---" * (len(_titles()) + 1) + "|",
    ]
    lines += [
        _row(f"`{kind}`", *(_error(name, kind, status) for name in _dialects())) for kind, status in _KINDS
    ]
    return "\n".join([*lines, ""])


def _error(dialect: str, kind: str, status: int) -> str:
    given, _, body = codecs.get(dialect).encode_error(Failure(kind, "...", status), "")
    document = orjson.loads(body)
    inner = document["error"] if isinstance(document.get("error"), dict) else document
    words = (inner.get("type") or inner.get("__type"), inner.get("status") or inner.get("code"))
    named = " ".join(f"`{word}`" for word in dict.fromkeys(words) if isinstance(word, str))
    message = inner.get("message", document.get("error"))
    shown = f' "{message}"' if message != "..." else ""
    return f"{given} {named}{shown}"


def _endpoints() -> str:
    lines = [
        "## Addresses and envelopes\n",
        "Where a translated call goes at each provider, below its base URL. The client's own dialect is",
        "taken where it is served, else the first that fits the model. `MODEL` stands for the name.\n",
        "| provider | dialect | path of a stream | only models |",
        "|---|---|---|---|",
    ]
    for provider in Registry().providers.values():
        lines += _served(provider)
    told = (f"- Anthropic's dialect on `{name}`: {text}." for name, text in _ENVELOPES.items())
    return "\n".join([*lines, "", *told, _PASSED_ON, ""])


def _served(provider: Provider) -> Iterator[str]:
    for serving in provider.serves:
        if serving.operation in GENERATION and serving.dialect in codecs.names():
            only = f"`{serving.models.pattern}`".replace("|", "\\|") if serving.models else ""
            path = f"`{serving.path('MODEL', True)}`"
            yield _row(provider.name, _NAMES.get(serving.dialect, serving.dialect), path, only)


if __name__ == "__main__":
    print(markdown(), end="")
