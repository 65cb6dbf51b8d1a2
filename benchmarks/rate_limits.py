"""A server that takes 40 calls a second and answers 429 with Retry-After beyond, at several latencies."""

from collections.abc import Iterator

from benchmarks import others
from benchmarks.project import project
from benchmarks.runner import run
from benchmarks.server import Server
from benchmarks.table import Row, show

SAMPLES, PER_S = 200, 40
MOST_RATIO, MOST_REFUSED = 1.3, 0.1


def rows() -> Iterator[Row]:
    limit_s = SAMPLES / PER_S
    with project() as here:
        run(here.pytest(SAMPLES, "--collect-only"), here.folder, code=4)
        for latency_s, mode in ((0.02, "-n 0"), (0.1, "-n 0"), (0.1, "-n 2"), (0.5, "-n 0")):
            here.forget(SAMPLES)
            with Server(latency_s, PER_S) as server:
                measured = run(here.record(SAMPLES, "--concurrency", "32", *mode.split()), here.folder, server.env)
            with Server(latency_s, PER_S) as plain:
                told = others.Plain(here, SAMPLES).record(plain, "-n", "8")
            seen, ratio = server.seen, server.seen["span_s"] / limit_s
            refused = seen["refused"] / seen["calls"]
            beside = f"{told.wall_s:.1f} s, {plain.seen['refused']} refused, with `-n 8`"
            ours = f"{seen['span_s']:.1f} s of calls, whole run {measured.wall_s:.1f} s"
            what = f"record {SAMPLES} at {latency_s:g} s, {PER_S} calls/s, `{mode}`"
            met = ratio <= MOST_RATIO and seen["answered"] >= SAMPLES
            yield Row(what, ours, beside, f"{limit_s:.2f} s", f"{ratio:.2f}", f"<= {MOST_RATIO}, none failed", met)
            share = f"{seen['refused']} of {seen['calls']}"
            yield Row("… refused", share, "", "", f"{refused:.3f}", f"<= {MOST_REFUSED}", refused <= MOST_REFUSED)


if __name__ == "__main__":
    show("rate_limits", rows())
