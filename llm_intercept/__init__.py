"""llm-intercept: a transparent interceptor for LLM traffic.

This package is pure logic: nothing here imports mitmproxy (the addons do), except the
CLI code that starts a master. `gateway.py` is the one place where parts are put together.
"""

__version__ = "0.1.0"
