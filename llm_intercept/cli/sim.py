"""`llm-intercept sim`: the provider simulator as a server of its own."""

import asyncio
import json
import os
import signal
from pathlib import Path

import click

from llm_intercept import config
from llm_intercept.cli.ports import claim
from llm_intercept.errors import ConfigError
from llm_intercept.home import Home
from llm_intercept.settings import SimSettings
from llm_intercept.sim.local import located

_EXAMPLES = """\
Simulator listening on {address}  (Ctrl+C stops it)

  curl {address}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{{"model": "sim/echo", "messages": [{{"role": "user", "content": "hello"}}]}}'

  OPENAI_BASE_URL={address}/v1  ANTHROPIC_BASE_URL={address}  GOOGLE_GEMINI_BASE_URL={address}

Models:
{models}
  any other name behaves like sim/echo

What reached it: GET {address}/__sim/requests (DELETE clears)"""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8090, show_default=True, help="Port; 0 picks a free one."
)
@click.option("--latency-ms", type=float, help="Time to the first token.  [default: 20]")
@click.option("--tokens-per-second", type=float, help="Pace of answers; 0: at once.  [default: 200]")
@click.option("--error-rate", type=float, help="Share of calls that fail with 429 or 500.  [default: 0]")
@click.option("--cut-rate", type=float, help="Share of streams that break half-way.  [default: 0]")
@click.option("--seed", type=int, help="Makes errors, cuts and ids repeatable.")
@click.option(
    "--scenario",
    type=click.Path(dir_okay=False, resolve_path=True),
    help="File that says which call fails how: docs/simulator.md.",
)
@click.option("--check", is_flag=True, help="Only say whether the scenario is right.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON when it listens.")
def sim(host: str, port: int, as_json: bool, check: bool, **given: float | int | str | None) -> None:
    """Run the provider simulator in the foreground: answers without any provider's key.

    It speaks the APIs of OpenAI, Anthropic, Gemini, Vertex, Bedrock, Azure, Cohere and
    Ollama, streaming and not, and counts tokens by a fixed rule, so that usage and
    cost can be predicted. Unset options come from [sim] in config.toml.

    \b
    Models:
      sim/echo   the last thing you said      sim/error-429         rate limited
      sim/lorem  as long as max_tokens        sim/error-500         internal error
      sim/tools  calls the first tool         sim/error-overloaded  529 or 503
      sim/think  reasoning, then the echo     sim/cut               breaks half-way
      sim/slow   10 tokens a second           sim/hang              never answers

    Any other model name behaves like sim/echo. The header `x-sim-model: sim/cut` makes
    any name behave like that model; `x-sim-encoding: gzip|br|zstd|deflate` compresses
    the answer.

    \b
    Example:
      llm-intercept sim --port 8090 --latency-ms 300 --error-rate 0.1 --seed 7
      llm-intercept sim --scenario chaos.toml --check
      curl http://127.0.0.1:8090/v1/models
    """
    settings = _settings(given)
    if check:
        _check(settings)
    else:
        asyncio.run(_serve(settings, host, port, as_json))


command = sim


def _check(settings: SimSettings) -> None:
    from llm_intercept.sim.scenario import load

    if not settings.scenario:
        raise click.UsageError("give the scenario to check with --scenario FILE")
    count = len(load(Path(settings.scenario)).rules)
    click.echo(f"{settings.scenario} is a scenario with {count} rule{'' if count == 1 else 's'}.")


def _settings(given: dict[str, float | int | str | None]) -> SimSettings:
    overrides: dict[str, object] = {
        f"sim.{name}": value for name, value in given.items() if value is not None
    }
    home = Home.find(os.environ)
    return located(config.load(home, os.environ, overrides).settings.sim, home.path)


async def _serve(settings: SimSettings, host: str, port: int, as_json: bool) -> None:
    from llm_intercept.sim.fate import MODELS
    from llm_intercept.sim.running import start

    if port:
        claim(host, port, "--port")
    try:
        running = await start(settings, host, port)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    listed = "\n".join(f"  sim/{name:<16} {text}" for name, text in MODELS.items())
    started = {"address": running.address, "host": host, "port": running.port, "pid": os.getpid()}
    text = json.dumps(started) if as_json else _EXAMPLES.format(address=running.address, models=listed)
    click.echo(text)
    await _until_signalled()
    await running.stop()


async def _until_signalled() -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
