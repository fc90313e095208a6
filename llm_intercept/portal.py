"""The page at `/` of the proxy port: how to connect, for people."""

from importlib.resources import files
from string import Template


def connect_page(address: str, dashboard: str) -> str:
    """HTML with ready snippets for this address; `address` is what the client called us by."""
    template = Template(files("llm_intercept").joinpath("data/connect.html").read_text(encoding="utf-8"))
    return template.substitute(address=_plain(address), dashboard=_plain(dashboard))


def _plain(text: str) -> str:
    """Only what a host name and port may contain: the Host header is the client's word."""
    return "".join(c for c in text if c.isalnum() or c in ".:-[]/") or "127.0.0.1:8080"
