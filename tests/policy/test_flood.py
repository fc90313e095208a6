from llm_intercept.policy.flood import Flood, LeftOut


def test_so_many_from_each_source() -> None:
    flood = Flood(each=2, everywhere=100, window_s=60)
    assert [flood.admit("login", "a", 0.0) for _ in range(4)] == [True, True, False, False]
    assert flood.admit("login", "b", 0.0)
    assert flood.admit("token", "a", 0.0)
    assert list(flood.ended(59.0)) == []
    assert list(flood.ended(60.0)) == [LeftOut("login", "a", 2)]
    assert list(flood.ended(60.0)) == []
    assert flood.admit("login", "a", 60.0)


def test_so_many_from_everywhere() -> None:
    flood = Flood(each=2, everywhere=5)
    assert sum(flood.admit("login", f"10.0.0.{n}", 0.0) for n in range(50)) == 5
    assert list(flood.ended(61.0)) == [LeftOut("login", "*", 45)]


def test_what_was_left_out_is_not_forgotten_before_it_is_told() -> None:
    flood = Flood(each=1)
    assert [flood.admit("login", "a", now) for now in (0.0, 1.0, 200.0, 300.0)] == [True, False, False, False]
    assert list(flood.ended(301.0)) == [LeftOut("login", "a", 3)]


def test_all_of_it_before_the_end() -> None:
    flood = Flood(each=1)
    assert [flood.admit("login", "a", 0.0) for _ in range(2)] == [True, False]
    assert list(flood.ended(1.0, all_of_them=True)) == [LeftOut("login", "a", 1)]


def test_a_clock_that_goes_backwards() -> None:
    flood = Flood(each=1)
    assert flood.admit("login", "a", 1000.0)
    assert flood.admit("login", "a", 10.0)


def test_memory_is_bounded() -> None:
    flood = Flood(each=1, everywhere=10**6, window_s=1.0)
    for number in range(10_000):
        flood.admit("login", str(number), float(number))
    assert len(flood._windows) <= 4100
