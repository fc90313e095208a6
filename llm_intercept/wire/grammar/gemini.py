"""The chunks of Gemini's streamGenerateContent, on AI Studio and on Vertex.

"If successful, the response body contains a stream of `GenerateContentResponse` instances." `finishReason`:
"Optional. Output only. The reason why the model stopped generating tokens. If empty, the model has not
stopped generating tokens." `Content.role`: "Must be either 'user' or 'model'." `Part`: "A `Part` must only
contain one of the accepted types in `Part.data`." `FunctionCall.args`: "The function parameters and values
in JSON object format." `promptFeedback.blockReason`: "If set, the prompt was blocked and no candidates are
returned. Rephrase the prompt." `usageMetadata`: "Output only. Metadata on the generation requests' token
usage." `responseId`: "Output only. responseId is used to identify each response." An error in the stream is
a `google.rpc.Status` under `error`. (ai.google.dev/api/generate-content, Vertex AI REST reference)
"""

from llm_intercept.wire.grammar._machine import Machine, Raw, is_count, is_text, shown

_DATA = frozenset(
    (
        *("text", "inlineData", "functionCall", "functionResponse", "fileData", "executableCode"),
        *("codeExecutionResult", "toolCall", "toolResponse", "audioTranscription"),
    )
)
# What stands beside the data of a part; a signature may come in a part that has nothing else.
_BESIDE = frozenset(
    ("thought", "thoughtSignature", "videoMetadata", "partMetadata", "mediaResolution", "mediaId")
)
_REASONS = frozenset(
    (
        *("STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST"),
        *("PROHIBITED_CONTENT", "SPII", "MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY", "MODEL_ARMOR"),
        *("IMAGE_PROHIBITED_CONTENT", "IMAGE_OTHER", "NO_IMAGE", "IMAGE_RECITATION"),
        *("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE"),
        *("ESCALATION", "PUP_LIMITED_DISABLED", "CONTINUATION"),
    )
)
_USAGE = ("promptTokenCount", "candidatesTokenCount", "totalTokenCount")
_MOST = 64  # candidates


class Grammar(Machine):
    __slots__ = ("_blocked", "_failed", "_finished", "_id", "_usage")

    def __init__(self, asks_usage: bool = False) -> None:
        super().__init__(asks_usage)
        self._finished: dict[int, bool] = {}  # candidate -> whether its finishReason was given
        self._id: str | None = None
        self._usage = False  # in the latest chunk
        self._blocked = self._failed = False

    def _read(self, event: str, payload: Raw) -> None:
        if self._failed:
            self._say("a chunk after the error")
        if "error" in payload:
            return self._error(payload["error"])
        given = payload.get("responseId")
        if given != self._id and given is not None:
            if self._id is not None:
                self._say("chunks have different responseIds")
            self._id = given
        usage = payload.get("usageMetadata")
        self._usage = usage is not None
        if usage is not None:
            self._counters(usage)
        candidates = payload.get("candidates")
        if candidates:
            for candidate in candidates:
                self._candidate(candidate)
        elif type(payload.get("promptFeedback")) is dict:
            self._blocked = self._blocked or "blockReason" in payload["promptFeedback"]
        elif usage is None:
            self._say("a chunk has neither candidates nor promptFeedback nor usageMetadata")
        return None

    def _counters(self, usage: Raw) -> None:
        """Each may be missing: what is 0 is left out."""
        for name in _USAGE:
            if not is_count(usage.get(name, 0)):
                self._say(f"usageMetadata has a {name} that is no number")

    def _candidate(self, raw: Raw) -> None:
        index = raw.get("index", 0)
        content, reason = raw.get("content"), raw.get("finishReason")
        finished = self._finished.get(index)
        if content is not None:
            self._content(content, finished, index)
        if finished is None:
            if not is_count(index):
                self._say(f"a candidate has the index {shown(index)}")
            self._finished[index] = False
            self._deaf = self._deaf or len(self._finished) > _MOST
        if reason is not None:
            if finished:
                self._say(f"candidate {shown(index)} has a second finishReason")
            if reason not in _REASONS:
                self._say(f"finishReason {shown(reason)} is none that is documented")
            self._finished[index] = True

    def _content(self, content: Raw, finished: bool | None, index: object) -> None:
        parts = content.get("parts")
        if not parts:
            return
        if finished:
            self._say(f"content for candidate {shown(index)} after its finishReason")
        if content.get("role") != "model":
            self._say(f"content has the role {shown(content.get('role'))}, not model")
        for part in parts:
            if len(part) > 1 or "text" not in part:
                self._part(part)
            elif type(part["text"]) is not str:
                self._say("a part has a text that is none")

    def _part(self, part: Raw) -> None:
        data = _DATA.intersection(part)
        if len(data) > 1:
            self._say(f"a part has more than one kind of data: {', '.join(sorted(data))}")
        if not data and _BESIDE.issuperset(part) and "thoughtSignature" not in part:
            self._say("a part has no data")
        if "text" in part and type(part["text"]) is not str:
            self._say("a part has a text that is none")
        if "functionCall" in part:
            self._call(part["functionCall"])

    def _call(self, call: Raw) -> None:
        piecewise = "partialArgs" in call or "willContinue" in call
        if not piecewise and call and not is_text(call.get("name")):
            self._say("a functionCall has no name")
        if call.get("args") is not None and type(call["args"]) is not dict:
            self._say(f"the args of functionCall {shown(call.get('name'))} are not an object")

    def _error(self, error: Raw) -> None:
        if type(error["code"]) is not int or type(error["message"]) is not str:
            raise TypeError
        self._failed = True

    def _end(self) -> None:
        if self._failed or self._blocked:
            return
        if not self._finished:
            self._say("the stream ended without a candidate")
        for index, finished in self._finished.items():
            if not finished:
                self._say(f"the stream ended without a finishReason for candidate {shown(index)}")
        if not self._usage:
            self._say("the last chunk has no usageMetadata")
