"""A judged recording: 200 samples at 0.5 s, and a verdict on each at 0.5 s, with 32 in flight: 400 calls, a limit of 6.25 s.

python -m benchmarks.judging
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.runner import PYTHON, Measured, by_median, run
from benchmarks.table import Row, show
from tests.support.judged import SUITE, JudgedProject, rows
from tests.support.server import ApiServer

COUNT, LATENCY_S, IN_FLIGHT, MOST_RATIO, TIMES = 200, 0.5, 32, 1.25, 3
MODEL = """\
[prompt]
user = "Sum up. {input}"

[models.small]
model = "small-1"
base_url = "BASE_URL"

[judges.faithful]"""


def rows_measured() -> Iterator[Row]:
    """Record afresh and replay, in turn; the medians."""
    judged = SUITE.replace("[judges.faithful]", MODEL, 1)
    suite = judged.partition("[judges.faithful.exam]")[0] + "unexamined = true\n"
    pairs: list[tuple[Measured, Measured]] = []
    with TemporaryDirectory() as folder, ApiServer(latency_s=LATENCY_S) as server:
        project = JudgedProject(Path(folder) / "project", server.base_url, suite)
        project.write_rows(rows(COUNT))
        server.answers |= {"judge-1": lambda prompt: '{"faithful": true}', "small-1": lambda prompt: "Bob brings plates."}
        command = [PYTHON, "-m", "pytest", "evals/test_baseline.py", "-q", "-p", "no:xdist", "-k", "test_sample"]
        for _ in range(TIMES):
            recorded = run([*command, "--record", "--concurrency", str(IN_FLIGHT)], project.root)
            pairs.append((recorded, run(command, project.root)))
        peak = server.peak_in_flight
    recorded, replayed = by_median([pair[0] for pair in pairs]), by_median([pair[1] for pair in pairs])
    limit_s = 2 * COUNT * LATENCY_S / IN_FLIGHT
    ratio = recorded.wall_s / (limit_s + replayed.wall_s)
    ours = f"{recorded.wall_s:.1f} s, replay {replayed.wall_s:.1f} s"
    what = f"record {COUNT} at {LATENCY_S:g} s, each judged at {LATENCY_S:g} s, {IN_FLIGHT} in flight"
    yield Row(what, ours, "", f"{limit_s:.2f} s", f"{ratio:.2f}", f"<= {MOST_RATIO}", ratio <= MOST_RATIO)
    yield Row("… in flight at the server, at the peak", str(peak), "", str(IN_FLIGHT), "", "never passed", peak <= IN_FLIGHT)


if __name__ == "__main__":
    show("judging", rows_measured())
