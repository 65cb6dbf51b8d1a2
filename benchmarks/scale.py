"""What a recording of many samples takes by each way: the rows of docs/scale.md.

The server answers at once, so the numbers are the harness's own; waiting for a model comes on top.
"""

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.project import Project, project
from benchmarks.runner import run
from tests.support.server import ApiServer, completion
from tests.support.server.server import first_line

WAYS = ("predictions", "requests", "files", "replay", "batch", "live")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("samples", type=int, nargs="*", default=[1000])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    options = parser.parse_args()
    print(
        "| samples | way | wall, s | CPU, s | memory, MB | disk, MB |\n| ---: | --- | ---: | ---: | ---: | ---: |", flush=True
    )
    with project() as made, ApiServer() as api:
        for n in options.samples:
            for way in options.ways:
                measure(made, api, n, way)


def measure(made: Project, api: ApiServer, n: int, way: str) -> None:
    """Print one row."""
    suite = made.suite(n)
    if "base_url" not in suite.read_text():
        suite.write_text(suite.read_text() + f'base_url = "{api.base_url}"\n')
    requests = made.folder / f"out-{n}/suite-{n}.bench.jsonl"
    before: dict[str, Callable[[], object]] = {
        "predictions": lambda: write_predictions(made, n),
        "files": lambda: (write_answers(requests), forget(made, n)),
        "batch": lambda: forget(made, n),
        "live": lambda: forget(made, n),
    }
    commands = {
        "predictions": made.pytest(n, "--suite", str(made.folder / f"predictions-{n}.toml")),
        "requests": made.pytest(n, "--record", "--requests-to", str(requests.parent)),
        "files": made.pytest(n, "--record", "--answers-from", str(requests.with_suffix(".answers"))),
        "replay": made.pytest(n, "--deselect", "evals/test_baseline.py::test_scores"),
        "batch": made.record(n, "--batch"),
        "live": made.record(n),
    }
    before.get(way, lambda: None)()
    command = commands[way]
    if way in ("predictions", "files"):
        command += ["--deselect", "evals/test_baseline.py::test_scores"]
    if way == "predictions":
        first = command.index("--suite")
        del command[first : first + 2]
    taken = run(command, made.folder)
    size = sum(path.stat().st_size for path in (made.folder / "cassettes").rglob(f"suite-{n}*/**/*") if path.is_file())
    size += sum(path.stat().st_size for path in made.cassettes(n).parent.glob(f"suite-{n}.*"))
    disk = f"{size / 1e6:.1f}" if way not in ("predictions", "requests") else ""
    disk = f"{requests.stat().st_size / 1e6:.1f}" if way == "requests" else disk
    print(f"| {n:,} | {way} | {taken.wall_s:.1f} | {taken.cpu_s:.1f} | {taken.peak_mb:.0f} | {disk} |", flush=True)


def forget(made: Project, n: int) -> None:
    """Remove what was recorded."""
    shutil.rmtree(made.cassettes(n), ignore_errors=True)


def write_predictions(made: Project, n: int) -> None:
    """Write a suite whose answers come from a file."""
    rows = [json.loads(line) for line in (made.folder / f"samples-{n}.jsonl").read_text().splitlines()]
    text = "".join(json.dumps({"id": row["id"], "prediction": row["summary"]}) + "\n" for row in rows)
    (made.folder / f"answers-{n}.jsonl").write_text(text)
    suite = made.suite(n).read_text().partition("[models.bench]")[0]
    (made.folder / f"predictions-{n}.toml").write_text(f'{suite}[models.bench]\npredictions = "answers-{n}.jsonl"\n')


def write_answers(requests: Path) -> None:
    """Write what an engine would answer."""
    with requests.open() as asked, requests.with_suffix(".answers").open("w") as answers:
        for line in asked:
            request = json.loads(line)
            body = completion(request["body"], first_line(request["body"]["messages"][-1]["content"])).body
            response = {"status_code": 200, "request_id": "r", "body": body}
            row = {"id": "r", "custom_id": request["custom_id"], "response": response, "error": None}
            answers.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
