"""The benchmark suite: `make bench` or `python -m bench`. What each number means is in docs/benchmarks.md."""
