"""Where the addons and the dashboard lie: beside the package in a checkout, bundled inside it in a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def model_catalogue() -> bytes:
    """What is known of models, for `policy.facts`."""
    return (_PACKAGE / "data" / "models.json.gz").read_bytes()


def checkout() -> Path | None:
    """The root of the source checkout this package runs from, or None when it was installed."""
    root = _PACKAGE.parent
    ours = (root / "addons" / "gateway.py", root / "pyproject.toml")
    return root if all(path.is_file() for path in ours) else None


def _root() -> Path:
    return checkout() or _PACKAGE / "_bundled"


def addons_root() -> Path:
    """The folder that must be on `sys.path` for `import addons`."""
    return _root()


def gateway_script() -> Path:
    """The file to give to `mitmdump -s`."""
    return _root() / "addons" / "gateway.py"


def plugins() -> Path:
    """The folder to give to `datasette --plugins-dir`."""
    return _root() / "datasette-plugins"
