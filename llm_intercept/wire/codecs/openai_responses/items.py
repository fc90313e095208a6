"""Items of an input or an output, read: each becomes parts, and parts that belong together become turns."""

from llm_intercept.wire.codecs.openai_responses.content import decode_content
from llm_intercept.wire.codecs.openai_responses.names import Flat, flat
from llm_intercept.wire.codecs.openai_responses.terms import (
    FOREIGN_REASONING,
    NAME,
    OF_CALL,
    REDACTED,
    Members,
    Raw,
    call_mark,
    item_members,
    kept,
    rest,
    untagged,
)
from llm_intercept.wire.fields import objects
from llm_intercept.wire.ir import (
    NO_EXTRAS,
    Message,
    Opaque,
    Part,
    RefusalText,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)

ROLES: dict[str, Role] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "developer",
    "tool": "user",
}
CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
RESULTS = ("function_call_output", "custom_tool_call_output")
BETWEEN = "\n\n"  # summary parts of one reasoning item, as one text
CALL_WORDS = frozenset(("type", "call_id", "name", "namespace", "arguments", "input"))
NO_NAMES: Flat = {}


def string(value: object) -> str:
    return value if isinstance(value, str) else ""


def call(raw: Members, names: Flat = NO_NAMES) -> ToolCall:
    """A function call or a custom tool call."""
    custom = raw.get("type") == "custom_tool_call"
    name, namespace = string(raw.get("name")), string(raw.get("namespace"))
    members = item_members(raw, CALL_WORDS)
    if namespace:
        members |= {"name": name, "namespace": namespace}
    told = string(raw.get(CALLS["custom_tool_call" if custom else "function_call"]))
    return ToolCall(
        string(raw.get("call_id")) or string(raw.get("id")),
        names.get((namespace, name)) or flat(namespace, name),
        told if custom or told.strip() else "{}",
        custom=custom,
        extras=kept(members),
    )


def result(raw: Members) -> ToolResult:
    known = ("type", "call_id", "output", "status")
    return ToolResult(
        string(raw.get("call_id")),
        decode_content(raw.get("output")),
        custom=raw.get("type") == "custom_tool_call_output",
        extras=kept(rest(raw, known)),
    )


def reasoning(raw: Members) -> list[Thinking]:
    """One part, as a rule: the summary as one text. Reasoning beside its summary is a second part."""
    origin, signature = untagged(string(raw.get("encrypted_content")))
    texts = [string(part.get("text")) for part in objects(raw.get("summary"))]
    inner = "".join(string(part.get("text")) for part in objects(raw.get("content")))
    native = not string(raw.get("id")).startswith(FOREIGN_REASONING) and origin in (NAME, "")
    members = _reasoning_members(raw, texts) if native else {}
    found = [thinking(raw, BETWEEN.join(texts), True, native, members)] if any(texts) else []
    if inner:
        found.append(thinking(raw, inner, False, native, members))
    if not found:
        return [thinking(raw, "", True, native, members, signature, origin)]
    last = found[-1]
    found[-1] = thinking(raw, last.text, last.summary, native, members, signature, origin)
    return found


def _reasoning_members(raw: Members, texts: list[str]) -> Raw:
    members: Raw = {"@item": item_members(raw, ("type", "id", "summary", "content", "encrypted_content"))}
    if len(texts) > 1:
        members["@summary"] = texts
    return members


def thinking(
    raw: Members,
    text: str,
    summary: bool,
    native: bool,
    members: Raw,
    signature: str = "",
    origin: str = "",
) -> Thinking:
    whole = origin.endswith(REDACTED)
    return Thinking(
        text,
        signature,
        origin.removesuffix(REDACTED) if signature else "",
        redacted=bool(signature) and not text and (native or whole),
        summary=summary,
        id=string(raw.get("id")) if native else "",
        extras={NAME: members} if native else NO_EXTRAS,
    )


def assistant_parts(raw: Members) -> tuple[Part, ...]:
    """The content of an assistant's message; its texts know the item they stood in."""
    item = item_members(raw, ("type", "role", "content"))
    content = raw.get("content")
    return decode_content([{"type": "output_text", "text": content}] if content == "" else content, item)


def output_parts(raw: Members) -> list[Part]:
    """What one output item says."""
    kind = raw.get("type")
    if kind == "message":
        return list(assistant_parts(raw))
    if kind == "reasoning":
        return list(reasoning(raw))
    if kind in CALLS:
        return [call(raw)]
    return [Opaque(NAME, raw, opaque_text(raw))]


def opaque_text(raw: Members) -> str:
    """Outputs of tools that the client ran, where they are words."""
    return string(raw.get("output"))


class Turns:
    """Collects items into turns: an assistant's reasoning, texts and calls; the results of calls."""

    def __init__(self, names: Flat) -> None:
        self.messages: list[Message] = []
        self._names = names
        self._role: Role = "user"
        self._parts: list[Part] = []

    def add(self, raw: Raw) -> None:
        kind = raw.get("type") or ("message" if "role" in raw else "")
        if kind == "message":
            self._message(raw)
        elif kind == "reasoning":
            self._reasoning(raw)
        elif kind in CALLS:
            self._put("assistant", call(raw, self._names))
        elif kind in RESULTS:
            self._put("user", result(raw))
        else:
            self._put(_opaque_role(raw), Opaque(NAME, raw, opaque_text(raw)))

    def end(self) -> list[Message]:
        if self._parts:
            self.messages.append(Message(self._role, tuple(self._parts)))
            self._parts = []
        return self.messages

    def _put(self, role: Role, *parts: Part) -> None:
        if role != self._role:
            self.end()
            self._role = role
        self._parts.extend(parts)

    def _message(self, raw: Raw) -> None:
        role = ROLES.get(string(raw.get("role")), "user")
        if role != "assistant":
            self.end()
            parts = decode_content(raw.get("content"))
            self.messages.append(
                Message(role, parts, extras=kept(item_members(raw, ("type", "role", "content"))))
            )
            return
        if self._parts and isinstance(self._parts[-1], Text | RefusalText):
            self.end()  # two messages of the assistant stay two
        self._put("assistant", *assistant_parts(raw))

    def _reasoning(self, raw: Raw) -> None:
        origin, signature = untagged(string(raw.get("encrypted_content")))
        dialect, of_call, call_id = origin.partition(OF_CALL)
        if of_call:
            self._sign(call_id, dialect, signature)
        else:
            self._put("assistant", *reasoning(raw))

    def _sign(self, call_id: str, origin: str, signature: str) -> None:
        """The signature of a tool call of this turn, which the client could only carry beside it."""
        for index, part in enumerate(self._parts):
            if isinstance(part, ToolCall) and call_mark(part.id) == call_id:
                self._parts[index] = signed(part, origin, signature)


def signed(part: ToolCall, origin: str, signature: str) -> ToolCall:
    return ToolCall(
        part.id, part.name, part.arguments, signature, origin, part.custom, part.cache, part.extras
    )


def _opaque_role(raw: Members) -> Role:
    """Whose turn an item without a word is in: outputs and approvals are the client's."""
    if raw.get("role") in ROLES:
        return ROLES[raw["role"]]
    kind = string(raw.get("type"))
    answers = kind.endswith("_output") or kind == "mcp_approval_response"
    return "user" if answers else "assistant"
