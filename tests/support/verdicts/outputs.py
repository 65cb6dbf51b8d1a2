"""What a run has said, read from each of its outputs as its readers do: verdicts by bound."""

import html
import json
import re
import xml.etree.ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.support.verdicts.expected import AGAINST, COMPARE, GATE, SLICES, Bound, Test

SIGN = re.compile("[✅❌❔] ")
Said = dict[Bound, str]
Slices = dict[tuple[str, str, str, str], str]
"""The verdict on a slice by suite, model, metric and topic."""


# ---------------------------------------------------------------- JUnit XML


def junit(path: Path) -> dict[Test, tuple[str, dict[str, str]]]:
    """Each test with its outcome and its properties."""
    found = {}
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        properties = {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}
        found[test_of(case.attrib["name"])] = (outcome, properties)
    return found


def test_of(name: str) -> Test:
    """A test by its name, such as `test_gate[s0-a-quality]`."""
    function, _, parameters = name.rstrip("]").partition("[")
    suite, subject, last = [*parameters.split("-"), ""][:3]
    return Test(function, suite, subject, last)


# ---------------------------------------------------------------- results and report


def results(suites: Mapping[str, Any]) -> dict[Bound, dict[str, Any]]:
    """What the results file says of each bound."""
    found: dict[Bound, dict[str, Any]] = {}
    for name, suite in suites.items():
        for key, model in suite["models"].items():
            for kind in (GATE, SLICES):
                found |= {(kind, name, key, metric): each for metric, each in model.get(kind, {}).items()}
        for key, pair in suite.get("comparisons", {}).items():
            found |= {(COMPARE, name, key, metric): each for metric, each in pair.items()}
        for key, past in (suite.get("against") or {}).get("models", {}).items():
            found |= {(AGAINST, name, key, metric): each for metric, each in past.items()}
    return found


def report(path: Path) -> list[dict[str, Any]]:
    """The suites of the report's data."""
    text = path.read_text(encoding="utf-8")
    data = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert data is not None
    suites: list[dict[str, Any]] = json.loads(data[1])["suites"]
    return suites


def report_bounds(suites: list[dict[str, Any]]) -> dict[Bound, dict[str, Any]]:
    """What the report says of each bound."""
    found: dict[Bound, dict[str, Any]] = {}
    for suite in suites:
        name = suite["suite"]
        for model in suite["models"]:
            for kind in (GATE, SLICES):
                found |= {(kind, name, model["key"], metric): each for metric, each in model[kind].items()}
        pairs = [(COMPARE, pair["name"], pair) for pair in suite["comparisons"]]
        pairs += [(AGAINST, past["key"], past) for past in (suite["against"] or {"models": []})["models"]]
        for kind, key, pair in pairs:
            bounded = [each for each in pair["metrics"] if each["kind"]]
            found |= {(kind, name, key, each["metric"]): each for each in bounded}
    return found


def report_slices(suites: list[dict[str, Any]]) -> Slices:
    """What the report says of each slice."""
    return {
        (suite["suite"], model["key"], metric, each["value"]): verdict
        for suite in suites
        for model in suite["models"]
        for each in model["slices"]
        for metric, verdict in each["verdicts"].items()
    }


# ---------------------------------------------------------------- terminal


def terminal(output: str) -> tuple[Said, Slices, dict[str, str]]:
    """What the terminal's tables say of bounds and of slices, and the verdict on each suite."""
    said: Said = {}
    slices: Slices = {}
    headlines = {}
    for suite, lines in _sections(output):
        headlines[suite] = lines[0].strip() if lines else ""
        for title, cells in _rows(lines):
            bound, topic = _bound(suite, title, cells[0])
            if topic:
                slices[suite, bound[2], bound[3], topic] = cells[-1]
            else:
                said[bound] = cells[-1]
    return said, slices, headlines


def _sections(output: str) -> Iterator[tuple[str, list[str]]]:
    parts = re.split(r"^=+ scores: (\S+) \(replay\) =+$", output, flags=re.MULTILINE)
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        yield name, re.split(r"^=+ .* =+$", text, maxsplit=1, flags=re.MULTILINE)[0].strip("\n").split("\n")


def _rows(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each row of a table that has a verdict, with the title of its group."""
    title = ""
    for line in lines[1:]:
        if re.match(r"\S.*: ", line):
            title = line.split(": ")[0]
        cells = re.split(r"\s{2,}", line.strip())
        is_row = line.startswith("  ") and cells[-1] in ("passed", "failed", "inconclusive", "not checked")
        if is_row and len(cells) > 2:
            yield title, cells


def _bound(suite: str, title: str, name: str) -> tuple[Bound, str]:
    """Return the bound, and for a row of a slice its topic."""
    if found := re.fullmatch(r"(\w+) (\w+) by topic", title):
        return (SLICES, suite, found[1], found[2]), name.rpartition(" (")[0]
    title = title.split(": ")[0]
    if title.endswith(" against past"):
        return (AGAINST, suite, title.split()[0], name), ""
    return (COMPARE if title.startswith("pair") else GATE, suite, title, name), ""


# ---------------------------------------------------------------- comment


def comment(text: str, suites: list[str]) -> tuple[Said, Slices, dict[str, str]]:
    """What the comment's tables say, likewise; of --against the cells beside the scores."""
    said: Said = {}
    slices: Slices = {}
    headlines = {}
    suite, title, head = "", "", [""]
    lines = html.unescape(text).splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        heading = re.match(r"#+ [✅❌❔] (\w+): (.*)", line)
        if heading and heading[1] in suites:
            suite, headlines[heading[1]] = heading[1], f"{line.split()[1]} {heading[2]}"
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("| ") else []
        if after.startswith("|---"):
            head = cells
        elif len(cells) == len(head) and head[-1] == "verdict":
            title = cells[0].removeprefix("**").split("**")[0] or title
            row = dict(zip(head, cells, strict=True))
            _read(suite, title, row, said, slices)
    return said, slices, headlines


def _read(suite: str, title: str, row: dict[str, str], said: Said, slices: Slices) -> None:
    verdict = SIGN.sub("", row["verdict"])
    if "slice" in row:
        bound, topic = _bound(suite, title, row["slice"])
        if verdict:
            slices[suite, bound[2], bound[3], topic] = verdict
        return
    if verdict and ("comparison" in row or row.get("gate")):
        said[_bound(suite, title, row["metric"])[0]] = verdict
    change = next((cell for name, cell in row.items() if name.startswith("change against")), "")
    if SIGN.search(change):
        said[AGAINST, suite, title, row["metric"]] = SIGN.split(change)[-1]
