"""Where this home's proxy and dashboard listen right now: commands find them on whatever port they have."""

import json
import os
from pathlib import Path

NAME = "proxy.json"
DASHBOARD = "dashboard.json"


def announce(folder: Path, url: str, name: str = NAME) -> None:
    """Says in the home folder that this process serves at `url`."""
    draft = folder / f".{name}.{os.getpid()}"
    draft.write_text(json.dumps({"url": url, "pid": os.getpid()}))
    draft.replace(folder / name)


def withdraw(folder: Path, name: str = NAME) -> None:
    """Takes the word back, if it is still ours."""
    if _read(folder / name).get("pid") == os.getpid():
        (folder / name).unlink(missing_ok=True)


def find(folder: Path, name: str = NAME) -> str | None:
    """The URL of a proxy (or dashboard) that is alive."""
    said = _read(folder / name)
    pid, url = said.get("pid"), said.get("url")
    return url if isinstance(pid, int) and isinstance(url, str) and _alive(pid) else None


def _read(file: Path) -> dict[str, object]:
    try:
        said = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
