"""Calls on one target: as many as wrk can get, or one after the other. Streams are in `bench/stage.py`."""

import json
import shutil
import socket
import subprocess
import time
from pathlib import Path

from bench import traffic
from bench.targets import Target

_LUA = """
wrk.method = "POST"
wrk.body = %s
%s
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"requests":%%d,"errors":%%d}\\n',
    summary.requests, e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def _quoted(text: str) -> str:
    return json.dumps(text).replace("\\/", "/")


def calls(target: Target, folder: Path, seconds: float, connections: int) -> int:
    """Calls as fast as they are answered, over kept connections; how many were."""
    body = traffic.request_body()
    fields = [f for f in traffic.request_headers(target.key, len(body)) if f[0] != "Content-Length"]
    script = folder / f"{target.name}.lua"
    headers = "\n".join(f"wrk.headers[{_quoted(name)}] = {_quoted(value)}" for name, value in fields)
    script.write_text(_LUA % (_quoted(body.decode()), headers))
    wrk = shutil.which("wrk")
    assert wrk is not None
    options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s"]
    command = [wrk, *options, "-s", str(script), f"http://{target.host}{traffic.PATH}"]
    done = subprocess.run(command, capture_output=True, text=True)
    line = next((x for x in done.stdout.splitlines() if x.startswith("RESULT ")), None)
    if line is None:
        raise RuntimeError(f"wrk against {target.name} failed:\n{done.stdout}{done.stderr}")
    result = json.loads(line.removeprefix("RESULT "))
    if result["errors"] or not result["requests"]:
        raise RuntimeError(f"{target.name}: {result['errors']} of {result['requests']} calls failed")
    return int(result["requests"])


def connect(target: Target) -> socket.socket:
    opened = socket.create_connection(("127.0.0.1", target.port), timeout=30)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def call_times(
    target: Target,
    connection: socket.socket,
    count: int,
    request: bytes | None = None,
    ending: bytes = b'"system_fingerprint"',
) -> list[float]:
    """Seconds of each of `count` calls, one after the other; `ending` is in the last bytes of an answer."""
    request, times = request or target.call(), []
    for _ in range(count):
        started = time.perf_counter()
        connection.sendall(request)
        received = connection.recv(65_536)
        while ending not in received:
            data = connection.recv(65_536)
            if not data:
                raise RuntimeError(f"{target.name}: {received[:300]!r}")
            received += data
        times.append(time.perf_counter() - started)
    return times
