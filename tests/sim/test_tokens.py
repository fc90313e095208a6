import pytest

from llm_intercept.sim.tokens import PER_MEDIA, PER_MESSAGE, count, pieces, weigh, weigh_messages


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", []),
        ("Hello there", ["Hello", " there"]),
        ("extraordinary", ["extraord", "inary"]),
        ("  two\n\nlines \n", ["  two", "\n\nlines", " \n"]),
        (" ", [" "]),
    ],
)
def test_a_text_is_cut_by_the_rule_and_loses_nothing(text: str, cut: list[str]) -> None:
    assert pieces(text) == cut
    assert "".join(cut) == text
    assert count(text) == len(cut)


def test_only_values_that_are_said_weigh() -> None:
    block = {"type": "text", "text": "one two", "id": "three", "cache_control": {"type": "ephemeral"}}
    assert weigh([block, {"type": "image", "source": {"data": "AAAA"}}]) == 2 + PER_MEDIA
    assert weigh_messages([{"role": "user", "content": [block]}, {"role": "user", "content": "x"}]) == (
        3 + 2 * PER_MESSAGE
    )
