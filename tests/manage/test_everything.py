"""Nothing in control.db is changed past `llm_intercept/manage`, read off the syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# attribute of Control -> module and class of store/
STORES = {
    "users": ("users", "Users"),
    "projects": ("projects", "Projects"),
    "tokens": ("tokens", "Tokens"),
    "credentials": ("credentials", "Credentials"),
    "routes": ("routes", "Routes"),
    "breakers": ("breakers", "BreakerResets"),
    "listeners": ("listeners", "Listeners"),
    "limits": ("limits", "Limits"),
    "failures": ("failures", "FailureSettings"),
}
# The proxy says what has become of a listener; that is no change by anybody, and goes into the log by itself.
REPORTS = {("addons/listeners.py", "listeners", "set_state")}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def mutating(module: str, name: str) -> set[str]:
    """The methods of a class that write, by themselves or by another method of it."""
    body = tree(ROOT / "llm_intercept/store" / f"{module}.py").body
    found = next(node for node in body if isinstance(node, ast.ClassDef) and node.name == name)
    sources = {node.name: ast.unparse(node) for node in found.body if isinstance(node, ast.FunctionDef)}
    writing = {method for method, text in sources.items() if "database.write()" in text}
    while True:
        more = {m for m, text in sources.items() if any(f"self.{w}(" in text for w in writing)} - writing
        if not more:
            return writing - {"__init__"}
        writing |= more


def outside() -> list[Path]:
    found = [
        path
        for folder in ("addons", "llm_intercept", "datasette-plugins")
        for path in (ROOT / folder).rglob("*.py")
    ]
    inner = (ROOT / "llm_intercept/manage", ROOT / "llm_intercept/store")
    return sorted(path for path in found if not any(path.is_relative_to(folder) for folder in inner))


def uses(path: Path) -> Iterator[tuple[str, str]]:
    """(table, method) for `control.TABLE.METHOD`; the method is "" where the table is handed around."""
    parents = {child: node for node in ast.walk(tree(path)) for child in ast.iter_child_nodes(node)}
    for node in parents:
        if isinstance(node, ast.Attribute) and node.attr in STORES:
            owner = ast.unparse(node.value).rpartition(".")[2].removeprefix("_")
            if owner == "control":
                parent = parents[node]
                yield node.attr, parent.attr if isinstance(parent, ast.Attribute) else ""


def test_methods_that_write_are_known() -> None:
    assert mutating("tokens", "Tokens") >= {"create", "create_many", "change", "refresh", "revoke_all"}
    assert mutating("projects", "Projects") >= {"create", "change", "set_capture", "set_active"}
    assert mutating("breakers", "BreakerResets") == {"ask"}
    assert all(mutating(*where) for where in STORES.values())
    assert "list" not in {method for where in STORES.values() for method in mutating(*where)}


@pytest.mark.parametrize("path", outside(), ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_gets_past_the_audit_log(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    for table, method in uses(path):
        if (name, table, method) in REPORTS:
            continue
        assert method, f"{name} hands around control.{table}: use llm_intercept/manage"
        assert method not in mutating(*STORES[table]), f"{name} calls control.{table}.{method}"


def test_the_rule_would_notice() -> None:
    found = {use for path in outside() for use in uses(path)}
    assert ("listeners", "set_state") in found
    assert len(found) > 5
