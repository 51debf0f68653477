"""Run a benchmark: `python -m tests.benchmarks sweep|notices|usage|… --rows 2000000`."""

import argparse
from functools import partial

from tests.benchmarks import (
    books,
    campaign,
    console,
    erasing,
    forecast,
    notices,
    pages,
    sweep,
    usage,
    webhook,
)

BENCHMARKS = {
    "sweep": sweep.run,
    "notices": notices.run,
    "campaign": campaign.run,
    "usage": usage.run,
    "webhook": webhook.run,
    "pages": pages.run,
    "books": books.run,
    "forecast": forecast.run,
    "console": console.run,
    "erasing": erasing.run,
}
SERVED = ("usage", "webhook", "pages")
"""Benchmarks that run a web server, of which there are several to choose from."""


def main() -> None:
    """Run the benchmark named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("benchmark", choices=sorted(BENCHMARKS))
    parser.add_argument("--rows", type=int, default=2_000_000, help="subscriptions, at most")
    parser.add_argument(
        "--server", help="ours, waitress, gunicorn or granian; for pages several, or all"
    )
    parser.add_argument("--processes", type=int, help="of the server, for webhook and pages")
    parser.add_argument("--threads", type=int, help="of each process of the server")
    given = parser.parse_args()
    switches = {"servers": given.server, "processes": given.processes, "threads": given.threads}
    chosen = {name: value for name, value in switches.items() if value is not None}
    if chosen and given.benchmark not in SERVED:
        parser.error(f"{given.benchmark} runs no web server")
    partial(BENCHMARKS[given.benchmark], given.rows, **chosen)()


if __name__ == "__main__":
    main()
