"""What the lean master puts in place of mitmproxy's own says the same."""

import asyncio
import logging
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import fields
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import connection, flow, http
from mitmproxy.addonmanager import AddonManager
from mitmproxy.connection import Client
from mitmproxy.exceptions import AddonHalt, OptionsError
from mitmproxy.hooks import Hook, all_hooks
from mitmproxy.options import Options
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers.http import HttpRequestHook
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler
from mitmproxy.proxy.server import TimeoutWatchdog
from mitmproxy.proxy.server_hooks import ClientConnectedHook
from mitmproxy.utils import asyncio_utils

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what mitmproxy's other addons import
    from llm_intercept.cli import lean

HANDLE_HOOK, NAMED = ProxyConnectionHandler.handle_hook, asyncio_utils.set_task_debug_info
NAMES = st.sampled_from(["content-type", "Content-Type", "X-A", "x-a", "x-b", "x-\xe9", "Host", ""])
HEADERS = st.lists(st.tuples(NAMES.map(lambda n: n.encode("latin-1")), st.binary(max_size=6)), max_size=6)


@given(HEADERS, NAMES)
def test_headers_are_found_as_ever(pairs: list[tuple[bytes, bytes]], name: str) -> None:
    headers = http.Headers(pairs)
    assert lean._get_all(headers, name) == headers.get_all(name)
    assert lean._contains(headers, name) == (name in headers)
    assert lean._get(headers, name) == headers.get(name)
    assert lean._get(headers, name, "none") == headers.get(name, "none")


def test_what_is_no_name_is_not_in_headers() -> None:
    assert not lean._contains(http.Headers([(b"a", b"1")]), 5)
    assert lean._contains(http.Headers([(b"a", b"1")]), b"A")


@pytest.mark.parametrize("name", sorted(all_hooks))
def test_hooks_are_given_the_same(name: str) -> None:
    kind = all_hooks[name]
    hook = object.__new__(kind)
    for number, field in enumerate(fields(kind)):
        setattr(hook, field.name, number)
    assert lean._args(hook) == hook.args()
    assert lean._args(hook) == hook.args()  # from what was looked up before


def test_a_context_is_forked_as_ever() -> None:
    context = Context(Client(peername=("::1", 1), sockname=("::1", 2), timestamp_start=0.0), Options())
    context.layers.append("layer")  # type: ignore[arg-type]
    forked = lean._forked(context)
    assert vars(forked) == vars(context.fork()) | {"layers": ["layer"]}
    forked.layers.append("inner")  # type: ignore[arg-type]
    assert context.layers == ["layer"]


# --- hooks

type Log = list[object]
HOOKS = ("request", "client_connected", "update")
DEEDS = ("none", "absent", "plain", "later", "raises", "raises later", "halts", "option", "module", "value")


def a_hook(name: str, deed: str, log: Log) -> object:
    """What an addon has under the name of a hook."""

    def plain(*args: object) -> object:
        log.append((name, *(type(arg).__name__ for arg in args)))
        if deed in ("raises", "halts", "option"):
            raise {"raises": ValueError, "halts": AddonHalt, "option": OptionsError}[deed](name)
        return later() if "later" in deed else "not awaited"

    async def later() -> None:
        await asyncio.sleep(0)
        log.append(f"{name} later")
        if deed == "raises later":
            raise KeyError(name)

    kinds = {"none": None, "module": ModuleType("request"), "value": "no hook"}
    return kinds.get(deed, plain)


def an_addon(number: str, deeds: tuple[str, ...], inner: list[Any], log: Log) -> object:
    found = SimpleNamespace(name=f"addon{number}")
    for hook, deed in zip(HOOKS, deeds, strict=True):
        if deed != "absent":
            setattr(found, hook, a_hook(f"{number} {hook}", deed, log))
    if inner:
        found.addons = [an_addon(f"{number}.{i}", *one, log) for i, one in enumerate(inner)]
    return found


def a_flow() -> http.HTTPFlow:
    client = connection.Client(peername=("::1", 1), sockname=("::1", 2), timestamp_start=0.0)
    return http.HTTPFlow(client, connection.Server(address=None))


async def walked(kind: type[AddonManager], trees: list[Any], log: Log) -> Log:
    """What is called and what is logged, for a hook about a flow and for one about something else."""
    master = SimpleNamespace(options=Options(), commands=SimpleNamespace(collect_commands=lambda addon: None))
    addons = kind(master)
    addons.add(*(an_addon(str(i), *tree, log) for i, tree in enumerate(trees)))
    call = a_flow()
    events: list[Hook] = [HttpRequestHook(call), ClientConnectedHook(call.client_conn)]
    for act in (addons.handle_lifecycle, addons.trigger_event):
        for event in (*events, *events):
            try:
                await act(event)
            except OptionsError as error:
                log.append((type(error), str(error)))
    addons.clear()
    await addons.handle_lifecycle(events[0])
    return log


class Ear(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        said = record.getMessage().partition(" (namespace")[0]
        self.log.append((record.levelname, said, record.exc_info and record.exc_info[0]))


def heard(kind: type[AddonManager], trees: list[Any]) -> Log:
    log: Log = []
    logger, ear = logging.getLogger("mitmproxy.addonmanager"), Ear(log)
    logger.addHandler(ear)
    logger.propagate = False
    try:
        return asyncio.run(walked(kind, trees, log))
    finally:
        logger.removeHandler(ear)
        logger.propagate = True


ONE = st.tuples(*(st.sampled_from(DEEDS) for _ in HOOKS))
TREES = st.recursive(
    st.tuples(ONE, st.just([])), lambda inner: st.tuples(ONE, st.lists(inner, max_size=3)), max_leaves=6
)


@given(st.lists(TREES, min_size=1, max_size=4))
def test_the_same_hooks_are_called_in_the_same_order(trees: list[Any]) -> None:
    """Whatever they do, those of addons inside others included."""
    assert heard(lean.LeanAddons, trees) == heard(AddonManager, trees)


def test_a_hook_that_raises_keeps_those_inside_its_addon_from_being_called() -> None:
    plain, raises = ("plain", "absent", "absent"), ("raises", "absent", "absent")
    log = heard(lean.LeanAddons, [(raises, [(plain, [])]), (plain, [])])
    assert [entry for entry in log if entry[0] != "ERROR"] == [  # type: ignore[index]
        ("0 request", "HTTPFlow"),
        ("1 request", "HTTPFlow"),
    ] * 4


@pytest.mark.parametrize("handle", [HANDLE_HOOK, lean._handle_hook], ids=["theirs", "ours"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_connection_does_not_time_out_while_a_hook_runs(
    handle: Callable[..., Awaitable[None]], fails: bool
) -> None:
    seen: list[object] = []

    async def run() -> None:
        watchdog = TimeoutWatchdog(60, lambda: asyncio.sleep(0))
        watchdog.last_activity = 0.0

        async def lifecycle(hook: Hook) -> None:
            seen.append((hook, watchdog.blocker, watchdog.can_timeout.is_set(), watchdog.last_activity))
            if fails:
                raise KeyError("x")

        addons = SimpleNamespace(handle_lifecycle=lifecycle)
        handler = SimpleNamespace(timeout_watchdog=watchdog, master=SimpleNamespace(addons=addons))
        hook = HttpRequestHook(a_flow())
        watchdog.blocker = 1  # another hook of the same connection
        for blockers in (1, 0):
            watchdog.blocker = blockers
            try:
                await handle(handler, hook)
            except KeyError:
                seen.append("raised")
            seen.append((watchdog.blocker, watchdog.can_timeout.is_set(), watchdog.last_activity > 0))
        assert seen.pop(0) == (hook, 2, False, 0.0)

    asyncio.run(run())
    first, *others = [entry for entry in seen if entry != "raised"]
    assert first == (1, False, False)
    assert others[-1] == (0, True, True)
    assert seen.count("raised") == 2 * fails


@pytest.mark.parametrize("handle", [HANDLE_HOOK, lean._handle_hook], ids=["theirs", "ours"])
def test_a_flow_that_is_intercepted_is_waited_for(handle: Callable[..., Awaitable[None]]) -> None:
    async def run() -> None:
        call = a_flow()

        async def lifecycle(hook: Hook) -> None:
            call.intercept()

        addons = SimpleNamespace(handle_lifecycle=lifecycle)
        watchdog = TimeoutWatchdog(60, lambda: asyncio.sleep(0))
        handler = SimpleNamespace(timeout_watchdog=watchdog, master=SimpleNamespace(addons=addons))
        task = asyncio.ensure_future(handle(handler, HttpRequestHook(call)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert (task.done(), watchdog.blocker) == (False, 1)
        call.resume()
        await task
        assert watchdog.blocker == 0

    asyncio.run(run())


@pytest.mark.parametrize("clients", [(("::1", 1), None), (None, ("::1", 1)), (None, None)])
def test_tasks_are_named_as_ever(monkeypatch: pytest.MonkeyPatch, clients: tuple[Any, ...]) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST", raising=False)  # mitmproxy adds it to the name

    async def named(name: Callable[..., None]) -> tuple[str, object]:
        task = asyncio.ensure_future(asyncio.sleep(10))
        for number, client in enumerate(clients):
            name(task, name=f"task {number}", client=client)
        found = asyncio_utils.task_repr(task)
        task.cancel()
        return found, getattr(task, "client", "none")

    assert asyncio.run(named(lean._named)) == asyncio.run(named(NAMED))


def test_mitmproxy_s_own_are_what_is_compared_with() -> None:
    ours = {lean._handle_hook, lean._named}
    assert not ours & {HANDLE_HOOK, NAMED}
    assert issubclass(http.HTTPFlow, flow.Flow)
