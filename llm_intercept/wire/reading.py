"""What a tap found out about one answer. Dialects write into it; the recorder reads it."""

from dataclasses import dataclass, field
from typing import Any

from llm_intercept.wire.fields import mapping, text
from llm_intercept.wire.usage import Usage

TEXT_LIMIT = 1_000_000


@dataclass(slots=True)
class Reading:
    """Times are `perf_counter` values; 0.0 where the thing was not seen."""

    usage: Usage = field(default_factory=Usage)
    model: str = ""
    response_id: str = ""
    finish_reason: str = ""
    error_type: str = ""
    error_message: str = ""
    first_token: float = 0.0
    complete: bool = False  # the terminal event was seen, or the whole document parsed
    text_parts: str = ""  # what was streamed, for estimates; bounded
    model_requested: str = ""  # WebSocket only: what the client's message asked for
    started: float = 0.0  # WebSocket only: when the client asked
    ended: float = 0.0  # WebSocket only: when the terminal event came
    # A dialect's own running counters.
    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    pieces: list[str] = field(default_factory=list, repr=False, compare=False)
    content: bool = field(default=False, repr=False, compare=False)  # a content token was seen
    room: int = field(default=TEXT_LIMIT, repr=False, compare=False)

    def add(self, piece: object) -> None:
        """A piece of content: text, reasoning or the arguments of a tool call."""
        if isinstance(piece, str) and piece:
            self.content = True
            if self.room > 0:
                self.pieces.append(piece[: self.room])
                self.room -= len(piece)

    def identify(self, response_id: object, model: object) -> None:
        if not self.response_id:
            self.response_id = text(response_id, 200)
        if not self.model:
            self.model = text(model, 200)

    def fail(self, error_type: object, message: object) -> None:
        """An error inside an answer that began as a success; the first one counts."""
        if not self.error_type:
            self.error_type = text(error_type, 200) or "error"
            self.error_message = text(message)

    def settle(self) -> None:
        """Joins the collected pieces into `text_parts`."""
        self.text_parts = "".join(self.pieces)


type Payload = dict[str, Any]


def message_of(error: object) -> str:
    """The sentence in an error that is either an object with a message or the sentence itself."""
    if isinstance(error, str):
        return text(error)
    return text(mapping(error).get("message"))
