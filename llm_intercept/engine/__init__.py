"""What the calls of one process share while it runs: the health of keys and targets, who issued what.

It is used from the event loop and holds no connection; decisions are pure functions in `policy/`.
"""
