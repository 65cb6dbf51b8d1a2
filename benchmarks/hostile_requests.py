"""Damaged requests against the local service: how each is answered, and that it goes on.

    python -m benchmarks.hostile_requests --requests 20000 --seed 1

starts the service with a tiny model, sends it requests that no good client sends (`tests/support/hostile.py`), and prints
a Markdown table of the answers by route. Any status from 500 up, any error that isn't of OpenAI's shape, and a service
that doesn't answer at the end is an error.
"""

import argparse
import collections
import tempfile
import time
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.support.hostile import Hostile, requests
from tests.support.local_service import Service, make_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Service(make_model(Path(folder) / "tiny-1.5"), Path(folder) / "state")
        start_s = time.perf_counter()
        answers = attack(service, options.requests, options.seed)
        spent_s = time.perf_counter() - start_s
        assert service.client().models.list().data[0].id == "tiny-1.5"
        assert service.stop() == 0
        assert "Traceback" not in service.log.read_text()
    print(
        f"{sum(answers.values()):,} requests in {spent_s:.0f} s, seed {options.seed}; no 500, every error in OpenAI's shape:\n"
    )
    statuses = sorted({status for _, status in answers})
    print(f"| route | {' | '.join(map(str, statuses))} |\n| --- |{' ---: |' * len(statuses)}")
    for route in sorted({route for route, _ in answers}):
        print(f"| {route} | {' | '.join(str(answers[route, status] or '') for status in statuses)} |")


def attack(service: Service, count: int, number: int) -> collections.Counter[tuple[str, int]]:
    """Send `count` requests; return how many answers each route gave of each status."""
    answers: collections.Counter[tuple[str, int]] = collections.Counter()

    @seed(number)
    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(request=requests())
    def send(request: Hostile) -> None:
        answer = service.send(request.method, request.path, request.body, request.headers)
        assert answer.status < 500, (request, answer)
        if answer.status >= 400 and request.method != "HEAD":
            assert answer.error["type"] == "invalid_request_error"
        route = f"POST /v1/{request.path}" if request.body else "others"
        answers[route, answer.status] += 1

    send()
    return answers


if __name__ == "__main__":
    main()
