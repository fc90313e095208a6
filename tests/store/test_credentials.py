import pytest
from pydantic import SecretStr

from llm_intercept.errors import ConfigError, Conflict, NotFound
from llm_intercept.store.control import Control

KEY = SecretStr("sk-proj-0123456789abcdef\n")


def test_what_is_shown_of_a_key(control: Control) -> None:
    added = control.credentials.add("openai", KEY)
    assert (added.provider, added.name, added.hint, added.enabled) == (
        "openai",
        "default",
        "sk-...cdef",
        True,
    )
    assert control.credentials.list() == control.credentials.list("openai") == [added]
    assert control.credentials.list("anthropic") == []
    assert "0123" not in repr(added)


def test_line_ends_are_no_part_of_a_key(control: Control) -> None:
    control.credentials.add("openai", KEY)
    control.refresh()
    stored = control.credential("openai")
    assert stored is not None
    assert stored.secret.get_secret_value() == "sk-proj-0123456789abcdef"
    assert "0123" not in repr(stored)


def test_another_key_counts_for_the_very_next_call(control: Control) -> None:
    made = control.credentials.add("openai", KEY, weight=3)
    control.refresh()
    changed = control.credentials.replace("openai", "default", SecretStr("sk-proj-another-0123456789\n"))
    control.refresh()
    stored = control.credential("openai")
    assert stored is not None
    assert stored.secret.get_secret_value() == "sk-proj-another-0123456789"
    assert (changed.id, changed.hint, changed.weight) == (made.id, "sk-...6789", 3)
    with pytest.raises(ConfigError, match="the key is empty"):
        control.credentials.replace("openai", "default", SecretStr(" "))
    with pytest.raises(NotFound):
        control.credentials.replace("openai", "other", KEY)


def test_a_local_server_may_have_no_key(control: Control) -> None:
    added = control.credentials.add("ollama", SecretStr(""), base_url="http://10.0.0.5:11434/")
    assert (added.hint, added.base_url) == ("...", "http://10.0.0.5:11434")


def test_switching_and_removing(control: Control) -> None:
    control.credentials.add("openai", KEY)
    assert not control.credentials.disable("openai", "default").enabled
    assert control.credentials.enable("openai", "default").enabled
    assert control.credentials.remove("openai", "default").name == "default"
    assert control.credentials.list() == []


def test_a_key_of_several_lines_is_a_document_or_a_mistake(control: Control) -> None:
    with pytest.raises(ConfigError, match="line break"):
        control.credentials.add("openai", SecretStr("sk-abcdefghij\nklmnopqrst"))
    document = SecretStr('{\n"client_email": "a@b.example"\n}')
    assert control.credentials.add("vertex", document).hint == "a@b.example"


@pytest.mark.parametrize(
    "url",
    [
        *("relay.example", "ftp://relay.example", "https://", "https://x:99999/", "http://[x", "https://x:0"),
        *("https://a..example", f"https://{64 * 'a'}.example", "https://x/v1?key=k", "https://u:p@x.example"),
    ],
)
def test_base_urls_that_are_none(control: Control, url: str) -> None:
    with pytest.raises(ConfigError, match="is no base URL for openai"):
        control.credentials.add("openai", KEY, base_url=url)


def test_errors(control: Control) -> None:
    control.credentials.add("openai", KEY)
    with pytest.raises(Conflict, match=r"key named 'default' already.*--name"):
        control.credentials.add("openai", KEY)
    with pytest.raises(NotFound, match="no key 'x' for openai"):
        control.credentials.disable("openai", "x")
    with pytest.raises(ConfigError, match="the key is empty"):
        control.credentials.add("mistral", SecretStr(" "))
    with pytest.raises(ConfigError, match="cannot be the name of a key"):
        control.credentials.add("openai", KEY, name="a b")
