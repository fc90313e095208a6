"""What an operation of the API is, and the tables in which the modules of the objects declare theirs.

One declaration routes a request, validates it, shapes its answer and describes it in the OpenAPI document.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, ConfigDict

from llm_dashboard.api.stage import Stage
from llm_intercept.policy.actor import Actor

type Where = Literal["control", "usage", "here", "stream"]
type Scope = Literal["none", "usage", "read", "write"]  # what an API token needs
type Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

_PARAMETER = re.compile(r"\{(\w+)\}")


class Model(BaseModel):
    """The base of everything that is sent to us: what is not known is an error."""

    model_config = ConfigDict(extra="forbid", str_max_length=4000)


class View(BaseModel):
    """The base of everything that we answer."""

    model_config = ConfigDict(from_attributes=True)


class Nothing(Model):
    """No body, or no parameters."""


@dataclass(frozen=True, slots=True)
class Call[Q: BaseModel, B: BaseModel]:
    """One request, read and validated. `path` has the parameters of the path, decoded."""

    actor: Actor
    path: Mapping[str, str]
    query: Q
    body: B
    stage: Stage
    now_us: int
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler returns that wants another status, or headers of its own."""

    value: object
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """`where` says what the handler gets before the call: control.db's management, a connection to usage.db,
    or (`here`: a coroutine) nothing. `stream`: it writes its answer itself.

    `scope` is what an API token needs; `command` names what does the same on the command line, and `commands`
    further ones that this operation stands for. `gives` says where in the answer a value stands for a
    parameter in the paths of the same table; `words` are the schemas of parameters that take few words;
    `files` those of the answer by media type, where it is a file; `codes` are errors that others have not.
    """

    id: str
    method: Method
    path: str
    tag: str
    summary: str
    description: str
    answer: type[BaseModel]
    handler: Callable[..., Any]
    where: Where
    status: int = 200
    query: type[BaseModel] = Nothing
    body: type[BaseModel] = Nothing
    scope: Scope = "read"
    rights: str = ""
    creates: bool = False
    command: str = ""
    commands: tuple[str, ...] = ()
    gives: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    codes: tuple[str, ...] = ()
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        compiled = re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", self.path))
        object.__setattr__(self, "pattern", compiled)

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return _PARAMETER.findall(self.path)

    @property
    def changes(self) -> bool:
        return self.scope == "write"

    @property
    def tagged(self) -> bool:
        """Whether its answer has an ETag, and `If-None-Match` a meaning."""
        return not self.changes and self.where in ("control", "usage")

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters in a path that is still encoded; UnicodeDecodeError for bytes that are no text."""
        found = self.pattern.fullmatch(path)
        if found is None:
            return None
        return {name: unquote_to_bytes(value).decode("utf-8") for name, value in found.groupdict().items()}


@dataclass(slots=True)
class Table:
    """The operations on one kind of object."""

    tag: str
    about: str
    operations: list[Operation] = field(default_factory=list)

    def get(self, path: str, summary: str, answer: type[BaseModel], **more: Any) -> Callable[[Any], Any]:
        return self._add("GET", path, summary, answer, more)

    def post(self, path: str, summary: str, answer: type[BaseModel], **more: Any) -> Callable[[Any], Any]:
        return self._add("POST", path, summary, answer, {"scope": "write", **more})

    def put(self, path: str, summary: str, answer: type[BaseModel], **more: Any) -> Callable[[Any], Any]:
        return self._add("PUT", path, summary, answer, {"scope": "write", **more})

    def patch(self, path: str, summary: str, answer: type[BaseModel], **more: Any) -> Callable[[Any], Any]:
        return self._add("PATCH", path, summary, answer, {"scope": "write", **more})

    def delete(self, path: str, summary: str, answer: type[BaseModel], **more: Any) -> Callable[[Any], Any]:
        return self._add("DELETE", path, summary, answer, {"scope": "write", **more})

    def _add(
        self, method: Method, path: str, summary: str, answer: type[BaseModel], more: dict[str, Any]
    ) -> Callable[[Any], Any]:
        """A decorator; the docstring of what it decorates is the description."""

        def declare[F: Callable[..., Any]](handler: F) -> F:
            values = {"where": "control", **more}
            self.operations.append(
                Operation(
                    id=f"{self.tag}.{handler.__name__.strip('_')}",
                    method=method,
                    path=path,
                    tag=self.tag,
                    summary=summary,
                    description=" ".join((handler.__doc__ or "").split()),
                    answer=answer,
                    handler=handler,
                    **values,
                )
            )
            return handler

        return declare
