"""The boundary rules of docs/design.md, asserted over the syntax trees of the whole tree."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = ("addons", "llm_intercept", "datasette-plugins", "bench")
FILE_LIMIT = 400
FUNCTION_LIMIT = 50


def sources(*folders: str) -> list[Path]:
    return sorted(p for folder in folders for p in (ROOT / folder).rglob("*.py"))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def offenders(paths: list[Path], *prefixes: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}: {name}"
        for path in paths
        for name in imports(path)
        if any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)
    ]


def inside(path: Path, *folders: str) -> bool:
    return any(path.is_relative_to(ROOT / folder) for folder in folders)


def test_b1_mitmproxy_stays_at_the_edge():
    allowed = ("addons", "llm_intercept/cli")
    paths = [p for p in sources("llm_intercept", "datasette-plugins") if not inside(p, *allowed)]
    assert not offenders(paths, "mitmproxy")


def test_b1_arrows_point_inward():
    core = [p for p in sources("llm_intercept") if not inside(p, "llm_intercept/cli")]
    assert not offenders(core, "addons", "llm_intercept.cli")
    inner = sources(
        "llm_intercept/wire", "llm_intercept/policy", "llm_intercept/providers", "llm_intercept/store"
    )
    assert not offenders(inner, "llm_intercept.gateway", "llm_intercept.access", "llm_intercept.dispatch")


def test_b2_dialects_are_strangers_to_each_other():
    for path in sources("llm_intercept/wire/dialects"):
        if path.name == "__init__.py":
            continue
        others = [n for n in imports(path) if n.startswith("llm_intercept.wire.dialects.")]
        assert not others, f"{path.relative_to(ROOT)} imports {others}"


def test_b2_grammars_are_strangers_to_each_other():
    for path in sources("llm_intercept/wire/grammar"):
        others = [n for n in imports(path) if n.startswith("llm_intercept.wire.grammar.")]
        assert not [n for n in others if "._machine" not in n], f"{path.name} imports {others}"


def test_b2_providers_name_dialects_by_string():
    assert not offenders(sources("llm_intercept/providers"), "llm_intercept.wire.dialects")


def test_b2_wire_and_policy_are_pure():
    paths = sources("llm_intercept/wire", "llm_intercept/policy")
    impure = (
        "time",
        "random",
        "secrets",
        "socket",
        "os",
        "asyncio",
        "threading",
        "subprocess",
        "sqlite3",
        "aiohttp",
        "uuid",
    )
    assert not offenders(paths, *impure)


def _sql(node: ast.AST) -> bool:
    words = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE TABLE", "PRAGMA ")
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.lstrip().startswith(words)
    )


def test_b3_sql_lives_in_the_store():
    paths = [p for p in sources("addons", "llm_intercept") if not inside(p, "llm_intercept/store")]
    found = [f"{p.relative_to(ROOT)}:{n.lineno}" for p in paths for n in ast.walk(tree(p)) if _sql(n)]
    assert not found


def test_b4_no_tables_keyed_by_id():
    found = [
        f"{p.relative_to(ROOT)}:{n.lineno}"
        for p in sources("addons")
        for n in ast.walk(tree(p))
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name) and n.func.id == "id"
    ]
    assert not found


def _is_text(value: ast.expr) -> bool:
    """A string by its looks: a literal, an f-string, a choice of two, or what `str` gives."""
    if isinstance(value, ast.IfExp):
        return _is_text(value.body) and _is_text(value.orelse)
    made = isinstance(value, ast.Call) and ast.unparse(value.func) == "str"
    return made or isinstance(value, ast.Constant | ast.JoinedStr | ast.Name)


def test_b4_only_strings_in_flow_metadata():
    for path in sources("addons"):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Assign) and "metadata[" in ast.unparse(node.targets[0]):
                assert _is_text(node.value), f"{path.name}:{node.lineno}"


PROVIDERS = {p.stem for p in (ROOT / "llm_intercept/providers").glob("*.py")} | {"sim"}


def test_b5_no_provider_is_named_outside_providers():
    paths = [
        p
        for p in sources("addons", "llm_intercept")
        if not inside(p, "llm_intercept/providers", "llm_intercept/sim")
    ]
    for path in paths:
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Compare) or not ast.unparse(node.left).endswith(
                ("provider", "provider.name")
            ):
                continue
            named = [
                c.value for c in node.comparators if isinstance(c, ast.Constant) and c.value in PROVIDERS
            ]
            assert not named, f"{path.relative_to(ROOT)}:{node.lineno} compares with {named}"


GATES = ("tunnel.py", "identify.py", "portal.py", "authenticate.py", "route.py", "admit.py", "translate.py")
HTTP_HOOKS = {"requestheaders", "request", "responseheaders", "response", "http_connect", "error"}
SOCKET_HOOKS = {"websocket_start", "websocket_message", "websocket_end"}


def hooks(path: Path) -> Iterator[tuple[str, list[str]]]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                if (
                    isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
                    and item.name in HTTP_HOOKS | SOCKET_HOOKS
                ):
                    yield item.name, [ast.unparse(d) for d in item.decorator_list]


@pytest.mark.parametrize("name", GATES)
def test_b6_gates_fail_closed(name: str):
    found = list(hooks(ROOT / "addons" / name))
    assert found
    for hook, decorators in found:
        assert "fail_closed" in decorators, f"{name}: {hook}"


@pytest.mark.parametrize("name", ["record.py", "sockets.py", "watch.py"])
def test_b6_observers_fail_open(name: str):
    assert all("fail_open" in decorators for _, decorators in hooks(ROOT / "addons" / name))


def test_b7_broad_excepts_only_where_a_fault_must_not_escape():
    allowed = {"addons/guard.py", "llm_intercept/wire/pipe.py", "llm_intercept/store/writer.py"}
    for path in sources(*CODE):
        for node in ast.walk(tree(path)):
            broad = isinstance(node, ast.ExceptHandler) and (
                node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
            )
            reraises = broad and any(isinstance(n, ast.Raise) for n in ast.walk(node))
            assert not broad or reraises or str(path.relative_to(ROOT)) in allowed, (
                f"{path.relative_to(ROOT)}:{node.lineno}"
            )


def test_b9_only_the_gateway_and_commands_put_parts_together():
    parts = {"Writer", "Journal", "Registry", "Access", "Dispatch", "Ledger", "Metrics", "Planner"}
    allowed = (
        "llm_intercept/cli",
        "llm_intercept/gateway.py",
        "datasette-plugins",
        "bench",
        "llm_intercept/tools/doctor.py",
    )
    for path in sources("addons", "llm_intercept"):
        if inside(path, *allowed):
            continue
        for node in ast.walk(tree(path)):
            made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in parts
            assert not made, f"{path.relative_to(ROOT)}:{node.lineno}"


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_lengths():
    for path in sources(*CODE):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= FILE_LIMIT, f"{path.relative_to(ROOT)} has {lines} lines"
        for function in _functions(path):
            length = (function.end_lineno or 0) - function.lineno + 1
            assert length <= FUNCTION_LIMIT, f"{path.relative_to(ROOT)}: {function.name} has {length} lines"


def test_addons_are_about_a_screen():
    for path in sources("addons"):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        limit = 300 if path.name == "upstream.py" else 160  # the one that stands in for mitmproxy's own layer
        assert lines <= limit, f"{path.name} has {lines} lines"


def test_modules_say_what_belongs_in_them():
    bare = [
        str(p.relative_to(ROOT))
        for p in sources("addons", "llm_intercept", "bench")
        if not ast.get_docstring(tree(p))
    ]
    assert [p for p in bare if p != "addons/__init__.py"] == []
