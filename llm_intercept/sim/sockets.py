"""WebSockets: OpenAI Responses (what Codex speaks) and Realtime, several answers per connection."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import orjson
from aiohttp import WSMsgType, web

from llm_intercept.sim import openai_responses
from llm_intercept.sim.answer import Answer, Counts, compose
from llm_intercept.sim.errors import openai_error
from llm_intercept.sim.fate import Fate, Fault
from llm_intercept.sim.prompt import Json, Prompt, as_dict
from llm_intercept.sim.serve import Call, Stamp, pause, stamp
from llm_intercept.sim.tokens import weigh_messages

type Events = Iterator[tuple[Json, int]]


async def responses(call: Call) -> web.StreamResponse:
    """Each `response.create` message is a Responses request; `generate: false` only warms up."""
    socket = web.WebSocketResponse()
    await socket.prepare(call.request)
    async for message in _messages(call, socket):
        if message.get("type") == "response.create":
            body = {k: v for k, v in message.items() if k != "type"}
            await _respond(call, socket, openai_responses.read_body(body), _response_events)
        else:
            await _error(socket, f"Invalid value: '{message.get('type')}'. Supported: 'response.create'.")
    return socket


def _response_events(prompt: Prompt, answer: Answer, mark: Stamp) -> Events:
    if prompt.body.get("generate") is not False:
        yield from openai_responses.events(prompt, answer, mark)
        return
    for number, status in enumerate(("in_progress", "completed")):
        counts = Counts() if status == "completed" else None
        state = openai_responses.envelope(prompt, mark, status, [], counts)
        kind = "response.completed" if counts else "response.created"
        yield {"type": kind, "response": state, "sequence_number": number}, 0


async def _messages(call: Call, socket: web.WebSocketResponse) -> AsyncIterator[Json]:
    async for frame in socket:
        if frame.type is not WSMsgType.TEXT:
            continue
        call.received.messages.append(frame.data)
        try:
            yield as_dict(orjson.loads(frame.data))
        except orjson.JSONDecodeError as error:
            await _error(socket, f"We could not parse your message: {error}")


async def _error(socket: web.WebSocketResponse, text: str) -> None:
    error = {"type": "invalid_request_error", "code": "invalid_event", "message": text, "param": None}
    await _send(socket, {"type": "error", "status": 400, "error": error})


async def _send(socket: web.WebSocketResponse, payload: Json) -> None:
    await socket.send_str(orjson.dumps(payload).decode())


async def _respond(
    call: Call,
    socket: web.WebSocketResponse,
    prompt: Prompt,
    events: Callable[[Prompt, Answer, Stamp], Events],
) -> None:
    """One answer: its events at the fated pace, an error event, or a connection that breaks."""
    simulator = call.simulator
    fate = call.fate(prompt.model)
    if fate.hang:
        await asyncio.Event().wait()
    if fate.failure is not None:
        failed = openai_error(fate.failure, "")
        await _send(socket, {"type": "error", "status": failed.status, **failed.body})
        return
    await pause(fate.latency)
    prompt = prompt if fate.say is None else replace(prompt, text=fate.say, tools=())
    answer = compose(prompt, fate.behaviour, simulator.cache, simulator.dice.lorem_start)
    await _play(call, socket, list(events(prompt, answer, stamp(simulator))), fate)


async def _play(
    call: Call, socket: web.WebSocketResponse, events: list[tuple[Json, int]], fate: Fate
) -> None:
    fault = fate.fault or (Fault("drop", len(events) // 2) if fate.cut else None)
    started, tokens = time.perf_counter(), 0
    for payload, weight in events if fault is None else events[: fault.events or 0]:
        await pause(fate.event_delay)
        await _send(socket, payload)
        tokens += weight
        if fate.pace and weight:
            await pause(started + tokens / fate.pace - time.perf_counter())
    if fault is not None:
        await _break(call, socket, fault)


async def _break(call: Call, socket: web.WebSocketResponse, fault: Fault) -> None:
    match fault.kind:
        case "hang":
            await asyncio.Event().wait()
        case "garble":
            await socket.send_str("{")
        case "stream_error" if fault.failure is not None:
            failed = openai_error(fault.failure, "")
            await _send(socket, {"type": "error", "status": failed.status, **failed.body})
        case _ if call.request.transport is not None:
            call.request.transport.close()


async def realtime(call: Call) -> web.StreamResponse:
    """Enough of Realtime for a text conversation: items, `response.create`, `response.done` with usage."""
    socket = web.WebSocketResponse(protocols=("realtime",))
    await socket.prepare(call.request)
    model = call.request.query.get("model", "gpt-realtime")
    session: Json = {"type": "realtime", "object": "realtime.session", "model": model}
    session["id"] = f"sess_{call.simulator.dice.id()}"
    await _send(socket, {"type": "session.created", "event_id": _event(call), "session": session})
    items: list[Json] = []
    async for message in _messages(call, socket):
        match message.get("type"):
            case "session.update":
                session |= as_dict(message.get("session"))
                await _send(socket, {"type": "session.updated", "event_id": _event(call), "session": session})
            case "conversation.item.create":
                items.append(as_dict(message.get("item")))
                added = {"type": "conversation.item.added", "event_id": _event(call), "item": items[-1]}
                await _send(socket, added)
            case "response.create":
                await _respond(call, socket, _spoken(model, items, message), _realtime_events)
            case other:
                await _error(socket, f"Invalid value: '{other}'.")
    return socket


def _event(call: Call) -> str:
    return f"event_{call.simulator.dice.id()}"


def _spoken(model: str, items: list[Json], message: Json) -> Prompt:
    given = as_dict(message.get("response")).get("input")
    said = [*items, *(given if isinstance(given, list) else [])]
    prompt = openai_responses.read_body({"model": model, "input": said})
    instructions = as_dict(message.get("response")).get("instructions")
    text = prompt.text or (instructions if isinstance(instructions, str) else "")
    return Prompt(model=model, text=text, input_tokens=weigh_messages(said))


def _realtime_usage(counts: Counts) -> Json:
    read = {
        "text_tokens": counts.input,
        "audio_tokens": 0,
        "image_tokens": 0,
        "cached_tokens": counts.cache_read,
    }
    used = {"total_tokens": counts.total, "input_tokens": counts.input, "output_tokens": counts.output}
    written = {"text_tokens": counts.output, "audio_tokens": 0}
    return {**used, "input_token_details": read, "output_token_details": written}


def _realtime_events(prompt: Prompt, answer: Answer, mark: Stamp) -> Events:
    base: Json = {
        "object": "realtime.response",
        "id": f"resp_{mark.id}",
        "status": "in_progress",
        "output": [],
    }
    item: Json = {"id": f"item_{mark.id}", "type": "message", "status": "completed", "role": "assistant"}
    item["content"] = [{"type": "output_text", "text": answer.whole_text}]
    where = {"response_id": base["id"], "item_id": item["id"], "output_index": 0, "content_index": 0}
    yield _dated(mark, {"type": "response.created", "response": {**base, "usage": None}}), 0
    for piece in answer.text:
        yield _dated(mark, {"type": "response.output_text.delta", **where, "delta": piece}), 1
    yield _dated(mark, {"type": "response.output_text.done", **where, "text": answer.whole_text}), 0
    done = {**base, "status": "completed", "output": [item], "usage": _realtime_usage(answer.counts)}
    yield _dated(mark, {"type": "response.done", "response": done}), 0


def _dated(mark: Stamp, payload: Json) -> Json:
    return {**payload, "event_id": f"event_{mark.new_id(24)}"}
