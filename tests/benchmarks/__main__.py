"""Run a benchmark: `python -m tests.benchmarks sweep|notices --rows 2000000`."""

import argparse

from tests.benchmarks import notices, sweep

BENCHMARKS = {"sweep": sweep.run, "notices": notices.run}


def main() -> None:
    """Run the benchmark named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("benchmark", choices=sorted(BENCHMARKS))
    parser.add_argument("--rows", type=int, default=2_000_000)
    given = parser.parse_args()
    BENCHMARKS[given.benchmark](given.rows)


if __name__ == "__main__":
    main()
