"""Where this home's proxy listens right now, so that commands find it on whatever port it was started."""

import json
import os
from pathlib import Path

NAME = "proxy.json"


def announce(folder: Path, url: str) -> None:
    """Says in the home folder that this process serves at `url`."""
    draft = folder / f".{NAME}.{os.getpid()}"
    draft.write_text(json.dumps({"url": url, "pid": os.getpid()}))
    draft.replace(folder / NAME)


def withdraw(folder: Path) -> None:
    """Takes the word back, if it is still ours."""
    if _read(folder).get("pid") == os.getpid():
        (folder / NAME).unlink(missing_ok=True)


def find(folder: Path) -> str | None:
    """The URL of a proxy that is alive."""
    said = _read(folder)
    pid, url = said.get("pid"), said.get("url")
    return url if isinstance(pid, int) and isinstance(url, str) and _alive(pid) else None


def _read(folder: Path) -> dict[str, object]:
    try:
        said = json.loads((folder / NAME).read_text())
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
