"""What a provider is: where its traffic goes, how its paths read, and how a credential is put on a request.

A provider's file holds data (`PROVIDER = Provider(...)`) and at most a few small functions for what
data cannot say. It names dialects by string and never imports one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import SecretStr

type Headers = list[tuple[str, str]]
"""Header fields in wire order with their case; names are compared case-insensitively."""


@dataclass(slots=True)
class Outgoing:
    """The request as it will be sent; credentials change it in place.

    `path` is the request target with its query; `body` is None while it streams through unseen.
    `changes` names what a credential or rewrite altered beyond the credential itself; `minted` is a
    secret that was made out of the stored one.
    """

    method: str
    scheme: str
    host: str
    port: int
    path: str
    headers: Headers
    body: bytes | None
    changes: list[str] = field(default_factory=list)
    minted: SecretStr | None = None

    def header(self, name: str) -> str | None:
        wanted = name.lower()
        return next((v for k, v in self.headers if k.lower() == wanted), None)

    def set_header(self, name: str, value: str) -> None:
        """Replaces the value in place, keeping position and the client's spelling; appends if absent."""
        wanted = name.lower()
        for i, (k, _) in enumerate(self.headers):
            if k.lower() == wanted:
                self.headers[i] = (k, value)
                self.headers[i + 1 :] = [h for h in self.headers[i + 1 :] if h[0].lower() != wanted]
                return
        self.headers.append((name, value))

    def drop_header(self, *names: str) -> None:
        gone = {n.lower() for n in names}
        self.headers[:] = [h for h in self.headers if h[0].lower() not in gone]


class CredentialScheme(Protocol):
    """Puts a secret on an outgoing request. `now` is Unix seconds (signatures carry a time)."""

    def __call__(self, request: Outgoing, secret: SecretStr, now: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One kind of path of a provider's API.

    `path` is a regular expression matched against the whole path without query; a group `model`
    gives the model, if the path carries it (percent-decoded by the reader). `stream` says where a
    request asks for a stream: in the body's `stream` field, always by path, or never.
    """

    path: re.Pattern[str]
    operation: str
    dialect: str
    stream: str = "never"  # "body" | "path" | "never"
    methods: tuple[str, ...] = ("POST",)
    upload: bool = False  # bodies may be large files and are streamed through, never parsed
    inject_usage: bool = False  # `stream_options.include_usage` may be asked for on streams
    inject_query: re.Pattern[str] | None = None  # only where this is found in the query (API versions)


GENERATION = frozenset(
    ("chat", "responses", "messages", "generate", "converse", "invoke", "completions", "complete")
)
"""Operations that ask a model for text: any of them can be answered by any other, translated."""

MAPPED = GENERATION | {"embeddings", "count_tokens"}
"""Operations that go where their model's name leads."""

CREATING = frozenset(("files", "batches", "other"))
"""Operations whose POST may leave something behind at the provider."""


@dataclass(frozen=True, slots=True)
class Serving:
    """One way of calling a provider ourselves: `path(model, stream)` is the request target with its query.

    `envelope` names how the body differs from the dialect's own ("bedrock", "vertex": Anthropic's without
    `model` and `stream`, with `anthropic_version`). `models` limits it to ids in which it is found.
    """

    dialect: str
    operation: str
    path: Callable[[str, bool], str]
    envelope: str = ""
    models: re.Pattern[str] | None = None

    def answers(self, dialect: str, operation: str) -> bool:
        """Whether a client's operation can end here; only text and vectors can change their dialect."""
        if operation in GENERATION:
            return self.operation in GENERATION
        return operation == self.operation and (operation == "embeddings" or dialect == self.dialect)


@dataclass(frozen=True, slots=True)
class Provider:
    """A destination for LLM traffic.

    `hosts` are exact names or patterns with `*` for one DNS label part; `base_url` is where base-URL
    clients go and where a bare `/{name}/...` prefix leads (None: the credential must say).
    `ca_names` are the DNS names our root may sign for (exact names or a provider-owned domain,
    never a whole cloud). `not_inference` are paths that pass untouched and unrecorded.
    `price_provider` is the id that genai-prices knows it by. `env` is the usual variable of the key.
    """

    name: str
    title: str
    dialect: str
    hosts: tuple[str, ...]
    base_url: str | None
    endpoints: tuple[Endpoint, ...]
    credential: CredentialScheme
    ca_names: tuple[str, ...] = ()
    not_inference: tuple[re.Pattern[str], ...] = ()
    price_provider: str | None = None
    env: str | None = None
    key_optional: bool = False  # local servers: no credential is needed
    simulated: bool = False  # its answers are made up: rows say so
    model_prefix: str = ""  # models whose name begins so are this provider's, wherever they are asked for
    host_for: Callable[[str, Mapping[str, str]], str | None] | None = None
    """(path, client headers) -> host for base-URL clients: regions and locations are in path or signature."""
    bare: str = ""
    """Path prefix of the API, for base-URL clients that leave it out: `/v1` before `/chat/completions`."""
    serves: tuple[Serving, ...] = ()
    """How it is called when we write the request ourselves, in order of preference."""
    serves_version: Callable[[str], tuple[Serving, ...]] | None = None
    """`serves` for another version of the API (Azure's `api-version`)."""
    vendor_models: bool = False
    """Its own model ids contain slashes: `vendor/model` names no provider of ours there."""
    reasoning: str = ""
    """The form in which all its models take reasoning (`codec.Target.reasoning`); "": each in its own."""
    rejects: frozenset[str] = frozenset()
    """Parameters that it refuses whatever the model (`codec.Target.rejects`)."""
    base_for: Callable[[str | None, SecretStr | None], str | None] | None = None
    """(stored base URL, secret) -> base URL of calls that we write ourselves; ConfigError if that is open."""

    key_problem: Callable[[SecretStr, bool], str] | None = None
    """(secret, whether it is for the provider's own addresses) -> why it cannot be a key; "" if it can."""

    def serving(self, dialect: str, operation: str, model: str = "") -> Serving | None:
        """How a client's call is made here: in its own dialect if that is served, else the preferred one."""
        fitting = [
            s
            for s in self.serves
            if s.answers(dialect, operation) and (s.models is None or s.models.search(model))
        ]
        same = [s for s in fitting if s.dialect == dialect]
        exact = (s for s in same if s.operation == operation)
        return next(exact, None) or next(iter(same or fitting), None)
