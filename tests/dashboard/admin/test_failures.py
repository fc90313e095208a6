"""Failures on purpose by their form: set, shown in words, reset."""

import pytest

from llm_intercept.policy.failures import Failures
from tests.dashboard.admin.conftest import Admin, said

PATH = "/failures/project/default/edit"


def of_default(admin: Admin) -> Failures | None:
    with admin.control() as control:
        found = control.failures.find("project", "default")
    return found.failures if found else None


def test_all_of_it_goes_there_and_back(admin: Admin) -> None:
    fields = {
        "error_injection.enabled": "yes",
        "error_injection.error_rates": "429 = 0.1\n500 = 0.05",
        "error_injection.retry_after": "3",
        "timeout.enabled": "yes",
        "timeout.rate": "0.2",
        "response_delay.enabled": "yes",
        "response_delay.min": "0.1",
        "response_delay.max": "0.4",
        "ip_filtering.enabled": "yes",
        "ip_filtering.block": "10.0.0.0/8\n192.0.2.1",
        "stream.enabled": "yes",
        "stream.cut_after_events": "3",
        "slow_tokens.enabled": "yes",
        "slow_tokens.tokens": "5",
        "rate_limiting.enabled": "yes",
        "rate_limiting.requests_per_minute": "30",
        "seed": "7",
    }
    text = admin.done(PATH, **fields)
    assert "10 % get 429" in said(text)
    assert "Failures are being simulated now, for the project default" in text
    found = of_default(admin)
    assert found is not None
    assert found.error_injection.error_rates == {429: 0.1, 500: 0.05}
    assert (found.timeout.rate, found.timeout.seconds, found.seed) == (0.2, None, 7)
    assert found.ip_filtering.block == ("10.0.0.0/8", "192.0.2.1")
    page = admin.get(PATH)
    for shown in ("429 = 0.1", "192.0.2.1", 'value="0.4"', 'value="30"'):
        assert shown in page
    admin.done(PATH, **fields)
    assert of_default(admin) == found


@pytest.mark.parametrize(
    ("fields", "where", "words"),
    [
        ({"error_injection.error_rates": "429"}, "error_injection.error_rates", "not like"),
        ({"error_injection.error_rates": "200 = 0.1"}, "error_injection.error_rates", "400"),
        ({"error_injection.error_rates": "429 = 2"}, "error_injection.error_rates", "1"),
        ({"timeout.rate": "2"}, "timeout.rate", "less than or equal to 1"),
        ({"response_delay.min": "x"}, "response_delay.min", "not a number"),
        ({"ip_filtering.block": "everybody"}, "ip_filtering.block", "no address"),
        ({"stream.garble_at_event": "0"}, "stream.garble_at_event", "greater than or equal to 1"),
        ({"seed": "x"}, "seed", "not a whole number"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(
    admin: Admin, fields: dict[str, str], where: str, words: str
) -> None:
    assert words in admin.refused(PATH, **fields)[where]
    assert of_default(admin) is None


def test_what_is_about_two_fields_is_said_above(admin: Admin) -> None:
    found = admin.refused(PATH, **{"response_delay.min": "9", "response_delay.max": "1"})
    assert "shortest delay" in found[""]


def test_chosen_in_the_list_and_reset(admin: Admin) -> None:
    assert "Nothing is simulated" in admin.get("/failures")
    answer = admin.visitor.get("/-/llm/manage/failures/choose?for=project:default")
    assert answer.headers["location"].endswith(PATH)
    admin.done(PATH, **{"error_injection.enabled": "yes", "error_injection.error_rates": "500 = 1"})
    assert "100 % get 500" in admin.get("/failures/project/default/reset")
    assert "any more" in said(admin.done("/failures/project/default/reset", confirmed="yes"))
    assert of_default(admin) is None


def test_whoever_is_not_there_is_a_404(admin: Admin) -> None:
    assert admin.visitor.get("/-/llm/manage/failures/project/nobody/edit").status_code == 404
    assert admin.visitor.get("/-/llm/manage/failures/planet/mars/edit").status_code == 404
