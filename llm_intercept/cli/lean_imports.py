"""Only those parts of other packages are imported that the proxy needs.

`import mitmproxy.addons.core` runs `mitmproxy/addons/__init__.py`, which imports all the others as well,
and with them Flask and an LDAP client: 16 MB and a tenth of a second. `genai_prices/__init__.py` imports an
HTTP client, to fetch other prices than those it comes with: 2 MB.
"""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec

from llm_intercept.cli import lean_later

PACKAGES = ("mitmproxy.addons", "genai_prices")


def shorten() -> None:
    """Puts the packages in place without running them; call it before anything of mitmproxy is imported."""
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is not None and name not in sys.modules:
            package = sys.modules[name] = module_from_spec(spec)
            above, _, last = name.rpartition(".")
            if above:
                setattr(import_module(above), last, package)
    lean_later.place()
