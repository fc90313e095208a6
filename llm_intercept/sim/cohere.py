"""Cohere v2: chat, embeddings and reranking."""

from collections.abc import Iterator

from aiohttp import web

from llm_intercept.sim import openai_chat
from llm_intercept.sim.answer import Answer, Counts
from llm_intercept.sim.errors import cohere_error
from llm_intercept.sim.frames import Frame, sse
from llm_intercept.sim.prompt import Json, Prompt, positive, strings, text_of
from llm_intercept.sim.serve import Call, Stamp, Surface, begin, send_json, stamp
from llm_intercept.sim.tokens import count, pieces
from llm_intercept.sim.vectors import vector

_FINISH = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool": "TOOL_CALL", "stop_sequence": "STOP_SEQUENCE"}
_PLAN = "I will use the tool."


def usage(counts: Counts) -> Json:
    both = {"input_tokens": counts.input, "output_tokens": counts.output}
    return {"billed_units": both, "tokens": both, "cached_tokens": counts.cache_read}


def _calls(answer: Answer, stamp: Stamp) -> list[Json]:
    return [
        {
            "id": f"{call.name}_{stamp.new_id(12)}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in answer.calls
    ]


def _whole(prompt: Prompt, answer: Answer, stamp: Stamp) -> Json:
    message: Json = {"role": "assistant"}
    if answer.calls:
        message |= {"tool_plan": _PLAN, "tool_calls": _calls(answer, stamp)}
    else:
        thought = [{"type": "thinking", "thinking": answer.whole_reasoning}] if answer.reasoning else []
        message["content"] = [*thought, {"type": "text", "text": answer.whole_text}]
    reason = _FINISH[answer.finish]
    return {"id": stamp.id, "message": message, "finish_reason": reason, "usage": usage(answer.counts)}


def _event(kind: str, delta: Json | None = None, index: int | None = None, tokens: int = 0) -> Frame:
    payload: Json = {"type": kind}
    if index is not None:
        payload["index"] = index
    if delta is not None:
        payload["delta"] = delta
    return sse(payload, kind, tokens)


def _stream(prompt: Prompt, answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    start = {"id": stamp.id, "type": "message-start", "delta": {"message": message}}
    yield sse(start, "message-start")
    if answer.calls:
        yield from _call_events(answer, stamp)
    else:
        yield from _text_events(answer)
    yield _event("message-end", {"finish_reason": _FINISH[answer.finish], "usage": usage(answer.counts)})


def _text_events(answer: Answer) -> Iterator[Frame]:
    blocks = [("thinking", answer.reasoning)] if answer.reasoning else []
    for index, (kind, tokens) in enumerate([*blocks, ("text", answer.text)]):
        yield _event("content-start", {"message": {"content": {"type": kind, kind: ""}}}, index)
        for piece in tokens:
            yield _event("content-delta", {"message": {"content": {kind: piece}}}, index, 1)
        yield _event("content-end", index=index)


def _call_events(answer: Answer, stamp: Stamp) -> Iterator[Frame]:
    yield _event("tool-plan-delta", {"message": {"tool_plan": _PLAN}})
    for index, call in enumerate(_calls(answer, stamp)):
        arguments = call["function"]["arguments"]
        opened = {**call, "function": {**call["function"], "arguments": ""}}
        yield _event("tool-call-start", {"message": {"tool_calls": opened}}, index)
        for piece in pieces(arguments):
            delta = {"message": {"tool_calls": {"function": {"arguments": piece}}}}
            yield _event("tool-call-delta", delta, index, 1)
        yield _event("tool-call-end", index=index)


CHAT = Surface(openai_chat.read, _whole, _stream, cohere_error, "text/event-stream")


async def embed(call: Call) -> web.StreamResponse:
    body = call.json()
    model = str(body.get("model", ""))
    if refused := await begin(call, model, cohere_error):
        return refused
    texts = strings(body.get("texts")) or tuple(map(text_of, body.get("inputs") or []))
    vectors = [vector(text, model, positive(body.get("output_dimension"))) for text in texts]
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": sum(map(count, texts))}}
    made = {"id": stamp(call.simulator).id, "texts": list(texts), "embeddings": {"float": vectors}}
    return await send_json(call, {**made, "meta": meta, "response_type": "embeddings_by_type"})


async def rerank(call: Call) -> web.StreamResponse:
    """Documents that share more words with the query come first."""
    body = call.json()
    if refused := await begin(call, str(body.get("model", "")), cohere_error):
        return refused
    wanted = set(str(body.get("query", "")).lower().split())
    given = [set(text_of(d).lower().split()) for d in body.get("documents") or []]
    scores = [len(wanted & words) / max(1, len(wanted)) for words in given]
    ranked = sorted(range(len(scores)), key=lambda i: -scores[i])[: positive(body.get("top_n"))]
    results = [{"index": i, "relevance_score": scores[i]} for i in ranked]
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return await send_json(call, {"id": stamp(call.simulator).id, "results": results, "meta": meta})
