"""Settings and maintenance: what is shown, and what is not."""

import re
import sys
import tarfile
from pathlib import Path

import pytest

from llm_intercept.store.database import as_text
from tests.dashboard.admin.conftest import Admin, errors, said
from tests.dashboard.conftest import NOW


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


def old_token(admin: Admin) -> None:
    with admin.control() as control:
        control.tokens.create("default", "old")
        with control.database.write() as connection:
            long_ago = as_text(control.database.clock() - 400 * 86_400)
            connection.execute("UPDATE tokens SET revoked_at = ?", (long_ago,))


def test_a_cleanup_shows_what_would_go_and_then_does_it(admin: Admin) -> None:
    assert "There is nothing to remove" in admin.get("/maintenance/cleanup")
    old_token(admin)
    assert re.search(r'<td class="name">tokens</td><td class="right">1<', admin.get("/maintenance/cleanup"))
    with admin.control() as control:
        assert len(control.tokens.list()) == 1
    text = admin.done("/maintenance/cleanup", vacuum="yes")
    assert "Cleanup done" in text
    assert "Removed tokens: 1." in text
    with admin.control() as control:
        assert control.tokens.list() == []
    row = admin.last_audit()
    assert (row.action, row.actor) == ("cleanup.run", "owner")


def test_a_backup_is_made_and_can_be_opened(admin: Admin) -> None:
    assert "There is no backup" in admin.get("/maintenance")
    text = admin.done("/maintenance/backup", secrets="", passphrase="", again="")
    assert "Backup made and checked" in text
    assert "keep <code>secret.key</code> elsewhere" in text
    made = list(admin.home.backups.glob("*.tar"))
    assert len(made) == 1
    with tarfile.open(made[0]) as archive:
        names = archive.getnames()
    assert "control.db" in names
    assert "secret.key" not in names
    row = admin.last_audit()
    assert (row.action, row.object_name, row.outcome) == ("backup.create", made[0].name, "ok")
    assert "the last one is recent" in text


def test_the_key_in_a_backup_is_locked(admin: Admin) -> None:
    words = "correct horse battery staple"
    form = "/maintenance/backup"
    assert "12 characters" in admin.refused(form, secrets="locked")["passphrase"]
    answer = admin.post(form, secrets="locked", passphrase=words, again="something else")
    assert "not the same" in errors(answer.text)["again"]
    assert words not in answer.text
    assert "locked with the passphrase" in admin.done(form, secrets="locked", passphrase=words, again=words)
    with tarfile.open(next(iter(admin.home.backups.glob("*.tar")))) as archive:
        names = archive.getnames()
    assert "secrets.locked" in names
    assert "secret.key" not in names


def test_what_goes_wrong_with_a_backup_is_said(admin: Admin) -> None:
    admin.get("/maintenance")
    admin.home.usage_db.write_bytes(b"no database" * 1000)
    text = admin.done("/maintenance/backup", secrets="")
    assert "Backup failed" in text
    assert not list(admin.home.backups.glob("*.tar"))


def test_a_backup_is_verified_and_fetched(admin: Admin) -> None:
    admin.done("/maintenance/backup", secrets="")
    name = next(iter(admin.home.backups.glob("*.tar"))).name
    text = admin.done(f"/maintenance/backups/{name}/verify")
    assert f"{name} is whole" in text
    link = re.findall('href="([^"]+/file)"', text)
    answer = admin.visitor.get(link[0])
    assert answer.status_code == 200
    assert answer.content == (admin.home.backups / name).read_bytes()
    (admin.home.backups / name).write_bytes(answer.content[:9000])
    text = admin.done(f"/maintenance/backups/{name}/verify")
    assert f"Verification failed: {name}" in text
    assert str(admin.home.path) not in text.partition('id="job"')[2].partition("</section>")[0]
    assert admin.post("/maintenance/backups/other.tar/verify").status_code == 404


def test_one_thing_at_a_time(admin: Admin) -> None:
    """What takes longer is told of, by a page that looks again by itself."""
    jobs = sys.modules["llm_dashboard.admin.jobs"]
    found = jobs.of(admin.visitor.datasette)
    found.last = jobs.Job("a backup", "ada", NOW, said="usage.db 40 %")
    text = admin.get("/maintenance")
    assert '<meta http-equiv="refresh" content="2">' in text
    assert "usage.db 40 %" in text
    assert "under way, begun by ada" in said(admin.done("/maintenance/cleanup"))
    found.last.running = False
    found.last.problem = "no room on the disk"
    text = admin.get("/maintenance")
    assert "http-equiv" not in text
    assert "No room on the disk" in text
