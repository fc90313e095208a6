"""`llm-intercept translate`: a request, an answer or a stream in another dialect, and what got lost."""

import json
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import click
import orjson

from llm_intercept.errors import ConfigError
from llm_intercept.policy.facts import Facts
from llm_intercept.providers import Registry
from llm_intercept.resources import model_catalogue
from llm_intercept.wire import codecs
from llm_intercept.wire.codec import Context
from llm_intercept.wire.fields import parse_object
from llm_intercept.wire.translation import Side, Translation

# Members that a request has and an answer has not, in any dialect.
_OF_REQUESTS = (
    "messages",
    "input",
    "contents",
    "prompt",
    "max_tokens",
    "generationConfig",
    "inferenceConfig",
)
_STREAM = re.compile(rb"[\s\xef\xbb\xbf]*(?:\[|:|(?:data|event|id|retry)\s*:)")  # of events, or a JSON array
_OF_ANSWERS = (
    *("choices", "candidates", "output", "content", "stop_reason", "stopReason", "done", "usageMetadata"),
)
_OF_ERRORS = ("error", "message", "Message")

type Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class Result:
    kind: str
    text: bytes
    warnings: tuple[str, ...]


@click.command()
@click.option("--from", "source", required=True, metavar="DIALECT", help="Dialect of FILE.")
@click.option("--to", "target", required=True, metavar="DIALECT", help="Dialect to write.")
@click.option("--model", default="", help="Model that will answer: decides on limits, reasoning, parameters.")
@click.option("--provider", default="", help="Provider of that model.")
@click.option("--json", "as_json", is_flag=True, help="Kind, translation and warnings as JSON.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True), default="-")
def translate(source: str, target: str, model: str, provider: str, as_json: bool, file: str) -> None:
    """Translate a request, an answer or a stream, and say what got lost.

    What FILE is (standard input without one) is told by its contents. Warnings go to standard error.

    \b
    Examples:
      llm-intercept translate --from anthropic --to openai_chat request.json
      curl -sN ... | llm-intercept translate --from openai_chat --to anthropic
    """
    for name in (source, target):
        codecs.get(name)
    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    known = Facts(Registry().providers, model_catalogue).target(provider, model)
    context = Context(target=known, now=time.time(), mint=lambda length: "0" * length)
    result = translated(data, source, target, context)
    if as_json:
        shown = {"kind": result.kind, "warnings": list(result.warnings), "translation": result.text.decode()}
        click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    click.echo(result.text, nl=not result.text.endswith(b"\n"))
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)


def translated(data: bytes, source: str, target: str, context: Context) -> Result:
    """ConfigError if the data is nothing of the source's."""
    if not data.strip():
        raise ConfigError("there is nothing to translate")
    if data.lstrip()[:1] != b"{":
        return _stream(data, source, target, context, _framed(data))
    document = parse_object(data)
    if not document and _is_object(data.lstrip().partition(b"\n")[0]):
        return _stream(data, source, target, context, "application/x-ndjson")
    if not document:
        raise ConfigError("this is neither one JSON document nor a stream")
    if _is_request(document):
        return _request(data, document, source, target, context)
    if not any(name in document for name in (*_OF_ANSWERS, *_OF_ERRORS)):
        raise ConfigError(f"this is no request and no answer of {source}'s: no member of it is known")
    back = Translation(Side(target), Side(source), context, stream=False)
    reply = back.reply(data, "application/json", "")
    kind = "answer" if reply.status == 200 else "error"
    return Result(kind, _pretty(orjson.loads(reply.body)), tuple(context.warnings))


def _request(data: bytes, document: Document, source: str, target: str, context: Context) -> Result:
    translation = Translation(Side(source), Side(target), context, stream=document.get("stream") is True)
    request = context.request = translation.read(data, str(document.get("model", "")), translation.stream)
    return Result("request", _pretty(translation.encode(request).body), tuple(context.warnings))


def _stream(data: bytes, source: str, target: str, context: Context, content_type: str) -> Result:
    back = Translation(Side(target), Side(source), context, stream=True)
    return Result("stream", back.answer(data, content_type), tuple(context.warnings))


def _framed(data: bytes) -> str:
    """The content type of a stream that does not begin with an object."""
    if data.startswith(b"\x00"):
        return "application/vnd.amazon.eventstream"
    if not _STREAM.match(data):
        raise ConfigError("this is neither a JSON document nor a stream")
    return "text/event-stream"


def _is_object(line: bytes) -> bool:
    return bool(parse_object(line))


def _is_request(document: Document) -> bool:
    return not any(name in document for name in _OF_ANSWERS) and any(n in document for n in _OF_REQUESTS)


def _pretty(document: object) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


command = translate
