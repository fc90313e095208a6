"""What the calls of one process share while it runs: the health of keys and targets, who issued what, and
(with every other process of the home) what limits have left.

It is used from the event loop; decisions are pure functions in `policy/`, SQL lies in `store/`.
"""
