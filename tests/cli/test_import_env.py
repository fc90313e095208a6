"""Variables of predecessors become settings and keys; nothing that is there is lost."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from llm_intercept.cli.import_env import parsed
from llm_intercept.policy.models import ModelMap
from llm_intercept.providers import Registry
from llm_intercept.settings import Settings
from llm_intercept.tools import predecessor
from llm_intercept.tools.predecessor_names import NO_COUNTERPART, PLAIN

REGISTRY = Registry({})
KEY = "sk-or-v1-abcdefghijklmnopqrstuv1234"
ROUTER = {"PROVIDER_API_KEY": KEY, "PROVIDER_BASE_URL": "https://openrouter.ai/api/v1"}


@pytest.fixture(autouse=True)
def _no_variables_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "HOST", "PORT", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)


def read(**variables: str) -> dict[str, Any]:
    """The settings by dotted name."""
    plan = predecessor.read(variables, REGISTRY)
    return {".".join(path): value for path, value in plan.settings.items()}


def keys(**variables: str) -> list[tuple[str, str, str, str | None]]:
    plan = predecessor.read(variables, REGISTRY)
    return [(k.provider, k.name, k.secret.get_secret_value(), k.base_url) for k in plan.keys]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (ROUTER, [("openrouter", "default", KEY, None)]),
        ({"PROVIDER_API_KEY": "k1"}, [("openai", "default", "k1", None)]),
        ({"OPENAI_API_KEY": "k2", "OPENAI_BASE_URL": "https://api.openai.com/v1"},
         [("openai", "default", "k2", None)]),
        ({"PROVIDER_API_KEY": "k1", "OPENAI_API_KEY": "k2"}, [("openai", "default", "k1", None)]),
        ({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "https://acme.openai.azure.com/openai/v1"},
         [("azure", "default", "k", "https://acme.openai.azure.com")]),
        ({"PROVIDER_API_KEY": "k", "PROVIDER_BASE_URL": "https://llm.corp.example/v1"},
         [("main", "default", "k", None)]),
        ({"PROVIDER_BASE_URL": "http://localhost:11434/v1"}, []),
        ({"PROVIDER_BASE_URL": "https://eu.api.openai.com/v1", "PROVIDER_API_KEY": "k"},
         [("openai", "default", "k", "https://eu.api.openai.com/v1")]),
        ({"ANTHROPIC_API_KEY": "sk-ant-api03-x"}, [("anthropic", "default", "sk-ant-api03-x", None)]),
        ({"ANTHROPIC_API_KEY": "only-for-clients"}, []),
        ({"PROVIDER_API_KEY": "your-key"}, []),
        ({**ROUTER, "ENABLE_SMALL_ENDPOINT": "true", "SMALL_ENDPOINT": "https://api.groq.com/openai/v1",
          "SMALL_API_KEY": "gsk"}, [("openrouter", "default", KEY, None), ("groq", "small", "gsk", None)]),
        ({**ROUTER, "ENABLE_BIG_ENDPOINT": "true", "BIG_ENDPOINT": "https://big.example/v1"},
         [("openrouter", "default", KEY, None), ("big", "big", KEY, None)]),
        ({**ROUTER, "ENABLE_BIG_ENDPOINT": "false", "BIG_ENDPOINT": "https://big.example/v1"},
         [("openrouter", "default", KEY, None)]),
        ({**ROUTER, "ENABLE_BIG_ENDPOINT": "true", "BIG_ENDPOINT": "https://openrouter.ai/api/v1",
          "BIG_API_KEY": "other"},
         [("openrouter", "default", KEY, None), ("openrouter", "big", "other", None)]),
    ],
)  # fmt: skip
def test_keys(variables: dict[str, str], expected: list[tuple[str, str, str, str | None]]) -> None:
    assert keys(**variables) == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({**ROUTER, "BIG_MODEL": "openai/gpt-5", "SMALL_MODEL": "x"},
         {"models.tiers.big.model": "openai/gpt-5", "models.tiers.big.provider": "openrouter",
          "models.tiers.small.model": "x", "models.tiers.small.provider": "openrouter"}),
        ({"BIG_MODEL": "gpt-4.1", "SMALL_MODEL": "anthropic/claude-haiku-4-5"},
         {"models.tiers.big.model": "gpt-4.1", "models.tiers.big.provider": "openai",
          "models.tiers.small.model": "anthropic/claude-haiku-4-5"}),
        ({**ROUTER, "BIG_MODEL": "ollama/qwen2.5:72b", "SMALL_MODEL": "a/b"},
         {"models.tiers.big.model": "ollama/qwen2.5:72b",
          "models.tiers.small.model": "a/b", "models.tiers.small.provider": "openrouter"}),
        ({"PROVIDER_API_KEY": "k"},
         {"models.tiers.big.model": "gpt-4o", "models.tiers.big.provider": "openai",
          "models.tiers.small.model": "gpt-4o-mini", "models.tiers.small.provider": "openai"}),
        ({"REASONING_EFFORT": "high", "REASONING_EXCLUDE": "true"},
         {"models.effort": "high", "models.exclude": True}),
        ({"REASONING_EFFORT": "high", "REASONING_MAX_TOKENS": "8192", "REASONING_EXCLUDE": "false"},
         {"models.budget": 8192}),
        ({"REASONING_EFFORT": "strong"}, {}),
        ({"CUSTOM_HEADER_X_TITLE": "me", "CUSTOM_HEADER_AUTHORIZATION": "Bearer s"},
         {"models.headers.X-TITLE": "me"}),
        ({"HOST": "mymachine", "PORT": "81", "LOG_LEVEL": "debug", "VERBOSITY": "high"}, {}),
        ({"PROXY_AUTH_KEY": "s", "BIG_MODEL": "a", "SMALL_MODEL": "b", "HOST": "0.0.0.0", "PORT": "8082",
          "LOG_LEVEL": "WARN", "VERBOSITY": "low", "REQUEST_TIMEOUT": "90",
          "AZURE_API_VERSION": "2025-01-01"},
         {"auth": "required", "models.tiers.big.model": "a", "models.tiers.big.provider": "openai",
          "models.tiers.small.model": "b", "models.tiers.small.provider": "openai", "host": "0.0.0.0",
          "port": 8082, "log.level": "warning", "models.verbosity": "low", "timeouts.first_byte": 90.0,
          "providers.azure.api_version": "2025-01-01"}),
        ({"PROXY_AUTH_KEY": "s", "BIG_MODEL": "a", "SMALL_MODEL": "b", "HOST": "mymachine", "PORT": "no",
          "VERBOSITY": "default"},
         {"auth": "required", "models.tiers.big.model": "a", "models.tiers.big.provider": "openai",
          "models.tiers.small.model": "b", "models.tiers.small.provider": "openai"}),
        ({"BIG_MODEL": "a", "SMALL_MODEL": "b", "BIG_MODEL_REASONING": "8k", "SMALL_MODEL_REASONING": "none"},
         {"models.tiers.big.model": "a", "models.tiers.big.provider": "openai",
          "models.tiers.big.budget": 8192,
          "models.tiers.small.model": "b", "models.tiers.small.provider": "openai",
          "models.tiers.small.effort": "none"}),
        ({"ENABLE_CUSTOM_BIG_PROMPT": "true", "BIG_SYSTEM_PROMPT": "Be kind.",
          "ENABLE_CUSTOM_SMALL_PROMPT": "true", "SMALL_SYSTEM_PROMPT": "path:/p/small.md",
          "MIDDLE_SYSTEM_PROMPT_FILE": "unused.md"},
         {"models.tiers.big.system": "Be kind.", "models.tiers.big.system_mode": "replace",
          "models.tiers.small.system_file": "/p/small.md", "models.tiers.small.system_mode": "replace"}),
        ({"OPENAI_BASE_URL": "https://corp.example/v1"},
         {"providers.main.dialect": "openai", "providers.main.base_url": "https://corp.example/v1",
          "providers.main.key_optional": True}),
        ({"OPENAI_BASE_URL": "no url"}, {}),
    ],
)  # fmt: skip
def test_settings(variables: dict[str, str], expected: dict[str, Any]) -> None:
    assert read(**variables) == expected


HYBRID = {
    **ROUTER,
    "BIG_MODEL": "anthropic/claude-opus-4.8:8k",
    "MIDDLE_MODEL": "gpt-4o",
    "SMALL_MODEL": "llama3.1:8b",
    "ENABLE_MIDDLE_ENDPOINT": "true",
    "MIDDLE_ENDPOINT": "https://acme.openai.azure.com",
    "MIDDLE_API_KEY": "azure-key",
    "MIDDLE_AZURE_API_VERSION": "2025-04-01-preview",
    "ENABLE_SMALL_ENDPOINT": "true",
    "SMALL_ENDPOINT": "http://localhost:11434/v1",
    "SMALL_API_KEY": "dummy",
}


def test_a_hybrid_setup_works_as_before(cli, cli_json, home: Path) -> None:
    cli("config", "import-env", env=HYBRID)
    settings = Settings.model_validate(tomllib.loads((home / "config.toml").read_text()))
    models = ModelMap(settings.models, Registry(settings.providers).providers, lambda name: False)
    found = {
        name: (r.provider, r.model)
        for name in ("claude-opus-4-8", "claude-sonnet-5", "claude-haiku-4-5")
        for r in [models.resolve(name, "default", "anthropic", True)]
    }
    assert list(found.values()) == [
        ("openrouter", "anthropic/claude-opus-4.8"), ("azure", "gpt-4o"), ("ollama", "llama3.1:8b"),
    ]  # fmt: skip
    assert settings.providers["azure"].api_version == "2025-04-01-preview"
    stored = {(row["provider"], row["name"], row["base_url"]) for row in cli_json("key", "list")}
    assert stored == {
        ("openrouter", "default", None), ("azure", "middle", "https://acme.openai.azure.com"),
    }  # fmt: skip
    assert not any(KEY.encode() in path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_what_is_in_the_file_stays(cli, home: Path) -> None:
    home.mkdir()
    mine = (
        "# mine\nport = 9000  # not 8082\n\n"
        '[models.tiers.big]\nmodel = "mine/own"\n\n[log]\nlevel = "error"\n'
    )
    (home / "config.toml").write_text(mine)
    env = {**ROUTER, "BIG_MODEL": "theirs", "PORT": "8082", "LOG_LEVEL": "error", "REASONING_EFFORT": "low"}
    result = cli("config", "import-env", env=env)
    text = (home / "config.toml").read_text()
    values = tomllib.loads(text)
    assert all(line in text for line in mine.splitlines() if line)
    assert values["models"]["tiers"]["big"] == {"model": "mine/own"}
    assert values["models"]["effort"] == "low"
    assert values["port"] == 9000
    assert "PORT is deprecated: config.toml has another port; it stays" in result.stdout
    assert "BIG_MODEL is deprecated: config.toml has another models.tiers.big.model" in result.stdout


def test_a_dry_run_changes_nothing(cli, cli_json, home: Path) -> None:
    result = cli("config", "import-env", "--dry-run", env=ROUTER)
    assert not home.exists()
    assert 'model = "gpt-4o"' in result.stdout
    assert KEY not in result.stdout
    found = cli_json("config", "import-env", "--dry-run", env=ROUTER)
    assert found["dry_run"]
    assert {line["variable"]: line["outcome"] for line in found["variables"]}["PROVIDER_API_KEY"] == "key"


def test_a_line_for_every_variable(cli) -> None:
    env = {
        **HYBRID, "PROXY_AUTH_KEY": "s", "CUSTOM_HEADER_X_A": "b", "MAX_RETRIES": "2",
        **dict.fromkeys((p.variable for p in PLAIN), "?"), **dict.fromkeys(NO_COUNTERPART, "1"),
    }  # fmt: skip
    lines = cli("config", "import-env", "--dry-run", env=env).stdout.splitlines()
    for variable in env:
        assert any(line.startswith(f"{variable} is deprecated: ") for line in lines), variable
    assert any(
        "`models.tiers.big.model` in config.toml, or LLM_INTERCEPT_MODELS__TIERS__BIG__MODEL" in line
        for line in lines
    )
    assert "MAX_RETRIES is deprecated: no counterpart yet" in lines


def test_twice_is_as_good_as_once(cli, cli_json, home: Path) -> None:
    cli("config", "import-env", env=HYBRID)
    first = (home / "config.toml").read_bytes()
    again = cli("config", "import-env", env=HYBRID)
    assert "openrouter has a key named 'default' already; it stays" in again.stdout
    assert (home / "config.toml").read_bytes() == first
    assert len(cli_json("key", "list")) == 2


def test_from_a_file(cli, home: Path, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("PROVIDER_API_KEY=k\nBIG_MODEL=gpt-5:high # big\nSMALL_MODEL='gpt-5-nano'\n")
    cli("config", "import-env", "--file", str(file))
    tiers = tomllib.loads((home / "config.toml").read_text())["models"]["tiers"]
    assert (tiers["big"]["model"], tiers["small"]["model"]) == ("gpt-5:high", "gpt-5-nano")


def test_nothing_to_import(cli, home: Path) -> None:
    assert "no variables of a predecessor" in cli("config", "import-env").stdout
    assert not (home / "config.toml").exists()


def test_a_setting_that_would_not_work_is_not_written(cli, home: Path) -> None:
    home.mkdir()
    (home / "config.toml").write_text("[models]\nbudget = 5\n")
    result = cli("config", "import-env", env={"REASONING_EFFORT": "low"}, code=1)
    assert "either effort or budget" in result.stderr
    assert (home / "config.toml").read_text() == "[models]\nbudget = 5\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("A=1", {"A": "1"}), ("export A = 'x # y' # z", {"A": "x # y"}), ('A="b"', {"A": "b"}),
        ("# A=1", {}), ("  # A=1", {}), ("A=", {"A": ""}), ("A=b # c", {"A": "b"}), ("A=b#c", {"A": "b#c"}),
        ("no assignment", {}), ("A='open", {"A": "open"}),
    ],
)  # fmt: skip
def test_env_files(line: str, expected: dict[str, str]) -> None:
    assert parsed(f"{line}\n") == expected
