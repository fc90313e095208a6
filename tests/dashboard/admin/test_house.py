"""Settings and maintenance: what is shown, and what is not."""

from pathlib import Path

import pytest

from llm_intercept.store.database import as_text
from tests.dashboard.admin.conftest import Admin


def test_settings_with_where_they_come_from(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    (admin.home.path / "config.toml").write_text(
        '[[webhooks]]\nurl = "https://hooks.example.com/x"\nsecret = "whsec_c2VjcmV0c2VjcmV0c2VjcmV0"\n'
        "[capture]\nretention_days = 7\n"
    )
    monkeypatch.setenv("LLM_INTERCEPT_DRAIN", "12")
    text = admin.get("/settings?changed=yes")
    assert "capture.retention_days" in text
    assert "config.toml" in text
    assert "environment LLM_INTERCEPT_DRAIN" in text
    assert "capture.bodies" not in text
    assert "c2VjcmV0" not in admin.get("/settings")
    assert "No setting matches" in admin.get("/settings?q=nothing-like-it")


def test_settings_that_are_wrong_are_said(admin: Admin) -> None:
    (admin.home.path / "config.toml").write_text("[capture]\nbodie = 1\n")
    answer = admin.visitor.get("/-/llm/manage/settings")
    assert answer.status_code == 400
    assert "is not a setting" in answer.text


def test_backups_and_databases(admin: Admin, tmp_path: Path) -> None:
    text = admin.get("/maintenance")
    assert "There is no backup" in text
    for name in ("usage.db", "control.db", "limits.db"):
        assert name in text
    folder = admin.home.path / "backups"
    folder.mkdir(exist_ok=True)
    (folder / "monday.tar").write_bytes(b"x" * 1234)
    assert "1.2 kB" in admin.get("/maintenance")


def test_what_a_cleanup_would_remove(admin: Admin) -> None:
    assert "There is nothing to remove" in admin.get("/maintenance?cleanup=preview")
    with admin.control() as control:
        control.tokens.create("default", "old")
        with control.database.write() as connection:
            long_ago = as_text(control.database.clock() - 400 * 86_400)
            connection.execute("UPDATE tokens SET revoked_at = ?", (long_ago,))
    text = admin.get("/maintenance?cleanup=preview")
    assert "<td>tokens</td>" in text
    with admin.control() as control:
        assert len(control.tokens.list()) == 1
