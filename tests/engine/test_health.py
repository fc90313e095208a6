import threading
from itertools import pairwise

import pytest

from llm_intercept.engine import health as module
from llm_intercept.engine.health import Health, TargetKey
from llm_intercept.policy.attempts import Failure, FailureKind
from llm_intercept.policy.cooling import Headroom, Room
from llm_intercept.settings import BreakerSettings
from llm_intercept.store.pools import BreakerRow, Changes, KeyRow

START = 1_700_000_000.0  # 2023-11-14T22:13:20Z
SETTINGS = BreakerSettings(consecutive=2, rate=0.5, window=60, minimum=6, open_for=30, longest=100)
A = TargetKey("openai", "main", "gpt")
B = TargetKey("openai", "main", "other")
SPARE = TargetKey("openai", "spare", "gpt")
LEFT = {
    "x-ratelimit-limit-requests": "10",
    "x-ratelimit-remaining-requests": "7",
    "x-ratelimit-reset-requests": "6s",
}
DOWN = Failure("status", 503, message="overloaded")
LIMITED = Failure("status", 429, message="slow down")


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(SETTINGS, clock)


def break_(health: Health, target: TargetKey = A) -> None:
    for _ in range(SETTINGS.consecutive):
        health.failed(target, DOWN, {})


def test_nothing_is_known_of_a_new_target(health: Health) -> None:
    assert health.state(A).usable
    assert health.state(A).reason == ""
    assert health.admit(A)
    assert (health.ttft_ms("openai", "gpt"), health.busy("openai", "gpt")) == (None, 0)
    assert not health.changes()
    assert health.snapshot() == module.Snapshot((), ())


def test_success_alone_writes_nothing(health: Health) -> None:
    for _ in range(100):
        health.succeeded(A, {"content-type": "application/json"}, 10.0)
    assert not health.changes()


@pytest.mark.parametrize(
    ("failure", "headers", "seconds"),
    [
        (LIMITED, {"retry-after": "70"}, 70),
        (LIMITED, {"anthropic-ratelimit-requests-reset": "2023-11-14T22:13:50Z"}, 30),
        (Failure("status", 429, retry_after=33.0, message="slow down"), {}, 33),
        (LIMITED, {}, 15),
        (Failure("status", 401, message="slow down"), {}, 600),
        (Failure("stream_error", 429, message="slow down"), {}, 15),
    ],
)
def test_a_key_cools_down_and_comes_back(
    health: Health, clock: Clock, failure: Failure, headers: dict[str, str], seconds: int
) -> None:
    health.failed(A, failure, headers)
    for target in (A, B):
        found = health.state(target)
        assert not found.usable
        assert found.reason.startswith("cooling until 22:")
        assert found.reason.endswith(f"UTC: {failure.status} slow down")
        assert (found.until, found.broken) == (START + seconds, False)
    assert health.state(SPARE).usable
    assert health.snapshot().cooling == (("openai", "main"),)
    row = health.changes().keys["openai", "main", ""]
    assert (row.cooling_until_us, row.reason) == (
        int((START + seconds) * 1e6),
        f"{failure.status} slow down",
    )
    clock.now += seconds
    assert health.state(A).usable
    assert health.snapshot().cooling == ()
    assert health.snapshot().breakers == ()


def test_a_model_that_a_key_may_not_use_is_refused_for_it_alone(health: Health, clock: Clock) -> None:
    health.failed(A, Failure("status", 403, message="no access"), {})
    assert not health.state(A).usable
    assert health.state(B).usable
    assert health.snapshot().cooling == (("openai", "main"),)
    assert set(health.changes().keys) == {("openai", "main", "gpt")}
    clock.now += 600
    assert health.state(A).usable


def test_it_cools_longer_when_it_is_limited_again(health: Health, clock: Clock) -> None:
    lengths = []
    for _ in range(3):
        for _ in range(50):  # calls under way at the same time count once
            health.failed(A, LIMITED, {})
        until = health.changes().keys["openai", "main", ""].cooling_until_us / 1e6
        lengths.append(until - clock.now)
        clock.now = until
    assert lengths == [15, 30, 60]
    health.succeeded(A, {}, None)
    health.failed(A, LIMITED, {})
    assert health.changes().keys["openai", "main", ""].cooling_until_us == int((clock.now + 15) * 1e6)


@pytest.mark.parametrize("credential", module.NOT_STORED)
@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_clients_own_key_says_nothing_about_others(health: Health, credential: str, status: int) -> None:
    own = TargetKey("openai", credential, "gpt")
    health.failed(own, Failure("status", status), {"retry-after": "9", **LEFT})
    health.succeeded(own, LEFT, 1.0)
    assert health.state(own).usable
    assert not health.changes()


def test_headroom_is_read_once_a_second(health: Health, clock: Clock) -> None:
    health.succeeded(A, LEFT, None)
    row = health.changes().keys["openai", "main", ""]
    assert row.cooling_until_us == 0
    assert '"remaining":7' in row.headroom
    fewer = {**LEFT, "x-ratelimit-remaining-requests": "6"}
    health.succeeded(B, fewer, None)
    assert not health.changes()
    clock.now += 1
    health.succeeded(B, fewer, None)
    assert '"remaining":6' in health.changes().keys["openai", "main", ""].headroom


def test_a_key_with_nothing_left_rests_until_its_reset(health: Health, clock: Clock) -> None:
    health.succeeded(A, {**LEFT, "x-ratelimit-remaining-requests": "0"}, None)
    assert health.state(B).reason == "cooling until 22:13:26 UTC: nothing left of a limit"
    clock.now += 6
    assert health.state(B).usable


@pytest.mark.parametrize("kind", ["connect", "lost", "timeout", "stream_error"])
def test_what_opens_a_breaker(health: Health, kind: FailureKind) -> None:
    health.failed(A, Failure(kind, message="gone"), {})
    assert health.state(A).usable
    health.failed(A, Failure(kind, message="gone"), {})
    assert health.state(A).reason == f"breaker open until 22:13:50 UTC: {kind}: gone"
    assert (health.state(A).until, health.state(A).broken) == (START + 30, True)
    assert not health.admit(A)
    assert health.state(B).usable
    assert health.state(SPARE).usable
    assert health.snapshot().breakers == ((A, "open"),)


@pytest.mark.parametrize(
    "failure",
    [
        Failure("status", 400),
        Failure("status", 404),
        Failure("status", 408),
        Failure("overflow", 400),
        Failure("signature", 400),
    ],
)
def test_a_call_that_is_not_well_breaks_nothing(health: Health, failure: Failure) -> None:
    for _ in range(10):
        health.failed(A, failure, {})
    assert health.state(A).usable
    health.failed(A, DOWN, {})
    health.failed(A, failure, {})
    health.failed(A, DOWN, {})
    assert health.state(A).usable


def test_the_share_of_failures_opens_it_too(health: Health) -> None:
    for _ in range(2):
        health.failed(A, DOWN, {})
        health.succeeded(A, {}, None)
    health.failed(A, DOWN, {})
    assert health.state(A).usable  # five calls only
    health.succeeded(A, {}, None)
    health.failed(A, DOWN, {})
    assert not health.state(A).usable


def test_one_trial_at_a_time(health: Health, clock: Clock) -> None:
    break_(health)
    clock.now += 30
    assert health.state(A).reason == "a trial of an open breaker"
    assert health.admit(A)
    assert not health.admit(A)
    assert health.state(A).reason == "breaker half-open, a trial is under way: 503: overloaded"
    assert (health.state(A).until, health.state(A).broken) == (clock.now + 1, True)
    health.abandoned(A)
    assert health.admit(A)
    health.failed(A, LIMITED, {"retry-after": "0"})  # an answer that says nothing about the target
    assert health.admit(A)
    health.failed(A, DOWN, {})
    assert health.state(A).reason == "breaker open until 22:14:50 UTC: 503: overloaded"
    clock.now += 60
    assert health.admit(A)
    health.succeeded(A, {}, None)
    assert health.state(A) is module.USABLE
    assert [row.state for row in health.changes().breakers.values()] == ["closed"]
    health.failed(A, DOWN, {})
    assert health.state(A).usable  # counting begins anew


def test_every_turn_of_a_breaker_is_written(health: Health, clock: Clock) -> None:
    def told() -> list[tuple[str, int, int]]:
        return [(r.state, r.failures, r.openings) for r in health.changes().breakers.values()]

    health.failed(A, DOWN, {})
    assert told() == []
    health.failed(A, DOWN, {})
    assert told() == [("open", 2, 1)]
    clock.now += 30
    health.admit(A)
    assert told() == [("half_open", 2, 1)]
    health.failed(A, DOWN, {})
    assert told() == [("open", 3, 2)]
    health.probed(A)
    assert told() == [("half_open", 3, 2)]
    health.admit(A)
    health.succeeded(A, {}, None)
    assert told() == [("closed", 0, 0)]


def test_a_probe_lets_a_trial_through_at_once(health: Health) -> None:
    break_(health)
    assert health.open_targets() == [A]
    health.probed(A)
    assert health.open_targets() == []
    assert health.admit(A)
    assert not health.admit(A)


def test_what_is_known_survives_a_restart(health: Health, clock: Clock) -> None:
    break_(health)
    health.failed(SPARE, LIMITED, {"retry-after": "20", **LEFT})
    health.failed(TargetKey("x", "k", "m"), Failure("status", 403), {})
    clock.now += 10
    changes = health.changes()
    second = Health(SETTINGS, clock)
    second.restore(changes.keys.values(), changes.breakers.values())
    for target in (A, B, SPARE, TargetKey("x", "k", "m"), TargetKey("x", "k", "n")):
        assert second.state(target) == health.state(target)
    assert second.snapshot() == health.snapshot()
    assert not second.changes()
    clock.now += 10
    third = Health(SETTINGS, clock)
    third.restore(changes.keys.values(), changes.breakers.values())
    assert third.state(SPARE).usable
    assert third.snapshot().cooling == (("x", "k"),)


def test_a_trial_does_not_survive_a_restart(clock: Clock) -> None:
    row = BreakerRow(*A, "half_open", 2, "503", int((START - 5) * 1e6), 3, int(START * 1e6))
    closed = BreakerRow(*B, "closed", 0, "", 0, 0, int(START * 1e6))
    health = Health(SETTINGS, clock)
    health.restore([KeyRow("openai", "main", "", 0, "", "", 0)], [row, closed])
    assert health.snapshot().breakers == ((A, "half_open"),)
    assert health.admit(A)
    assert not health.admit(A)
    health.failed(A, DOWN, {})
    assert health.changes().breakers[A].until_us == int((START + 100) * 1e6)


@pytest.mark.parametrize(
    ("wanted", "count", "usable"),
    [
        ({}, 5, {A, B, SPARE}),
        ({"provider": "openai"}, 4, {A, B, SPARE}),
        ({"provider": "openai", "credential": "main"}, 3, {A, B}),
        ({"credential": "spare"}, 1, {SPARE}),
        ({"model": "gpt"}, 2, {A}),
        ({"provider": "nobody"}, 0, set()),
    ],
)
def test_reset(health: Health, wanted: dict[str, str], count: int, usable: set[TargetKey]) -> None:
    break_(health)
    break_(health, B)
    health.failed(A, Failure("status", 403), {})
    health.failed(SPARE, LIMITED, {})
    health.failed(TargetKey("x", "k", "m"), LIMITED, {})
    health.changes()
    assert health.reset(**wanted) == count
    assert {t for t in (A, B, SPARE) if health.state(t).usable} == usable
    changes = health.changes()
    assert len(changes.breakers) + len(changes.keys) == count
    assert all(row.state == "closed" for row in changes.breakers.values())
    assert all(row.cooling_until_us == 0 for row in changes.keys.values())


def test_busy_and_time_to_first_token(health: Health) -> None:
    health.started(A)
    health.started(SPARE)
    assert health.busy("openai", "gpt") == 2
    for _ in range(3):
        health.ended(A)
    assert health.busy("openai", "gpt") == 0
    health.ended(TargetKey("never", "seen", "it"))
    health.succeeded(A, {}, 100.0)
    health.succeeded(SPARE, {}, 200.0)
    health.succeeded(A, {}, None)
    assert health.ttft_ms("openai", "gpt") == pytest.approx(120.0)
    assert health.ttft_ms("openai", "other") is None


def test_speeds_and_calls_under_way_are_taken_over(health: Health) -> None:
    health.restore((), (), [("openai", "gpt", 100.0), ("openai", "gpt", 200.0)])
    health.resume({("openai", "gpt"): 3})
    assert health.ttft_ms("openai", "gpt") == pytest.approx(120.0)
    assert health.busy("openai", "gpt") == 3
    health.started(A)
    assert health.busy("openai", "gpt") == 4


def test_names_that_clients_make_up_take_no_more_room(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TARGETS", 8)
    break_(health)
    health.started(B)
    for n in range(100):
        made_up = TargetKey("openai", "main", f"made-up-{n}")
        health.started(made_up)
        health.failed(made_up, Failure("status", 403), {})
        health.ended(made_up)
    assert len(health._targets) == 8
    assert len(health._models) == 8
    assert not health.state(A).usable
    assert health.busy("openai", "other") == 1
    assert len(health._keys["openai", "main"].denied) <= 200


def test_even_troubled_targets_make_room(health: Health, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TARGETS", 4)
    targets = [TargetKey("openai", "main", str(n)) for n in range(10)]
    for target in targets:
        break_(health, target)
    assert [target for target, _ in health.snapshot().breakers] == targets[-4:]
    written = health.changes().breakers
    assert [written[target].state for target in targets] == ["closed"] * 6 + ["open"] * 4


def test_changes_are_taken_by_another_thread(health: Health, clock: Clock) -> None:
    taken, done = Changes(), threading.Event()

    def take() -> None:
        while not done.is_set():
            taken.update(health.changes())
            health.snapshot()

    thread = threading.Thread(target=take)
    thread.start()
    for n in range(2000):
        break_(health, TargetKey("openai", "main", str(n % 100)))
        health.failed(TargetKey("openai", f"key-{n}", "gpt"), LIMITED, {})
        if n % 100 == 99:
            health.reset(credential="main")
    done.set()
    thread.join()
    taken.update(health.changes())
    assert len(taken.keys) == 2000
    assert {row.state for row in taken.breakers.values()} == {"closed"}
    assert len(taken.breakers) == 100


def test_growth_is_bounded_by_doubling(health: Health, clock: Clock) -> None:
    break_(health)
    untils = []
    for _ in range(5):
        clock.now = health.changes().breakers[A].until_us / 1e6
        untils.append(clock.now)
        assert health.admit(A)
        health.failed(A, DOWN, {})
    assert [b - a for a, b in pairwise(untils)] == [60, 100, 100, 100]


def test_headroom_is_kept_as_json(health: Health, clock: Clock) -> None:
    health.succeeded(A, LEFT, None)
    second = Health(SETTINGS, clock)
    second.restore(health.changes().keys.values(), [])
    assert second._keys["openai", "main"].headroom == Headroom(Room(10, 7, START + 6))
