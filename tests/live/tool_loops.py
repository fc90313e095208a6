"""A conversation with tools in a process of its own: client SDK first, then the models to talk to.

Four turns with each model, not streamed and streamed: two calls at once; their results, with images where the
dialect has them; one more call; its result. Prints what the SDK reported of every turn, as JSON.
`CALL=error`: one call with each model; prints what was raised.
"""

import base64
import json
import os
import struct
import sys
import zlib
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.live import sdk_calls

FIRST = "Call get_weather and get_time, please."
THIRD = "And now get_time once more."
SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
NAMES = ("get_weather", "get_time")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = b"".join(
    (
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        _chunk(b"IDAT", zlib.compress(b"\0\xff\0\0")),
        _chunk(b"IEND", b""),
    )
)
IMAGE = base64.b64encode(PNG).decode()


@dataclass
class Turn:
    """`calls`: (id, name, arguments)."""

    text: str = ""
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    finish: str = ""
    usage: list[int] = field(default_factory=list)
    model: str = ""


class Chat:
    tools: ClassVar[Any] = tuple(
        {"type": "function", "function": {"name": n, "parameters": SCHEMA}} for n in NAMES
    )

    def __init__(self, model: str, stream: bool) -> None:
        self.client, self.model, self.stream = sdk_calls.openai(), model, stream
        self.messages: list[Any] = []

    def say(self, text: str) -> Turn:
        self.messages.append({"role": "user", "content": text})
        return self._go()

    def answer(self, turn: Turn, shown: bool) -> Turn:
        for call_id, name, _ in turn.calls:
            self.messages.append({"role": "tool", "tool_call_id": call_id, "content": f"result of {name}"})
        return self._go()

    def _go(self) -> Turn:
        asked: Any = {"model": self.model, "messages": self.messages, "tools": self.tools}
        if self.stream:
            options = {"include_usage": True}
            with self.client.chat.completions.stream(**asked, stream_options=options) as stream:
                answer = stream.get_final_completion()
        else:
            answer = self.client.chat.completions.create(**asked)
        choice = answer.choices[0]
        self.messages.append(choice.message.to_dict())
        calls = [
            (c.id, c.function.name, json.loads(c.function.arguments)) for c in choice.message.tool_calls or ()
        ]
        usage = [answer.usage.prompt_tokens, answer.usage.completion_tokens]
        return Turn(choice.message.content or "", calls, choice.finish_reason, usage, answer.model)


class Responses:
    tools: ClassVar[Any] = tuple(
        {"type": "function", "name": n, "parameters": SCHEMA, "strict": False} for n in NAMES
    )

    def __init__(self, model: str, stream: bool) -> None:
        self.client, self.model, self.stream = sdk_calls.openai(), model, stream
        self.items: list[Any] = []

    def say(self, text: str) -> Turn:
        self.items.append({"role": "user", "content": text})
        return self._go()

    def answer(self, turn: Turn, shown: bool) -> Turn:
        for call_id, name, _ in turn.calls:
            output: Any = [{"type": "input_text", "text": f"result of {name}"}]
            output += [
                {"type": "input_image", "image_url": f"data:image/png;base64,{IMAGE}", "detail": "auto"}
            ]
            self.items.append({"type": "function_call_output", "call_id": call_id, "output": output})
        return self._go()

    def _go(self) -> Turn:
        asked: Any = {"model": self.model, "input": self.items, "tools": self.tools, "store": False}
        if self.stream:
            with self.client.responses.stream(**asked) as stream:
                answer = stream.get_final_response()
        else:
            answer = self.client.responses.create(**asked)
        self.items += [item.to_dict() for item in answer.output]
        made = [item for item in answer.output if item.type == "function_call"]
        calls = [(c.call_id, c.name, json.loads(c.arguments)) for c in made]
        usage = [answer.usage.input_tokens, answer.usage.output_tokens]
        return Turn(answer.output_text, calls, answer.status, usage, answer.model)


class Messages:
    tools: ClassVar[Any] = tuple({"name": n, "input_schema": SCHEMA} for n in NAMES)

    def __init__(self, model: str, stream: bool) -> None:
        self.client, self.model, self.stream = sdk_calls.anthropic(), model, stream
        self.messages: list[Any] = []

    def say(self, text: str) -> Turn:
        self.messages.append({"role": "user", "content": text})
        return self._go()

    def answer(self, turn: Turn, shown: bool) -> Turn:
        source = {"type": "base64", "media_type": "image/png", "data": IMAGE}
        results = []
        for call_id, name, _ in turn.calls:
            content: list[Any] = [{"type": "text", "text": f"result of {name}"}]
            content += shown * [{"type": "image", "source": source}]
            results.append({"type": "tool_result", "tool_use_id": call_id, "content": content})
        self.messages.append({"role": "user", "content": results})
        return self._go()

    def _go(self) -> Turn:
        asked: Any = {"model": self.model, "messages": self.messages, "tools": self.tools, "max_tokens": 500}
        if self.stream:
            with self.client.messages.stream(**asked) as stream:
                answer = stream.get_final_message()
        else:
            answer = self.client.messages.create(**asked)
        self.messages.append({"role": "assistant", "content": [b.to_dict() for b in answer.content]})
        calls = [(b.id, b.name, b.input) for b in answer.content if b.type == "tool_use"]
        text = "".join(b.text for b in answer.content if b.type == "text")
        usage = answer.usage
        read = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        return Turn(
            text, calls, answer.stop_reason, [usage.input_tokens + read, usage.output_tokens], answer.model
        )


class Gemini:
    def __init__(self, model: str, stream: bool) -> None:
        from google.genai import types

        self.client, self.model, self.stream, self.types = sdk_calls.gemini(), model, stream, types
        declared = [types.FunctionDeclaration(name=n, parameters_json_schema=SCHEMA) for n in NAMES]
        off = types.AutomaticFunctionCallingConfig(disable=True)
        self.config = types.GenerateContentConfig(
            tools=[types.Tool(function_declarations=declared)], automatic_function_calling=off
        )
        self.contents: list[Any] = []

    def say(self, text: str) -> Turn:
        self.contents.append(self.types.Content(role="user", parts=[self.types.Part(text=text)]))
        return self._go()

    def answer(self, turn: Turn, shown: bool) -> Turn:
        parts = []
        for call_id, name, _ in turn.calls:
            response = {"output": f"result of {name}"}
            blob = self.types.FunctionResponseBlob(mime_type="image/png", data=PNG)
            image = self.types.FunctionResponsePart(inline_data=blob)
            made = self.types.FunctionResponse(
                id=call_id or None, name=name, response=response, parts=[image] * shown
            )
            parts.append(self.types.Part(function_response=made))
        self.contents.append(self.types.Content(role="user", parts=parts))
        return self._go()

    def _go(self) -> Turn:
        asked: Any = {"model": self.model, "contents": self.contents, "config": self.config}
        if self.stream:
            answers = list(self.client.models.generate_content_stream(**asked))
        else:
            answers = [self.client.models.generate_content(**asked)]
        parts = [p for a in answers if a.candidates for p in a.candidates[0].content.parts or ()]
        self.contents.append(self.types.Content(role="model", parts=parts))
        made = [p.function_call for p in parts if p.function_call]
        usage = answers[-1].usage_metadata
        output = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        calls = [(c.id or "", c.name, c.args) for c in made]
        finish = str(answers[-1].candidates[0].finish_reason.value)
        text = "".join(p.text or "" for p in parts if not p.thought)
        return Turn(text, calls, finish, [usage.prompt_token_count, output], answers[-1].model_version)


class Converse:
    tools: ClassVar[Any] = {
        "tools": [{"toolSpec": {"name": n, "inputSchema": {"json": SCHEMA}}} for n in NAMES]
    }

    def __init__(self, model: str, stream: bool) -> None:
        self.client, self.model, self.stream = sdk_calls.bedrock(), model, stream
        self.messages: list[Any] = []

    def say(self, text: str) -> Turn:
        self.messages.append({"role": "user", "content": [{"text": text}]})
        return self._go()

    def answer(self, turn: Turn, shown: bool) -> Turn:
        content = []
        for call_id, name, _ in turn.calls:
            image = {"image": {"format": "png", "source": {"bytes": PNG}}}
            result: list[Any] = [{"text": f"result of {name}"}, *([image] * shown)]
            content.append({"toolResult": {"toolUseId": call_id, "content": result}})
        self.messages.append({"role": "user", "content": content})
        return self._go()

    def _go(self) -> Turn:
        asked: Any = {"modelId": self.model, "messages": self.messages, "toolConfig": self.tools}
        if self.stream:
            answer = _joined(self.client.converse_stream(**asked)["stream"])
        else:
            answer = self.client.converse(**asked)
        content = answer["output"]["message"]["content"]
        self.messages.append({"role": "assistant", "content": content})
        made = [b["toolUse"] for b in content if "toolUse" in b]
        usage = answer["usage"]
        read = usage.get("cacheReadInputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
        calls = [(c["toolUseId"], c["name"], c["input"]) for c in made]
        text = "".join(b.get("text", "") for b in content)
        return Turn(text, calls, answer["stopReason"], [usage["inputTokens"] + read, usage["outputTokens"]])


def _joined(events: Any) -> Any:
    blocks: dict[int, Any] = {}
    answer: Any = {}
    for event in events:
        ((kind, value),) = event.items()
        if kind == "contentBlockStart":
            blocks[value["contentBlockIndex"]] = {"toolUse": {**value["start"]["toolUse"], "input": ""}}
        if kind == "contentBlockDelta":
            delta, block = value["delta"], blocks.setdefault(value["contentBlockIndex"], {"text": ""})
            if "toolUse" in delta:
                block["toolUse"]["input"] += delta["toolUse"]["input"]
            else:
                block["text"] += delta["text"]
        answer |= value if kind in ("messageStop", "metadata") else {}
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"] or "{}")
    return answer | {"output": {"message": {"content": list(blocks.values())}}}


CLIENTS: dict[str, Any] = {
    "openai_chat": Chat,
    "openai_responses": Responses,
    "anthropic": Messages,
    "gemini": Gemini,
    "bedrock_converse": Converse,
}


def loop(client: str, model: str, stream: bool) -> list[dict[str, Any]]:
    talk = CLIENTS[client](model, stream)
    turns = []
    for said, shown in ((FIRST, True), (THIRD, False)):
        turns.append(talk.say(said))
        while turns[-1].calls:
            # An image goes behind the results where the target has no place in them: that asks once more.
            turns.append(talk.answer(turns[-1], shown and len(turns) == 1))
            assert len(turns) < 8
    return [vars(turn) for turn in turns]


def fault(client: str, model: str, stream: bool) -> dict[str, Any]:
    """What is raised, as an application would see it."""
    try:
        turn = CLIENTS[client](model, stream).say("hello there")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
        response = getattr(error, "response", None)
        if client == "bedrock_converse":
            found = getattr(error, "response", {})
            meta = found.get("ResponseMetadata", {})
            status, headers = meta.get("HTTPStatusCode"), meta.get("HTTPHeaders", {})
            return {
                "name": found.get("Error", {}).get("Code"),
                "status": status,
                "wait": headers.get("retry-after"),
            }
        headers = getattr(response, "headers", {})
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        return {
            "name": type(error).__name__,
            "status": status,
            "wait": headers.get("retry-after"),
            "text": str(error),
        }
    return {"name": "", "turn": vars(turn)}


if __name__ == "__main__":
    act = fault if os.environ.get("CALL") == "error" else loop
    ways = [(model, stream) for model in sys.argv[2:] for stream in (False, True)]
    print(json.dumps({f"{m} {s}": act(sys.argv[1], m, s) for m, s in ways}))
