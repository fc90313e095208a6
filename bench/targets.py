"""What is compared: the same request to each, over plain HTTP on loopback.

The bare mitmproxies run in reverse mode, so that all see the base-URL request that a client with
`OPENAI_BASE_URL` sends, and all connect to the same upstream.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import traffic
from bench.processes import Process, Processes, free_port
from bench.upstream import FAILING_PREFIX, STREAM_PREFIX

LITELLM_VENV = "BENCH_LITELLM_VENV"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send a request, and the process whose CPU time it costs."""

    name: str
    process: Process
    port: int
    key: str
    stream_model: str = traffic.MODEL

    def call(self) -> bytes:
        return traffic.request(self.host, self.key, traffic.request_body())

    def stream(self, *, ask_usage: bool = True) -> bytes:
        body = traffic.stream_body(ask_usage=ask_usage, model=self.stream_model)
        return traffic.request(self.host, self.key, body, streamed=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"


class Targets:
    """Starts them, each in a folder of its own under `folder`."""

    def __init__(self, processes: Processes, folder: Path, nginx: Process, upstream_port: int) -> None:
        self._processes = processes
        self._folder = folder
        self._nginx = nginx
        self._upstream_port = upstream_port
        self._url = f"http://127.0.0.1:{upstream_port}"

    def all(self) -> list[Target]:
        found = [
            self.direct(),
            self.stock(),
            self.lean("lean", "bare"),
            self.lean("floor", "ours"),
            self.ours(),
        ]
        return [*found, self.litellm(Path(venv))] if (venv := os.environ.get(LITELLM_VENV)) else found

    def direct(self) -> Target:
        return Target("direct", self._nginx, self._upstream_port, "sk-bench")

    def stock(self) -> Target:
        """mitmdump as it comes, silent: no script, no flow printed."""
        port = free_port()
        mitmdump = Path(sys.executable).with_name("mitmdump")
        options = ["--quiet", "--listen-host", "127.0.0.1", "--listen-port", str(port)]
        options += ["--mode", f"reverse:{self._url}", "--set", f"confdir={self._folder / 'stock'}"]
        options += ["--set", "stream_large_bodies=1k"]  # it would hold a stream until its end otherwise
        return self._serve("stock", [str(mitmdump), *options], port)

    def lean(self, name: str = "lean", master: str = "bare") -> Target:
        port = free_port()
        argv = [sys.executable, "-m", "bench.lean", master, str(port), self._url, str(self._folder / name)]
        return self._serve(name, argv, port)

    def ours(
        self, name: str = "ours", config: str = "", providers: Mapping[str, str] | None = None
    ) -> Target:
        """Everything on: a token is required, every call is priced, recorded, logged and counted."""
        port = free_port()
        home = self._folder / f"home-{name}"
        env = {"LLM_INTERCEPT_HOME": str(home), "LLM_INTERCEPT_AUTH": "required"}
        if config:
            home.mkdir()
            (home / "config.toml").write_text(config)
        token = self._prepare_home(env, providers or {"openai": self._url})
        return self._serve(name, [*_CLI, "proxy", "--port", str(port)], port, token, env)

    def translating(self) -> Target:
        """One with models that are another provider's. Both providers stream and do nothing else."""
        streamed = self._url + STREAM_PREFIX
        return self.ours("translating", _TRANSLATING, {"openai": streamed, "anthropic": streamed})

    def routing(self) -> Target:
        """One with two routes, each with a spare: to a provider that answers, to one that fails at once."""
        providers = {"openai": self._url, "mistral": self._url + FAILING_PREFIX}
        target = self.ours("routing", _NO_BREAKER, providers)
        env = {"LLM_INTERCEPT_HOME": str(self._folder / "home-routing")}
        fine, failing = f"openai/{traffic.MODEL}", "mistral/mistral-small"
        _run(env, "route", "set", "fine", "--model", traffic.MODEL, "--to", fine, "--to", failing)
        _run(env, "route", "set", "spared", "--model", traffic.SPARED_MODEL, "--to", failing, "--to", fine)
        return target

    def remembering(self) -> Target:
        """One that stores every answer."""
        return self.ours("remembering", '[cache]\nmode = "on"\nttl = 86400\n')

    def _prepare_home(self, env: dict[str, str], providers: Mapping[str, str]) -> str:
        env = {**env, "BENCH_PROVIDER_KEY": "sk-bench-0123456789abcdef"}

        def run(*words: str) -> str:
            return _run(env, *words)

        run("init")
        for provider, url in providers.items():
            run("key", "add", provider, "--key-env", "BENCH_PROVIDER_KEY", "--base-url", url)
        run("project", "create", "bench")
        created = run("token", "create", "--project", "bench", "--name", "wrk", "--json")
        return str(json.loads(created)["token"])

    def litellm(self, venv: Path) -> Target:
        port = free_port()
        config = self._folder / "litellm.json"  # JSON is YAML
        config.write_text(json.dumps(_litellm_config(self._url)))
        argv = [str(venv / "bin" / "litellm"), "--config", str(config)]
        argv += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        env = {"LITELLM_MASTER_KEY": _LITELLM_KEY, "LITELLM_LOG": "ERROR"}
        return self._serve("litellm", argv, port, _LITELLM_KEY, env, traffic.STREAM_MODEL)

    def _serve(
        self,
        name: str,
        argv: list[str],
        port: int,
        key: str = "sk-bench",
        env: dict[str, str] | None = None,
        stream_model: str = traffic.MODEL,
    ) -> Target:
        process = self._processes.start(argv, self._folder / f"{name}.log", env)
        process.wait_for(port)
        return Target(name, process, port, key, stream_model)


def _run(env: Mapping[str, str], *words: str) -> str:
    done = subprocess.run([*_CLI, *words], env={**os.environ, **env}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"llm-intercept {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


TO_OPENAI, TO_CLAUDE = "bench-openai", "bench-claude"
_TRANSLATING = f"""
[models.aliases]
"{TO_OPENAI}" = "openai/{traffic.MODEL}"
"{TO_CLAUDE}" = "anthropic/{traffic.CLAUDE}"
"""
# The failing target is to be tried each time.
_NO_BREAKER = "[breaker]\nconsecutive = 0\nrate = 0\n"
_CLI = (sys.executable, "-m", "llm_intercept.cli")
_LITELLM_KEY = "sk-bench-litellm"


def _litellm_config(url: str) -> dict[str, object]:
    def model(name: str, base: str) -> dict[str, object]:
        params = {"model": f"openai/{traffic.MODEL}", "api_base": f"{base}/v1", "api_key": "sk-bench"}
        return {"model_name": name, "litellm_params": params}

    models = [model(traffic.MODEL, url), model(traffic.STREAM_MODEL, url + STREAM_PREFIX)]
    return {"model_list": models, "general_settings": {"master_key": _LITELLM_KEY}}
