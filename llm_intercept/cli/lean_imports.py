"""Only those of mitmproxy's addons are imported that are asked for.

`import mitmproxy.addons.core` runs `mitmproxy/addons/__init__.py`, which imports all the others as well,
and with them Flask and an LDAP client: 16 MB and a tenth of a second.
"""

import sys
from importlib.util import find_spec, module_from_spec

import mitmproxy


def shorten() -> None:
    """Puts the package in place without running it; call it before anything else of mitmproxy is imported."""
    spec = find_spec("mitmproxy.addons")
    if spec is not None and spec.name not in sys.modules:
        package = sys.modules[spec.name] = module_from_spec(spec)
        mitmproxy.addons = package  # type: ignore[attr-defined]
