"""A provider simulator: an HTTP server that speaks the APIs of the providers, for demos, tests, benchmarks.

`app.create_app(settings)` is the aiohttp application, `await running.start(settings)` listens on a loopback
port inside the running event loop. It needs no key, keeps no state on disk and knows nothing of the proxy.
Nothing is imported here: the proxy starts without an HTTP server's worth of modules (10 MB).
"""
