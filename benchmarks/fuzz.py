"""Fuzzing of what comes with a repository: suite files, cassettes and frozen samples, guided by coverage (Atheris, libFuzzer).

`python -m benchmarks.fuzz --seconds 300` gives each of them so long. Whatever the bytes, they are read or refused by the error
that a user is told; a cassette that the fast reader takes, vcrpy reads alike; memory stays under 1 GB and an input under 10 s.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.others import fuzzer
from benchmarks.project import ROOT
from benchmarks.runner import PYTHON

SEED = 1
LARGEST_BYTES = 16_384


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=300, help="for each target (default 300)")
    parser.add_argument("--target", choices=TARGETS, help="run this one, in this process")
    given, more = parser.parse_known_args()
    if given.target:
        return fuzz(given.target, more)
    print(f"seed {SEED}, {given.seconds} s each, inputs of at most {LARGEST_BYTES // 1024} KiB\n")
    print("| target | inputs | slowest | memory | result |\n| --- | --- | --- | --- | --- |")
    for target in TARGETS:
        print(row(target, given.seconds), flush=True)


def row(target: str, seconds: int) -> str:
    """Fuzz a target in a process of its own; a row of the table."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, text in enumerate(SEEDS[target]()):
            (Path(corpus) / str(number)).write_bytes(text)
        flags = [f"-max_total_time={seconds}", f"-seed={SEED}", f"-max_len={LARGEST_BYTES}", "-rss_limit_mb=1000"]
        command = [PYTHON, "-m", "benchmarks.fuzz", "--target", target, corpus, *flags]
        env = {**os.environ, "PYTHONPATH": f"{fuzzer()}{os.pathsep}{ROOT}"}
        rest = ["-timeout=10", "-print_final_stats=1", f"-artifact_prefix={tempfile.gettempdir()}/{target}-"]
        done = subprocess.run([*command, *rest], env=env, cwd=ROOT, capture_output=True, text=True, errors="replace")
    found = dict(re.findall(r"stat::(\w+):\s+(\d+)", done.stderr))
    result = "no fault" if done.returncode == 0 else f"**exit code {done.returncode}**: {done.stderr[-1500:]}"
    inputs = int(found.get("number_of_executed_units", 0))
    slowest = found.get("slowest_unit_time_sec", "?")
    return f"| {target} | {inputs:,} | {slowest} s | {found.get('peak_rss_mb', '?')} MB | {result} |"


# ---------------------------------------------------------------- the targets


def told(error: Exception) -> None:
    assert str(error).strip(), "an error without words"


def suite(file: Path) -> None:
    from evaltape.errors import UserError
    from evaltape.suite.reader import load_suite

    try:
        load_suite(file)
    except UserError as error:
        told(error)


def cassette(file: Path) -> None:
    from evaltape.errors import RecordingError
    from evaltape.recording import cassettes
    from evaltape.recording import vcr_yaml as cassette_text

    try:
        cassettes.read(file)
    except RecordingError as error:
        told(error)
        return
    text = file.read_text(encoding="utf-8", errors="strict")
    fast = cassette_text._as_written(text)
    assert fast is None or fast == cassette_text._by_vcrpy(text), "the two readers differ"


def samples(file: Path) -> None:
    from evaltape.errors import UserError
    from evaltape.samples.frozen import parse_samples

    try:
        parse_samples(file, file.read_bytes())
    except UserError as error:
        told(error)


TARGETS: dict[str, tuple[Callable[[Path], None], str]] = {
    # what is fuzzed: (what reads it, the name of its file)
    "suite": (suite, "suite.toml"),
    "cassette": (cassette, "cassette.yaml"),
    "samples": (samples, "samples.jsonl"),
}


def _suites() -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "evals/suites").glob("*.toml"))]


def _cassettes() -> list[bytes]:
    found = sorted((ROOT / "cassettes").glob("*/*/*.yaml"), key=lambda path: path.stat().st_size)
    return [path.read_bytes() for path in [*found[:20], found[len(found) // 2]]]


def _samples() -> list[bytes]:
    lines = (ROOT / "cassettes/chats/samples.jsonl").read_bytes().splitlines(keepends=True)
    return [lines[0], b"".join(lines[:4])]


SEEDS = {"suite": _suites, "cassette": _cassettes, "samples": _samples}


def fuzz(target: str, flags: list[str]) -> None:
    """Run libFuzzer in this process; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["evaltape", "tomllib", "vcr", "json"]):
        import evaltape.recording.cassettes
        import evaltape.samples.frozen
        import evaltape.suite.reader  # noqa: F401
    read, name = TARGETS[target]
    # In memory where there is such a folder: a file is written for each input.
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))

    def one(data: bytes) -> None:
        (folder / name).write_bytes(data)
        read(folder / name)

    atheris.Setup([sys.argv[0], *flags], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
