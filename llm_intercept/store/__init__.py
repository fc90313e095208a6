"""All SQL of the package. Each module owns one file or one question; callers get values, never cursors.

`usage.db` is written by the proxy's writer thread only and read by everyone; `control.db` holds what
commands change (and every secret, encrypted or hashed) and is never attached to Datasette.
"""
