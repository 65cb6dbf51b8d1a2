"""Recording: 200 samples at 1 s latency with 32 in flight, 2,000 at 0.2 s with 64, beside the other ways."""

from collections.abc import Iterator

from benchmarks import others
from benchmarks.project import Project, project
from benchmarks.runner import Measured, by_median, run
from benchmarks.server import Server
from benchmarks.table import Row, show

MODES = ("-p no:xdist", "-n 0", "-n 2", "-n 4")
MOST_RATIO, MOST_MB = 1.25, 700
TIMES = 3


def rows() -> Iterator[Row]:
    with project() as here:
        run(here.pytest(200, "--collect-only"), here.folder, code=4)  # compiles the package
        with Server(1.0) as server:
            plain = others.Plain(here, 200).record(server, "-n", "8")
        with Server(1.0) as server:
            wide = others.Plain(here, 200).record(server, "-n", "32")
        told = f"pytest-recording: {plain.wall_s:.1f} s with `-n 8`, {wide.wall_s:.1f} s with `-n 32`"
        for mode in MODES:
            yield from _recorded(here, 200, 1.0, 32, mode, told)
            told = "as above"
        yield from _ways(here)
        for mode in ("-n 0", "-n 2"):
            yield from _recorded(here, 2000, 0.2, 64, mode, "not run: over 6 minutes")


def _recorded(here: Project, n: int, latency_s: float, in_flight: int, mode: str, plain: str) -> Iterator[Row]:
    """Record, and replay what was recorded, in turn; the medians."""
    limit_s = n * latency_s / in_flight
    pairs: list[tuple[Measured, Measured]] = []
    peaks = []
    for _ in range(TIMES):
        here.forget(n)
        with Server(latency_s) as server:
            recorded = run(here.record(n, "--concurrency", str(in_flight), *mode.split()), here.folder, server.env)
        pairs.append((recorded, run(here.pytest(n, *mode.split()), here.folder)))
        peaks.append(server.seen["peak"])
    recorded, replayed = by_median([pair[0] for pair in pairs]), by_median([pair[1] for pair in pairs])
    ratio = recorded.wall_s / (limit_s + replayed.wall_s)
    what = f"record {n:,} at {latency_s:g} s, {in_flight} in flight, `{mode}`"
    ours = f"{recorded.wall_s:.1f} s, replay {replayed.wall_s:.1f} s"
    yield Row(what, ours, plain, f"{limit_s:.2f} s", f"{ratio:.2f}", f"<= {MOST_RATIO}", ratio <= MOST_RATIO)
    at_limit = set(peaks) == {in_flight}
    told = " to ".join(map(str, sorted({min(peaks), max(peaks)})))
    yield Row("… in flight at the server, at the peak", told, "", f"{in_flight}", "", "reached, never passed", at_limit)
    if mode == "-n 2":
        peak_mb = max(pair[0].peak_mb for pair in pairs)
        yield Row("… memory of all processes", f"{peak_mb:.0f} MB", "", "", "", f"< {MOST_MB} MB", peak_mb < MOST_MB)


def _ways(here: Project) -> Iterator[Row]:
    for threads in (5, 10):
        with Server(1.0) as server:
            measured = others.tutorial(here, 200, threads, server)
        limit = f"{200 / threads:.2f} s"
        told = f"{measured.wall_s:.1f} s"
        yield Row(f"thread pool of {threads}, sleep of 0.1 s, nothing recorded", "", told, limit, "", "", True)
    with Server(1.0) as server:
        measured = others.inspect(here, 200, 32, server)
    told = f"{measured.wall_s:.1f} s, {measured.peak_mb:.0f} MB, {server.seen['peak']} in flight"
    yield Row(f"{others.INSPECT}, 32 connections", "", told, "6.25 s", "", "", True)


if __name__ == "__main__":
    show("recording", rows())
