"""How `up` runs its parts: `python -m llm_intercept.supervised MODULE [ARGUMENTS]`.

The supervisor holds the other end of their standard input. When that ends, however it did (`kill -9`
included), they stop as they would at SIGTERM: nobody would start them again, and the next `up` needs their
ports.
"""

import os
import runpy
import signal
import sys
import threading


def leave_with(descriptor: int) -> None:
    """Returns when there is nobody at the other end any more, having sent SIGTERM to this process."""
    while os.read(descriptor, 1024):
        continue
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    if sys.stdin is not None:
        threading.Thread(target=leave_with, args=(sys.stdin.fileno(),), daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
