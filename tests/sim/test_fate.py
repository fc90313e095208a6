import pytest

from llm_intercept.settings import SimSettings
from llm_intercept.sim.fate import Dice, behaviour_of


@pytest.mark.parametrize(
    ("model", "behaviour"),
    [
        ("sim/lorem", "lorem"),
        ("sim-error-429", "error-429"),
        ("sim.cut", "cut"),
        ("sim/think:latest", "think"),
        ("openai/sim/slow", "slow"),
        ("gpt-4o", "echo"),
        ("my-sim/echoes", "echo"),
        ("", "echo"),
    ],
)
def test_a_name_selects_a_behaviour(model: str, behaviour: str) -> None:
    assert behaviour_of(model) == behaviour


def test_a_seed_repeats_errors_cuts_and_ids() -> None:
    settings = SimSettings(error_rate=0.3, cut_rate=0.3, seed=5)

    def roll() -> list[object]:
        dice = Dice(settings)
        return [(dice.fate("gpt-4o"), dice.id()) for _ in range(200)]

    assert roll() == roll()
    fates = [fate for fate, _ in roll()]  # type: ignore[misc]
    assert {f.failure.status for f in fates if f.failure} == {429, 500}
    assert 30 < sum(f.failure is not None for f in fates) < 90
    assert 30 < sum(f.cut for f in fates) < 90
