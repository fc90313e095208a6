"""A provider simulator: an HTTP server that speaks the APIs of the providers, for demos, tests, benchmarks.

`create_app(settings)` is the aiohttp application, `await start(settings)` listens on a loopback port
inside the running event loop. It needs no key, keeps no state on disk and knows nothing of the proxy.
"""

from llm_intercept.sim.app import create_app
from llm_intercept.sim.running import Running, start

__all__ = ["Running", "create_app", "start"]
