"""Transactions inside transactions, and what is called after them."""

import pytest

from llm_intercept.errors import Conflict, StoreError
from llm_intercept.store.control import Control

INSERT = "INSERT INTO login_links (digest, created_at, expires_at) VALUES (?, 0, 0)"


def digests(control: Control) -> list[bytes]:
    return [row["digest"] for row in control.database.rows("SELECT digest FROM login_links ORDER BY digest")]


def write(control: Control, digest: bytes, *, fails: bool = False) -> None:
    with control.database.write() as connection:
        connection.execute(INSERT, (digest,))
        control.database.on_commit(lambda: None)
        if fails:
            raise Conflict("no")


def test_one_inside_another_is_kept_with_it(control: Control) -> None:
    with control.database.write():
        write(control, b"a")
        write(control, b"b")
    assert digests(control) == [b"a", b"b"]


def test_the_inner_one_is_undone_alone(control: Control) -> None:
    with control.database.write():
        write(control, b"a")
        with pytest.raises(Conflict):
            write(control, b"b", fails=True)
        write(control, b"c")
    assert digests(control) == [b"a", b"c"]


def test_the_outer_one_undoes_both(control: Control) -> None:
    def outer() -> None:
        with control.database.write():
            write(control, b"a")
            raise Conflict("no")

    with pytest.raises(Conflict):
        outer()
    assert digests(control) == []
    write(control, b"b")
    assert digests(control) == [b"b"]


def test_what_is_to_be_called_is_called_once_after_the_commit(control: Control) -> None:
    called: list[list[bytes]] = []

    def call() -> None:
        assert not control.database.connection.in_transaction
        called.append(digests(control))

    with control.database.write():
        with control.database.write():
            control.database.on_commit(call)
        write(control, b"a")
        control.database.on_commit(call)
        assert called == []
    write(control, b"b")
    assert called == [[b"a"]]


def test_what_the_undone_inner_one_asked_for_is_not_called(control: Control) -> None:
    called: list[str] = []

    def inner() -> None:
        with control.database.write():
            control.database.on_commit(lambda: called.append("inner"))
            raise Conflict("no")

    with control.database.write():
        control.database.on_commit(lambda: called.append("outer"))
        with pytest.raises(Conflict):
            inner()
    assert called == ["outer"]


def test_a_snapshot_inside_a_transaction_sees_it(control: Control) -> None:
    with control.database.write():
        write(control, b"a")
        with control.database.snapshot():
            assert digests(control) == [b"a"]
    with control.database.snapshot():
        assert digests(control) == [b"a"]


def test_a_database_that_cannot_be_written(control: Control) -> None:
    control.database.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match=r"control\.db cannot be written"):
        write(control, b"a")
    control.database.connection.execute("PRAGMA query_only = OFF")
    write(control, b"b")
    assert digests(control) == [b"b"]
