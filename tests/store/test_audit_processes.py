"""Several processes write at once: one chain, nothing lost, in the database and in the file."""

import json
import subprocess
import sys

from llm_intercept.auditfile import NAME
from llm_intercept.home import Home
from llm_intercept.store.control import Control

WRITERS, ROWS = 3, 60
SCRIPT = """
import sys
from pathlib import Path
from llm_intercept.auditfile import AuditFile
from llm_intercept.home import Home
from llm_intercept.policy.actor import Actor
from llm_intercept.settings import LogSettings
from llm_intercept.store.audit import Audit
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault

home, name, rows = Home(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
control = Control(home.control_db, Vault.load(home.secret_key, {}))
audit = Audit(control.database, AuditFile(home.logs, LogSettings()))
print("ready", flush=True)
sys.stdin.readline()
for number in range(rows):
    audit.record(Actor("cli", name, "admin"), "test.write", after={"number": number})
"""


def test_one_chain(home: Home, control: Control) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(home.path), f"writer{number}", str(ROWS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WRITERS)
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("\n")
            writer.stdin.close()
        assert [writer.wait(timeout=120) for writer in writers] == [0] * WRITERS
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
            assert writer.stdout is not None
            writer.stdout.close()
    rows = control.audit.after(0, 1000)
    assert (control.audit.verify().ok, len(rows)) == (True, WRITERS * ROWS)
    for number in range(WRITERS):
        written = [json.loads(row.after)["number"] for row in rows if row.actor == f"writer{number}"]
        assert written == list(range(ROWS))
    assert len({row.actor for row in rows[: WRITERS * ROWS // 2]}) > 1, "they did not write at the same time"
    lines = (home.logs / NAME).read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [row.id for row in rows]
