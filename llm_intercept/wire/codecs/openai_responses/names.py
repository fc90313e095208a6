"""Tools inside namespaces: one flat name for targets that know none, both parts again for the client.

Codex looks a call up by namespace and name and refuses a flat name, so answers have to carry both. The
flat name is `namespace__name` (what Codex itself writes for providers without namespaces); tools of the
namespace that calls without one belong to keep their own name. Nothing is remembered between calls:
the client's request, which names its tools, is at hand when the answer is written.
"""

import re
from collections.abc import Iterable, Mapping

from llm_intercept.wire.codecs.openai_responses.terms import EMPTY, NEVER, Members, own
from llm_intercept.wire.fields import mapping, objects
from llm_intercept.wire.ir import Request, Tool
from llm_intercept.wire.toolids import fitted

DEFAULT = "functions"
FITTING = re.compile(r"[A-Za-z0-9_-]{1,64}")
UNFIT = re.compile(r"[^A-Za-z0-9_-]")
READABLE = 39  # characters before the digest, so that both are 64 with the line between

type Flat = Mapping[tuple[str, str], str]
"""(namespace, name) -> the name that the IR knows the tool by."""


def flat(namespace: str, name: str) -> str:
    if not namespace or namespace == DEFAULT:
        return name
    joined = f"{namespace}__{name}"
    return fitted(joined, FITTING, f"{UNFIT.sub('_', joined)[:READABLE]}_")


def flat_names(tools: object) -> Flat:
    """Of all namespaced tools of a request: no two tools share a name."""
    known = objects(tools)
    taken = {tool["name"] for tool in known if tool.get("type") != "namespace" and _named(tool)}
    found: dict[tuple[str, str], str] = {}
    for namespace in known:
        if namespace.get("type") != "namespace" or not _named(namespace):
            continue
        for tool in objects(namespace.get("tools")):
            if _named(tool):
                key = (namespace["name"], tool["name"])
                found[key] = _free(*key, taken)
                taken.add(found[key])
    return found


def _free(namespace: str, name: str, taken: set[str]) -> str:
    plain = flat(namespace, name)
    if plain not in taken:
        return plain
    return fitted(f"{namespace}.{name}", NEVER, f"{plain[:READABLE]}_")


def _named(raw: Members) -> bool:
    return isinstance(raw.get("name"), str) and bool(raw["name"])


def namespace_of(tool: Tool) -> Members:
    return mapping(own(tool.extras).get("@namespace"))


def tools_by_name(request: Request | None) -> dict[str, Tool]:
    """The client's tools that are called otherwise than as a function of that name."""
    tools: Iterable[object] = request.tools if request is not None else ()
    found = (tool for tool in tools if isinstance(tool, Tool))
    return {tool.name: tool for tool in found if tool.schema is None or "@namespace" in own(tool.extras)}


def spelling(tool: Tool | None) -> Members:
    """The members that name a call of this tool."""
    if tool is None or "@namespace" not in own(tool.extras):
        return EMPTY
    return {"name": own(tool.extras).get("@name"), "namespace": namespace_of(tool).get("name")}
