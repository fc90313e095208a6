import base64
from pathlib import Path

import pytest
from pydantic import SecretStr

from llm_intercept.errors import ConfigError
from llm_intercept.vault import Vault, create_key_file

OLD, NEW, OTHER = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "secret.key"


def test_there_and_back(path: Path) -> None:
    create_key_file(path)
    vault = Vault.load(path, {})
    blob = vault.encrypt(SecretStr("sk-geheim-ü"))
    assert b"geheim" not in blob
    assert vault.decrypt(blob).get_secret_value() == "sk-geheim-ü"
    assert Vault.load(path, {}).decrypt(blob) == vault.decrypt(blob)


def test_a_key_in_front_keeps_secrets_and_digests() -> None:
    old, rotated = Vault([OLD]), Vault([NEW, OLD])
    assert rotated.decrypt(old.encrypt(SecretStr("x"))).get_secret_value() == "x"
    assert rotated.digest("lli_x") == old.digest("lli_x")
    assert Vault([NEW]).decrypt(rotated.encrypt(SecretStr("y"))).get_secret_value() == "y"


def test_digests_need_the_key() -> None:
    assert len(Vault([OLD]).digest("a")) == 32
    assert len({Vault([OLD]).digest("a"), Vault([OLD]).digest("b"), Vault([NEW]).digest("a")}) == 3
    Vault([OLD]).digest("undecodable \udcff")


def test_the_variable_is_preferred(path: Path) -> None:
    create_key_file(path)
    vault = Vault.load(path, {"LLM_INTERCEPT_SECRET_KEY": f"{NEW}, {OLD}"})
    assert vault.digest("a") == Vault([OLD]).digest("a")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no key"),
        ("\n \n", "holds no key"),
        ("short", "not a key"),
        (f"{OLD}\nnonsense!", "not a key"),
        (OLD[:-4], "not a key"),
    ],
)
def test_a_broken_key_file_is_named(path: Path, content: str, message: str) -> None:
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as raised:
        Vault.load(path, {})
    assert str(path) in str(raised.value)
    assert OLD not in str(raised.value)


def test_a_missing_key_file_is_named(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"secret.key is missing; run `llm-intercept init`"):
        Vault.load(path, {})


def test_a_wrong_key_says_what_to_do() -> None:
    blob = Vault([OLD]).encrypt(SecretStr("x"))
    with pytest.raises(ConfigError, match=r"does not fit control.db.*restore the key"):
        Vault([OTHER], "secret.key").decrypt(blob)


def test_a_file_system_without_hard_links(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: Path, target: Path) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr("os.link", link)
    create_key_file(path)
    Vault.load(path, {})
    assert [p.name for p in path.parent.iterdir()] == ["secret.key"]


def test_an_existing_key_is_kept(path: Path) -> None:
    path.write_text(OLD)
    create_key_file(path)
    assert path.read_text() == OLD
    assert [p.name for p in path.parent.iterdir()] == ["secret.key"]
