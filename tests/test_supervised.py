"""Parts of `up` end with their supervisor, and not before."""

import subprocess
import sys
from pathlib import Path

PATIENCE = 60
MODULE = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))
print("running", *sys.argv[1:], __name__, flush=True)
signal.pause()
"""


def test_it_ends_with_its_supervisor(tmp_path: Path) -> None:
    (tmp_path / "a_part.py").write_text(MODULE)
    argv = [sys.executable, "-m", "llm_intercept.supervised", "a_part", "--port", "1"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdin.write("what it is told here is none of its business")
        child.stdin.flush()
        assert child.stdout.readline() == "running --port 1 __main__\n"
        assert child.poll() is None
        out, err = child.communicate(timeout=PATIENCE)  # closes its standard input
    assert (out, err, child.returncode) == ("", "told to stop\n", 1)


def test_without_anybody_at_the_other_end_it_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "a_part.py").write_text("print('done')")
    argv = [sys.executable, "-c", "import os, sys; os.close(0); os.execv(sys.executable, sys.argv[1:])"]
    argv += [sys.executable, "-m", "llm_intercept.supervised", "a_part"]
    found = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (found.stdout, found.stderr) == ("done\n", "")
