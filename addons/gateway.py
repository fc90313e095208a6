"""Entry script: `mitmdump -s addons/gateway.py`. The order of this list is the pipeline."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

try:
    from addons.admit import Admit
    from addons.allowance import Allowance
    from addons.attempt import Attempt
    from addons.authenticate import Authenticate
    from addons.cache import Cache, CacheStatus
    from addons.cors import Origins, Preflight
    from addons.drain import Drain, Farewell
    from addons.exchanges import Exchanges
    from addons.failures import Failures
    from addons.identify import Identify
    from addons.lifecycle import Lifecycle
    from addons.listeners import Listeners
    from addons.portal import Portal
    from addons.record import Record
    from addons.route import Route
    from addons.simulated import Simulated
    from addons.sockets import Sockets
    from addons.stops import Stops
    from addons.translate import Translate
    from addons.tunnel import TunnelGate
    from addons.unsaid import Unsaid
    from addons.watch import Watch
    from llm_intercept.gateway import Gateway
except ImportError as error:
    # mitmdump logs a script's exception and goes on without it: an open proxy that forwards tokens.
    raise SystemExit(f"llm-intercept cannot be loaded: {error}") from error

exchanges = Exchanges(Gateway())
addons = [
    Listeners(exchanges),
    Lifecycle(exchanges),
    TunnelGate(exchanges),
    Identify(exchanges),
    Portal(exchanges),
    Preflight(exchanges),
    Authenticate(exchanges),
    Drain(exchanges),
    Failures(exchanges),
    Route(exchanges),
    Cache(exchanges),
    Admit(exchanges),
    Attempt(exchanges),
    Unsaid(exchanges),
    Translate(exchanges),
    Watch(exchanges),
    Record(exchanges),
    Sockets(exchanges),
    Allowance(exchanges),
    CacheStatus(exchanges),
    Farewell(exchanges),
    Simulated(exchanges),
    Stops(exchanges),
    Origins(exchanges),
]
