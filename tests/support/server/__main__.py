"""Runs the server alone: `python -m tests.support.server --port 8000`."""

import argparse
import threading

from tests.support.server import ApiServer

parser = argparse.ArgumentParser(description="A local server that speaks OpenAI's API, for tests and benchmarks.")
parser.add_argument("--port", type=int, default=8000, help="0 takes any free one (default: %(default)s)")
parser.add_argument("--latency", type=float, default=0.0, metavar="S", help="seconds until each answer")
parser.add_argument("--rate", type=float, default=None, metavar="N", help="chat calls per second before a 429")
options = parser.parse_args()

with ApiServer(port=options.port, latency_s=options.latency, rate_per_s=options.rate) as api:
    print(api.base_url, flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
