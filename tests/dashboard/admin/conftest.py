"""An admin in front of the forms of an empty home, and what a page says about a form."""

import contextlib
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from llm_intercept.home import Home
from llm_intercept.store.audit_rows import AuditRow
from llm_intercept.store.control import Control
from llm_intercept.vault import Vault
from tests.dashboard.conftest import Visitor, log_in

MANAGE = "/-/llm/manage"


@dataclass
class Admin:
    """`home` is the one behind the visitor's dashboard."""

    visitor: Visitor
    home: Home

    def get(self, path: str) -> str:
        """The page; the path begins below the pages of administration unless it says otherwise."""
        answer = self.visitor.get(_whole(path))
        assert answer.status_code == 200, (path, answer.status_code)
        assert answer.headers["cache-control"] == "private, no-store"
        return str(answer.text)

    def post(self, path: str, **fields: Any) -> Any:
        self.visitor.cookies.pop("ds_messages", None)  # a browser has shown and forgotten them
        return self.visitor.post(_whole(path), data=fields)

    def done(self, path: str, **fields: Any) -> str:
        """Sends a form that is right; returns the page that it leads to."""
        answer = self.post(path, **fields)
        assert answer.status_code == 303, (errors(answer.text), alert(answer.text))
        found = self.visitor.get(answer.headers["location"])
        assert found.status_code == 200
        return str(found.text)

    def refused(self, path: str, **fields: Any) -> dict[str, str]:
        """Sends a form that is wrong; returns what is said at its fields ("" is the form's own)."""
        answer = self.post(path, **fields)
        assert answer.status_code == 400
        for name, value in fields.items():
            if value and isinstance(value, str) and name not in ("secret", "confirmed"):
                assert html.escape(value).replace("&#x27;", "&#39;") in answer.text, f"{name} is not kept"
        found = errors(answer.text)
        return found or {"": alert(answer.text)}

    @contextlib.contextmanager
    def control(self) -> Iterator[Control]:
        control = Control(self.home.control_db, Vault.load(self.home.secret_key, {}))
        with contextlib.closing(control):
            yield control

    def last_audit(self) -> AuditRow:
        with self.control() as control:
            return max(control.audit.after(0, 1000), key=lambda row: row.id)


def _whole(path: str) -> str:
    return path if path.startswith("/-/") else MANAGE + path


def errors(text: str) -> dict[str, str]:
    found = re.findall(r'class="field-error" id="f-([^"]+)-error">([^<]*)<', text)
    return {name: html.unescape(said) for name, said in found}


def alert(text: str) -> str:
    found = re.search(r'role="alert">(.*?)</', text, re.DOTALL)
    return html.unescape(found[1]).strip() if found else ""


def said(text: str) -> str:
    """What the page says was done."""
    found = re.search(r'class="said[^"]*" role="(?:status|alert)">(.*?)</p>', text, re.DOTALL)
    return html.unescape(found[1]) if found else ""


@pytest.fixture
def admin(visit: Any, empty: Home) -> Admin:
    visitor = visit(empty)
    log_in(visitor, empty)
    return Admin(visitor, empty)
