import json
import shutil
import subprocess
import urllib.request

import pytest

from llm_intercept import environment
from llm_intercept.errors import ConfigError

URL = "http://127.0.0.1:8080"
BUNDLE = "/home/x/certs/bundle.pem"


def test_every_client_finds_proxy_and_roots() -> None:
    values = environment.variables(URL, BUNDLE, {})
    assert values["HTTPS_PROXY"] == values["https_proxy"] == URL
    assert values["NO_PROXY"] == values["no_proxy"] == "localhost,127.0.0.1,::1"
    assert values["NODE_USE_ENV_PROXY"] == "1"
    expected = (
        "SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NODE_EXTRA_CA_CERTS AWS_CA_BUNDLE GIT_SSL_CAINFO"
    )
    expected += " CARGO_HTTP_CAINFO CODEX_CA_CERTIFICATE DENO_CERT GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
    assert {values[name] for name in expected.split()} == {BUNDLE}
    assert "HTTP_PROXY" not in values
    assert "OPENAI_API_KEY" not in values


@pytest.mark.parametrize(
    ("environ", "no_proxy"),
    [
        ({"NO_PROXY": "corp.example, 10.0.0.1"}, "localhost,127.0.0.1,::1,corp.example,10.0.0.1"),
        ({"no_proxy": "corp.example"}, "localhost,127.0.0.1,::1,corp.example"),
        ({"NO_PROXY": "a", "no_proxy": "a,b"}, "localhost,127.0.0.1,::1,a,b"),
        ({"NO_PROXY": "*"}, "localhost,127.0.0.1,::1"),
    ],
)
def test_exclusions_of_the_user_are_kept(environ: dict[str, str], no_proxy: str) -> None:
    assert environment.variables(URL, BUNDLE, environ)["NO_PROXY"] == no_proxy


@pytest.mark.parametrize(
    ("environ", "set_to_token"),
    [
        ({}, {"OPENAI_API_KEY", "ANTHROPIC_API_KEY"}),
        ({"OPENAI_API_KEY": ""}, {"OPENAI_API_KEY", "ANTHROPIC_API_KEY"}),
        ({"OPENAI_API_KEY": "sk-own"}, {"ANTHROPIC_API_KEY"}),
        ({"ANTHROPIC_AUTH_TOKEN": "own"}, {"OPENAI_API_KEY"}),
    ],
)
def test_a_token_attributes_every_call_and_replaces_only_missing_keys(
    environ: dict[str, str], set_to_token: set[str]
) -> None:
    names = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY")
    values = environment.variables(URL, BUNDLE, environ, token="lli_abc", key_variables=names)
    assert values["HTTPS_PROXY"] == "http://token:lli_abc@127.0.0.1:8080"
    assert {name for name in names if values.get(name) == "lli_abc"} == set_to_token


@pytest.mark.parametrize(
    ("url", "with_token"),
    [
        ("http://127.0.0.1:8080", "http://token:t@127.0.0.1:8080"),
        ("http://old:one@[::1]:8080", "http://token:t@[::1]:8080"),
        ("http://proxy.example:80/", "http://token:t@proxy.example:80/"),
    ],
)
def test_the_token_in_the_proxy_url(url: str, with_token: str) -> None:
    assert environment.with_token(url, "t") == with_token


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:8080"),
        ("10.0.0.9", "http://10.0.0.9:8080"),
        ("proxy.example", "http://proxy.example:8080"),
    ],
)
def test_where_a_client_reaches_the_proxy(host: str, url: str) -> None:
    assert environment.proxy_url(host, 8080) == url


AWKWARD = {"A": "plain", "B": "with space", "C": 'it\'s $HOME \\ "q" `x`'}


def test_sh_reads_back_what_was_written() -> None:
    script = environment.render(AWKWARD, "sh") + '\nprintf "%s\\n" "$A" "$B" "$C"'
    assert subprocess.check_output(["sh", "-c", script], text=True).splitlines() == list(AWKWARD.values())


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish")
def test_fish_reads_back_what_was_written() -> None:
    script = environment.render(AWKWARD, "fish") + '\nprintf "%s\\n" "$A" "$B" "$C"'
    assert subprocess.check_output(["fish", "-c", script], text=True).splitlines() == list(AWKWARD.values())


@pytest.mark.parametrize(
    ("shell", "text"),
    [
        ("fish", "set -gx N 'it\\'s \\\\'"),
        ("powershell", "$Env:N = 'it''s \\'"),
        ("json", json.dumps({"N": "it's \\"}, indent=2)),
    ],
)
def test_other_shells(shell: str, text: str) -> None:
    assert environment.render({"N": "it's \\"}, shell) == text


def test_an_unknown_shell_is_named() -> None:
    with pytest.raises(ConfigError, match="tcsh is not a known shell"):
        environment.render({}, "tcsh")


def test_python_takes_the_token_from_the_proxy_url() -> None:
    """urllib, like requests and httpx, sends the URL's user and password as Proxy-Authorization."""
    url = environment.with_token(URL, "lli_abc")
    parsed = urllib.request._parse_proxy(url)  # type: ignore[attr-defined]
    assert parsed[1:3] == ("token", "lli_abc")
