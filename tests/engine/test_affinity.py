from pathlib import Path

import pytest

from llm_intercept.engine import affinity as module
from llm_intercept.engine.affinity import Affinity, Home
from llm_intercept.home import Home as HomeFolder
from llm_intercept.policy.bound import UNBOUND, Bound
from llm_intercept.store import issuers as store
from llm_intercept.store.issuers import Issuers
from llm_intercept.store.migrate import connect
from llm_intercept.store.usage import write_batch
from tests.store.example import row

RESPONSE = "resp_0a336a93a5b22685006a6398ef3254819d9284bf4afa8ca247"
KIN = "kin:0a336a93a5b22685"
MAIN = ("openai", "main")


def test_by_an_exact_id_then_by_the_conversation() -> None:
    affinity = Affinity()
    affinity.remember("p", ("resp_1", ""), "session:a", *MAIN)
    affinity.remember("p", ("resp_2",), "session:a", "openai", "spare")
    assert affinity.of("p", Bound("key", ("resp_1",)), "session:a") == MAIN
    assert affinity.of("p", Bound("key", ("unknown",)), "session:a") == ("openai", "spare")
    assert affinity.of("p", Bound("provider"), "session:a") == ("openai", "spare")
    assert affinity.of("p", Bound("provider"), "session:b") is None
    assert affinity.of("p", Bound("provider"), "") is None


def test_what_is_not_bound_may_go_anywhere() -> None:
    affinity = Affinity()
    affinity.remember("p", (), "session:a", *MAIN)
    assert affinity.of("p", UNBOUND, "session:a") is None


def test_other_projects_learn_nothing() -> None:
    affinity = Affinity()
    affinity.remember("p", ("resp_1",), "session:a", *MAIN)
    assert affinity.of("q", Bound("key", ("resp_1",)), "session:a") is None


def test_reasoning_leads_to_its_answer() -> None:
    affinity = Affinity()
    affinity.remember("p", (RESPONSE,), "", *MAIN)
    assert affinity.of("p", Bound("key", ("rs_unknown", KIN)), "") == MAIN


def test_what_was_forgotten_is_looked_up_once() -> None:
    asked: list[tuple[str, str]] = []

    def issuer(project: str, response_id: str) -> Home | None:
        asked.append((project, response_id))
        return MAIN if response_id == "resp_1" else None

    affinity = Affinity(issuer)
    for _ in range(3):
        assert affinity.of("p", Bound("key", ("resp_1",), "resp_1"), "") == MAIN
    assert asked == [("p", "resp_1")]
    affinity.remember("p", (), "session:a", "openai", "spare")
    assert affinity.of("p", Bound("key", ("resp_9",), "resp_9"), "session:a") == ("openai", "spare")
    assert affinity.of("p", Bound("key", ("file-1",)), "") is None
    assert asked == [("p", "resp_1"), ("p", "resp_9")]


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    affinity = Affinity()
    for n in range(3):
        affinity.remember("p", (f"file-{n}",), "", *MAIN)
    assert affinity.of("p", Bound("key", ("file-0",)), "") == MAIN  # used: not the oldest any more
    affinity.remember("p", ("file-3",), "", *MAIN)
    known = [affinity.of("p", Bound("key", (f"file-{n}",)), "") is not None for n in range(4)]
    assert known == [True, False, True, True]


@pytest.fixture
def home(tmp_path: Path) -> HomeFolder:
    home = HomeFolder(tmp_path / "home")
    home.ensure()
    return home


def test_the_row_of_an_answer_names_its_issuer(home: HomeFolder) -> None:
    connection = connect(home.usage_db)
    rows = [
        row(0, response_id="resp_1", dialect="openai_responses", project="p", credential="main"),
        row(1, response_id="resp_1", dialect="openai_responses", project="p", credential="later"),
        row(2, response_id="resp_2", dialect="openai_chat", project="p", credential="main"),
    ]
    write_batch(connection, rows)
    issuers = Issuers(home.usage_db)
    assert issuers.of("p", "resp_1") == ("openai", "later")
    assert issuers.of("q", "resp_1") is None
    assert issuers.of("p", "resp_2") is None
    assert issuers.of("p", "") is None
    assert issuers.tokens("q", "resp_1") == 0
    counted = row(1, response_id="resp_1", dialect="openai_responses", project="p")
    assert issuers.tokens("p", "resp_1") == (counted.input_tokens or 0) + (counted.output_tokens or 0) > 0
    plan = connection.execute(f"EXPLAIN QUERY PLAN {store._ISSUER}", ("resp_1", "p")).fetchall()
    assert "requests_response" in str(plan)
    connection.close()
    issuers.close()


def test_a_database_that_cannot_be_read_is_no_fault_of_the_call(
    home: HomeFolder, caplog: pytest.LogCaptureFixture
) -> None:
    home.usage_db.unlink()
    issuers = Issuers(home.usage_db)
    assert issuers.of("p", "resp_1") is None
    assert "cannot be looked up" in caplog.text
    issuers.close()
