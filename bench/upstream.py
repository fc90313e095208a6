"""The provider of a run: nginx answers calls at C speed and hands streams to `bench/stage.py`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench import traffic
from bench.processes import Process, Processes, free_port

ANSWER_PATH = traffic.PATH
STREAM_PREFIX = "/streamed"
FAILING_PREFIX = "/failing"
FAILURE = '{"error":{"message":"no capacity","type":"server_error"}}'

_CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log error;
events {{ worker_connections 512; }}
http {{
    access_log off;
    server_tokens off;
    keepalive_requests 100000000;
    keepalive_timeout 300s;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/json;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_buffering off;
    upstream stage {{ server 127.0.0.1:{stage}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port};
        tcp_nodelay on;
        location = {path} {{
            if ($http_{stream_header}) {{ proxy_pass http://stage; break; }}
            {headers}
            return 200 '{answer}';
        }}
        location {stream_prefix}/ {{ proxy_pass http://stage; }}
        location {failing_prefix}/ {{ return 503 '{failure}'; }}
        location / {{ return 404 '{{"error":{{"message":"no such path","type":"invalid_request_error"}}}}'; }}
    }}
}}
"""


def ensure_tools() -> None:
    """nginx and wrk, installed where we may; RuntimeError says what is missing otherwise."""
    missing = [name for name in ("nginx", "wrk") if not shutil.which(name, path=_search_path())]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {' and '.join(missing)} ...", file=sys.stderr)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        # Without a start of the service that the package would enable.
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
        subprocess.run(install, **quiet, env=env)
        missing = [name for name in missing if not shutil.which(name, path=_search_path())]
    if missing:
        raise RuntimeError(
            f"the benchmark needs {' and '.join(missing)}: apt-get install {' '.join(missing)}"
        )


def _search_path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


def start(processes: Processes, folder: Path, stage_port: int) -> tuple[Process, int]:
    """nginx and the port that it serves on."""
    port = free_port()
    nginx = shutil.which("nginx", path=_search_path())
    assert nginx is not None
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            folder=folder,
            stage=stage_port,
            port=port,
            path=ANSWER_PATH,
            stream_header=traffic.STREAM_HEADER.lower().replace("-", "_"),
            stream_prefix=STREAM_PREFIX,
            failing_prefix=FAILING_PREFIX,
            failure=FAILURE,
            headers=" ".join(f'add_header {name} "{value}";' for name, value in traffic.ANSWER_HEADERS),
            answer=traffic.answer().decode(),
        )
    )
    command = [nginx, "-c", str(config), "-p", str(folder), "-e", str(folder / "nginx.log")]
    server = processes.start(command, folder / "nginx.out")
    server.wait_for(port)
    return server, port
