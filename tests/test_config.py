from pathlib import Path
from types import SimpleNamespace

import pytest

from llm_intercept import config
from llm_intercept.errors import ConfigError
from llm_intercept.settings import Settings


def load(
    folder: Path, toml: str | None = None, environ: dict[str, str] | None = None, **overrides: object
) -> config.Loaded:
    file = folder / "config.toml"
    if toml is not None:
        file.write_text(toml, encoding="utf-8")
    dotted = {name.replace("__", "."): value for name, value in overrides.items()}
    return config.load(SimpleNamespace(config_toml=file), environ or {}, dotted)  # type: ignore[arg-type]


def test_without_anything_there_are_the_defaults(tmp_path: Path) -> None:
    loaded = load(tmp_path, environ={"HOME": "/home/someone", "PATH": "/bin"})
    assert loaded.settings == Settings()
    assert set(loaded.sources.values()) == {"default"}
    assert "dashboard.port" in loaded.sources


def test_the_environment_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "port = 9000\n[capture]\nbodies = 'all'\nretention_days = 7\n",
        {"LLM_INTERCEPT_CAPTURE__BODIES": "errors"},
        dashboard__port=8111,
    )
    assert (loaded.settings.port, loaded.settings.capture.bodies, loaded.settings.capture.retention_days) == (
        9000,
        "errors",
        7,
    )
    assert loaded.settings.dashboard.port == 8111
    assert {k: v for k, v in loaded.sources.items() if v != "default"} == {
        "port": "config.toml",
        "capture.bodies": "environment LLM_INTERCEPT_CAPTURE__BODIES",
        "capture.retention_days": "config.toml",
        "dashboard.port": "command line",
    }


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("PORT", "9001", lambda s: s.port == 9001),
        ("USAGE__INJECT", "false", lambda s: s.usage.inject is False),
        ("TIMEOUTS__CONNECT", "2.5", lambda s: s.timeouts.connect == 2.5),
        ("CAPTURE__REDACT", '["a+", "b"]', lambda s: s.capture.redact == ["a+", "b"]),
        ("CAPTURE", '{"bodies": "all"}', lambda s: s.capture.bodies == "all"),
        ("UPSTREAM_CA", "/etc/ca.pem", lambda s: s.upstream_ca == "/etc/ca.pem"),
        (
            "PROVIDERS__RELAY__BASE_URL",
            "https://r.example/v1",
            lambda s: "r.example" in s.providers["relay"].base_url,
        ),
        ("PROVIDERS__RELAY__HOSTS", '["r.example"]', lambda s: s.providers["relay"].hosts == ["r.example"]),
        (
            "PROVIDERS",
            '{"relay": {"dialect": "openai", "key_optional": true}}',
            lambda s: s.providers["relay"].key_optional,
        ),
        ("PRICES", '[{"model": "gpt-*", "input": "1.25"}]', lambda s: str(s.prices[0].input) == "1.25"),
        ("SIM__SEED", "7", lambda s: s.sim.seed == 7),
    ],
)
def test_each_kind_of_value_can_come_from_a_variable(
    tmp_path: Path, name: str, value: str, read: object
) -> None:
    loaded = load(tmp_path, environ={f"LLM_INTERCEPT_{name}": value})
    assert callable(read)
    assert read(loaded.settings)
    assert f"environment LLM_INTERCEPT_{name}" in loaded.sources.values()


def test_variables_and_file_meet_in_one_table(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        "[providers.relay]\ndialect = 'openai'\nbase_url = 'https://a.example'\n",
        {"LLM_INTERCEPT_PROVIDERS__RELAY__BASE_URL": "https://b.example"},
    )
    relay = loaded.settings.providers["relay"]
    assert (relay.dialect, relay.base_url) == ("openai", "https://b.example")


@pytest.mark.parametrize(
    ("toml", "environ", "sentence"),
    [
        ("prot = 1", {}, "{file}: `prot` is not a setting; did you mean port?"),
        (
            "[capture]\nbody = 'all'",
            {},
            "{file}: `capture.body` is not a setting; did you mean capture.bodies?",
        ),
        (
            "[providers.x]\nbase_uri = 'u'",
            {},
            "{file}: `providers.x.base_uri` is not a setting; did you mean providers.x.base_url?",
        ),
        (
            "zzzzzz = 1",
            {},
            "{file}: `zzzzzz` is not a setting; `llm-intercept config show` lists all settings",
        ),
        ("port = \n", {}, "{file}, line 1, column 8, is not valid TOML: Invalid value"),
        ("port = 0", {}, "{file}: `port` should be greater than or equal to 1; it is 0"),
        (
            "port = 'x'",
            {},
            "{file}: `port` should be a valid integer, unable to parse string as an integer; it is 'x'",
        ),
        (
            "[[prices]]\nmodel = 'm'",
            {},
            "{file}: `prices.0.input` is missing",
        ),
        (
            "",
            {"LLM_INTERCEPT_CAPTURE__BODIES": "some"},
            "environment LLM_INTERCEPT_CAPTURE__BODIES: "
            "`capture.bodies` should be 'none', 'errors' or 'all'; it is 'some'",
        ),
        (
            "",
            {"LLM_INTERCEPT_CAPTURE__BODY": "all"},
            "LLM_INTERCEPT_CAPTURE__BODY is not a setting; did you mean LLM_INTERCEPT_CAPTURE__BODIES?",
        ),
        (
            "",
            {"LLM_INTERCEPT_PORT__X": "1"},
            "LLM_INTERCEPT_PORT__X is not a setting; did you mean LLM_INTERCEPT_PORT?",
        ),
        (
            "",
            {"LLM_INTERCEPT_CAPTURE__REDACT": "a+"},
            "LLM_INTERCEPT_CAPTURE__REDACT is a list or a table and must be written as JSON",
        ),
    ],
)
def test_what_is_wrong_is_one_sentence(
    tmp_path: Path, toml: str, environ: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, toml, environ)
    assert str(caught.value) == sentence.format(file=tmp_path / "config.toml")


def test_every_mistake_gets_its_own_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "prot = 1\n[log]\nlevel = 'loud'")
    assert len(str(caught.value).splitlines()) == 2


def test_home_and_key_variables_are_not_settings(tmp_path: Path) -> None:
    environ = {"LLM_INTERCEPT_HOME": "/somewhere", "LLM_INTERCEPT_SECRET_KEY": "k"}
    assert load(tmp_path, environ=environ).settings == Settings()


@pytest.mark.parametrize(
    ("host", "auth"),
    [
        ("127.0.0.1", "open"),
        ("127.8.8.8", "open"),
        ("localhost", "open"),
        ("::1", "open"),
        ("0.0.0.0", "required"),
        ("::", "required"),
        ("10.0.0.5", "required"),
        ("proxy.example", "required"),
        ("", "required"),
    ],
)
def test_off_loopback_a_token_is_required(tmp_path: Path, host: str, auth: str) -> None:
    loaded = load(tmp_path, "auth = 'open'", host=host)
    assert loaded.settings.auth == auth
    assert loaded.sources["auth"].startswith("forced" if auth == "required" else "config.toml")


def test_a_token_can_be_required_on_loopback_as_well(tmp_path: Path) -> None:
    loaded = load(tmp_path, environ={"LLM_INTERCEPT_AUTH": "required"})
    assert (loaded.settings.auth, loaded.sources["auth"]) == ("required", "environment LLM_INTERCEPT_AUTH")


def test_every_variable_that_is_listed_is_understood() -> None:
    listed = config.variables()
    assert "LLM_INTERCEPT_DASHBOARD__SESSION_HOURS" in listed
    assert "LLM_INTERCEPT_PROVIDERS__NAME__BASE_URL" in listed
    assert len(listed) == len(set(listed))
