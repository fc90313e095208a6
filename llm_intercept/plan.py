"""Step 3, for calls that go elsewhere than they were sent: which provider, which model, which mode.

A call whose model is mapped to nothing else passes untouched. One that stays in its dialect has its model
spliced in; any other is read, changed and written in the provider's own dialect.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import orjson

from llm_intercept.errors import Refusal
from llm_intercept.exchange import Exchange
from llm_intercept.policy.attempts import Candidate
from llm_intercept.policy.models import ModelMap, Resolution
from llm_intercept.providers import Registry
from llm_intercept.providers.base import GENERATION, MAPPED, Provider, Serving
from llm_intercept.wire import codec, codecs, dialects, embeddings, mode, rewrites, splice
from llm_intercept.wire.codec import Context, Untranslatable
from llm_intercept.wire.codecs.anthropic import attribution
from llm_intercept.wire.embeddings.translation import EmbeddingTranslation, alike
from llm_intercept.wire.fit import Fit, fit
from llm_intercept.wire.translation import Side, Translation, enveloped

# Clients of Bedrock's invoke send Anthropic's own bodies; their streams come in AWS events.
_CODEC_OF = {"bedrock_invoke": "anthropic"}
_CLAUDE = re.compile("claude|anthropic")
_ACCOUNTING = attribution.LINE.encode()
# How codecs carry another dialect's signatures through a client's history, in Gemini's as base64. What they
# have in common is looked for first; none of the whole ones can occur by chance inside an image's base64.
_MARKS = {"gemini": (b"bGxpM", (b'"bGxpMS', b'"bGxpMWNhbGwu'))}
_PLAIN_MARKS = (b"lli1", (b'"lli1.', b'"lli1call.', b'"rs_lli1'))
CHARACTERS_PER_TOKEN = 3.6


class Facts(Protocol):
    def target(self, provider: str, model: str) -> codec.Target: ...


class Planner:
    """Decides once the body has been read."""

    def __init__(
        self,
        registry: Registry,
        models: ModelMap,
        facts: Facts,
        now: Callable[[], float],
        mint: Callable[[int], str],
    ) -> None:
        self._registry = registry
        self._models = models
        self._facts = facts
        self._now = now
        self._mint = mint

    def plan(self, exchange: Exchange, body: bytes) -> Refusal | None:
        """Sets provider, path, `splices` or `translation`; `body` is without content-encoding."""
        if exchange.operation not in MAPPED or exchange.websocket or not exchange.model:
            return None
        found = self._resolve(exchange)
        if exchange.course is not None:
            found = _at(exchange, exchange.course.current.candidate, found)
        if found.refusal is not None:
            return found.refusal
        exchange.warnings.extend(found.warnings)
        exchange.extra_headers = dict(found.control.headers)
        provider = self._registry.providers[found.provider] if found.provider else exchange.provider
        # Marks that an earlier, translated turn left in the history mean nothing to any provider.
        deep = exchange.operation in GENERATION and (
            found.reasoning is not None or found.control.deep or _is_marked(exchange.dialect, body)
        )
        stays = provider is exchange.provider and found.model == exchange.model
        if stays and deep and not _has_codec(exchange):
            exchange.warnings.append(
                "settings: reasoning and system prompt not applied, this body is passed on"
            )
            return None
        if stays and not deep:
            return None
        return self._redirect(exchange, provider, found, body, deep)

    def _resolve(self, exchange: Exchange) -> Resolution:
        if exchange.course is not None and exchange.course.found is not None:
            return exchange.course.found
        project = exchange.principal.project if exchange.principal else ""
        return self._models.resolve(exchange.model, project, exchange.provider.name, exchange.explicit)

    def _redirect(
        self, exchange: Exchange, provider: Provider, found: Resolution, body: bytes, deep: bool
    ) -> Refusal | None:
        serving = _serving(provider, exchange, found.model, deep)
        if serving is None and exchange.operation == "count_tokens":
            exchange.counted_here = True
            exchange.warnings.append(f"estimated here: {found.model} of {provider.title} answers this name")
            return None
        if serving is None or _is_unreadable(exchange, serving):
            return _unserved(provider, exchange, readable=serving is None)
        called, exchange.rerouted = exchange.provider, True
        exchange.moved = provider is not called
        if exchange.moved:
            exchange.changes.append(f"provider: {called.name} -> {provider.name}")
            # What the client showed to the provider it called is not for this one.
            exchange.presented += exchange.foreign
        if found.model != exchange.model:
            exchange.changes.append(f"model: {exchange.model} -> {found.model}")
        exchange.provider, exchange.upstream_model = provider, found.model
        client_path, exchange.path = exchange.path, serving.path(found.model, exchange.stream)
        exchange.client_path = client_path
        deep = deep or (exchange.moved and _spoils_caches(found.model, body))
        written_anew = deep or bool(serving.envelope) or _is_other_endpoint(exchange, serving)
        how = mode.choose(exchange.dialect, serving.dialect, top_level=True, deep=written_anew)
        if how != "translate":
            exchange.path = _with_query(exchange.path, client_path)
        exchange.endpoint = self._registry.endpoint(provider, "POST", exchange.path)
        if how != "translate":
            self._splice(exchange, serving, found, body, client_path)
            return None
        if exchange.operation == "embeddings":
            return self._translate_embeddings(exchange, serving, found, body)
        return self._translate(exchange, serving, found, body, client_path)

    def _splice(
        self, exchange: Exchange, serving: Serving, found: Resolution, body: bytes, client_path: str
    ) -> None:
        """The new model's name, and without what its target is known to refuse."""
        fitting = Fit()
        if exchange.operation in GENERATION:
            target = self._facts.target(exchange.provider.name, found.model)
            fitting = fit(exchange.dialect, body, target)
        if fitting.deep and self._translate(exchange, serving, found, body, client_path) is None:
            return
        named = splice.renamed(body, found.model)
        exchange.warnings += fitting.warnings
        exchange.changes += fitting.named()
        if fitting.dropped:
            exchange.upstream_body = fitting.apply(body, named)
        else:
            exchange.splices = {**named, **fitting.changes}

    def _translate(
        self, exchange: Exchange, serving: Serving, found: Resolution, body: bytes, client_path: str
    ) -> Refusal | None:
        client = client_side(exchange, client_path)
        context = self._context(exchange, found, body)
        try:
            translation = Translation(client, Side(serving.dialect), context, stream=exchange.stream)
            exchange.upstream_body = _written(translation, serving, found, exchange, body)
        except Untranslatable as error:
            return _untranslatable(exchange, error)
        if client.dialect == serving.dialect and not client.framing:
            exchange.changes.append("body: written anew")  # its answer is in the client's dialect already
            exchange.upstream_body = _as_delivered(exchange, body)
            exchange.warnings.extend(context.warnings)
        else:
            exchange.translation = translation
            exchange.changes.append(f"dialect: {exchange.dialect} -> {serving.dialect}")
        return None

    def _translate_embeddings(
        self, exchange: Exchange, serving: Serving, found: Resolution, body: bytes
    ) -> Refusal | None:
        context = self._context(exchange, found, body)
        translation = EmbeddingTranslation(exchange.dialect, serving.dialect, context)
        try:
            exchange.upstream_body = translation.write(body, exchange.client_path, found.model, exchange.path)
        except Untranslatable as error:
            return _untranslatable(exchange, error)
        exchange.translation = translation
        exchange.changes.append(f"dialect: {exchange.dialect} -> {serving.dialect}")
        return None

    def _context(self, exchange: Exchange, found: Resolution, body: bytes) -> Context:
        prompt = dialects.get(exchange.dialect).prompt_text(body)
        return Context(
            target=self._facts.target(exchange.provider.name, found.model),
            now=self._now(),
            mint=self._mint,
            requested_model=exchange.model,
            input_estimate=round(len(prompt) / CHARACTERS_PER_TOKEN),
        )


def _as_delivered(exchange: Exchange, body: bytes) -> bytes:
    """With the client's own `stream_options`: usage that only we want is asked for, and hidden, elsewhere."""
    written = exchange.upstream_body or b""
    if exchange.asks_usage or not splice.peek(written, ("stream_options",)):
        return written
    said = splice.peek(body, ("stream_options",))
    return splice.set_top_level(written, said) if said else splice.drop_members(written, ("stream_options",))


def _at(exchange: Exchange, target: Candidate, found: Resolution) -> Resolution:
    """The resolution with this try's target in place of what the name alone led to."""
    if target.model == found.model and target.provider == (found.provider or exchange.provider.name):
        return found
    refusal = None if exchange.route else found.refusal
    return replace(found, provider=target.provider, model=target.model, refusal=refusal)


def _spoils_caches(model: str, body: bytes) -> bool:
    """A line of Claude Code's for Anthropic's accounting, on its way to another's model."""
    return _ACCOUNTING in body and not _CLAUDE.search(model)


def _is_marked(dialect: str, body: bytes) -> bool:
    common, whole = _MARKS.get(dialect, _PLAIN_MARKS)
    return common in body and any(mark in body for mark in whole)


def _serving(provider: Provider, exchange: Exchange, model: str, deep: bool) -> Serving | None:
    """How the provider is called for this; Bedrock's invoke envelope is for clients that speak it.

    They are passed through there; what is changed inside their bodies is written in the envelope's dialect.
    """
    if deep and exchange.dialect in _CODEC_OF:
        written = (
            s for s in provider.serves if s.envelope == "bedrock" and s.models and s.models.search(model)
        )
        if (enveloped := next(written, None)) is not None:
            return enveloped
    found = provider.serving(exchange.dialect, exchange.operation, model)
    if found is None or found.envelope != "bedrock":
        return found
    others = tuple(s for s in provider.serves if s.envelope != "bedrock")
    return replace(provider, serves=others).serving(exchange.dialect, exchange.operation, model)


def _has_codec(exchange: Exchange) -> bool:
    """Whether anything inside the client's body can be changed."""
    if exchange.dialect in _CODEC_OF:
        return bool(_CLAUDE.search(exchange.model))
    return exchange.dialect in codecs.names()


def _unserved(provider: Provider, exchange: Exchange, *, readable: bool) -> Refusal:
    reason = f"{provider.title} does not serve {exchange.operation} in {exchange.dialect}"
    if not readable:
        reason += f": a body that is written for {exchange.model} alone is passed on, it is never translated"
    return Refusal("invalid_request", "operation_not_served", f"{reason}.")


def _is_unreadable(exchange: Exchange, serving: Serving) -> bool:
    """Whether the client's dialect is one that can only be passed on (Bedrock's invoke of most families)."""
    if exchange.operation == "embeddings":
        return exchange.dialect not in embeddings.NAMES
    if exchange.operation not in GENERATION or exchange.dialect == serving.dialect:
        return False
    return not _has_codec(exchange)


def _is_other_endpoint(exchange: Exchange, serving: Serving) -> bool:
    """Embeddings: whether one shape has several endpoints, and the provider is called at another one."""
    return exchange.operation == "embeddings" and not alike(
        exchange.dialect, exchange.client_path, serving.dialect, exchange.path
    )


def _untranslatable(exchange: Exchange, error: Untranslatable) -> Refusal:
    return Refusal("invalid_request", "untranslatable", f"{error} (going to {exchange.provider.title}).")


def _with_query(path: str, client_path: str) -> str:
    """In one dialect the client's own query stays: it says how it wants its stream (Gemini's `alt=sse`)."""
    query = client_path.partition("?")[2]
    return f"{path.partition('?')[0]}?{query}" if query else path


def client_side(exchange: Exchange, path: str) -> Side:
    """How the client speaks; `path` is what it asked for: it says how it wants its stream (Gemini)."""
    dialect = _CODEC_OF.get(exchange.dialect, exchange.dialect)
    framing = "chunks" if dialect != exchange.dialect else ""
    if codecs.get(dialect).FRAMING == "jsonarray" or dialect == "gemini":
        framing = "sse-crlf" if "alt=sse" in path else "jsonarray"
    return Side(dialect, framing)


def _written(
    translation: Translation, serving: Serving, found: Resolution, exchange: Exchange, body: bytes
) -> bytes:
    """The request in the provider's dialect, with what settings and the model's name add to it."""
    context = translation.context
    request = translation.read(body, exchange.model, exchange.stream)
    if serving.dialect == "anthropic" and _spoils_caches(found.model, body):
        request = attribution.abroad(request, context)
    context.include_usage = request.include_usage
    request = replace(request, model=found.model, stream=exchange.stream, include_usage=exchange.stream)
    context.request = request
    asked = found.asked
    request = rewrites.apply_reasoning(
        request, found.reasoning, context.target, asked=asked, warn=context.warn
    )
    request = rewrites.apply_rejects(request, context.target, context.warn)
    request = rewrites.apply_verbosity(request, found.control.verbosity)
    request = rewrites.apply_system(request, found.control.system, found.control.system_mode)
    if serving.envelope:  # Claude at Google or Amazon fetches nothing
        context.target = replace(context.target, fetches=False)
    written, betas = enveloped(translation.encode(request).body, serving.dialect, serving.envelope)
    if betas:
        exchange.extra_headers["anthropic-beta"] = ",".join(betas)
    return orjson.dumps(written)
