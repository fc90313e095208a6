"""schemathesis against the OpenAPI document: no fault, and nothing that the document does not say.

Every operation is asked with values at the edges of its schema and beyond them (coverage), with random ones
(fuzzing), and in chains along the document's links (stateful): what was made is changed, deleted, asked for
again. It also tries without a login whatever needs one.
"""

from pathlib import Path

import pytest

from tests.dashboard.api.served import served

pytestmark = [pytest.mark.live, pytest.mark.timeout(600)]  # thousands of requests; half a minute alone


@pytest.mark.parametrize(
    ("who", "phases", "examples", "least"),
    [
        ("local", "coverage,fuzzing,stateful", 6, 6000),
        ("mia", "fuzzing", 3, 200),  # who may do less is answered by other code
        ("vic", "fuzzing", 3, 200),
    ],
)
def test_the_api_keeps_to_its_document(
    tmp_path: Path, who: str, phases: str, examples: int, least: int
) -> None:
    with served(tmp_path) as dashboard:
        report = dashboard.run(who, phases, examples, seed=20_261_120)
        assert report["failures"] == [], report["said"]
        assert report["errors"] == [], report["said"]
        assert report["operations"]["tested"] == report["operations"]["total"] > 90
        assert report["test_cases"]["generated"] > least, report["said"]
        assert dashboard.get("/users/me", who)[0] == 200, "whoever asked is nobody any more"
