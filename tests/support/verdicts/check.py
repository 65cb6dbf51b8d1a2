"""One run of a random world: every output beside the others, and beside the recomputation."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.forked import REPOSITORY
from tests.support.project import Run
from tests.support.repository import Repository
from tests.support.verdicts import outputs
from tests.support.verdicts.expected import (
    AGAINST,
    COMPARE,
    FAILED,
    GATE,
    NOT_CHECKED,
    PASSED,
    SLICES,
    Bound,
    Expected,
    Test,
    in_common,
    is_unchanged,
)
from tests.support.verdicts.statistics import Change, are_near
from tests.support.verdicts.world import OWN_TESTS, Suite, World, write_world

FILES = {"--results": "results.json", "--report": "report.html", "--comment": "comment.md", "--junitxml": "junit.xml"}


LONG = 40_000
"""Characters of a comment that may have left its slices out."""


def play(world: World, folder: Path, tally: Counter[str]) -> list[str]:
    """Run a world in a new folder, count what it held, and return the disagreements, a line each."""
    repository = Repository(folder)
    write_world(world, folder, REPOSITORY / "evals")
    files = [f"{option}={name}" for option, name in FILES.items()]
    args = ["evals", "-p", "no:randomly", *world.mode.split(), *world.args, *files]
    run = repository.pytest(*args, environment={"COLUMNS": "250"})
    tally["runs"] += 1
    tally["suites"] += len(world.suites)
    tally[world.mode] += 1
    try:
        found = list(_disagreements(world, folder, run, tally))
    except (AssertionError, LookupError, OSError, ValueError) as error:
        found = [f"can't be read: {type(error).__name__}: {error}: {run.output[-3000:]}"]
    return [f"seed {world.seed} ({' '.join(args[3:-4])}): {line}" for line in found]


def _disagreements(world: World, folder: Path, run: Run, tally: Counter[str]) -> Iterator[str]:
    cases = outputs.junit(folder / "junit.xml")
    expected = Expected(world, {test: outcome for test, (outcome, _) in cases.items()})
    tally["tests"] += len(cases)
    yield from _tests(world, expected, cases)
    said = {outcome for outcome, _ in cases.values()}
    code = 5 if not cases else 1 if FAILED in said else 0
    if run.exit_code != code:
        yield f"exit code {run.exit_code}, not {code}: {run.output[-2000:]}"
    if not expected.looked_at:
        yield from (f"{name} was written by a run that looked at nothing" for name in _written(folder))
        return
    suites = json.loads((folder / "results.json").read_text())["suites"]
    report = outputs.report(folder / "report.html")
    shown = {name for name, _ in expected.looked_at}
    if set(suites) != shown:
        yield f"results: {set(suites)} were looked at, not {shown}"
    for name in shown & set(suites):
        yield from _results(world.suites[name], expected, suites[name], tally)
    yield from _outputs(world, expected, folder, run, suites, report)
    yield from _junit_properties(cases, suites)


def _written(folder: Path) -> list[str]:
    return [name for name in FILES.values() if name != "junit.xml" and (folder / name).exists()]


# ---------------------------------------------------------------- tests


def _tests(world: World, expected: Expected, cases: dict[Test, tuple[str, dict[str, str]]]) -> Iterator[str]:
    for test, (outcome, _) in cases.items():
        wanted = expected.outcome(test)
        if outcome not in wanted:
            yield f"{test} {outcome}, not {' or '.join(sorted(wanted))}"
    if not {"-k", "-m"} & set(world.args):
        there = set(_all_tests(world))
        yield from (f"{test} is missing" for test in there - set(cases))
        yield from (f"{test} is too many" for test in set(cases) - there)


def _all_tests(world: World) -> Iterator[Test]:
    functions = {"test_sample", "test_gate", "test_slices", "test_scores", "test_compare", "test_against", *world.own_tests}
    for suite in world.suites.values():
        for model in suite.models.values():
            rows = suite.rows[: world.samples]
            yield from (Test(it, suite.name, model.key, row.id) for it in functions & _ON_SAMPLES for row in rows)
            yield from (Test(it, suite.name, model.key, "") for it in functions & _ON_MODELS)
            yield from (Test(it, suite.name, model.key, metric) for it in functions & _ON_GATES for metric in model.gates)
            slice_gates = model.slice_gates if suite.has_slices else {}
            yield from (Test(it, suite.name, model.key, metric) for it in functions & _ON_SLICES for metric in slice_gates)
            drops = suite.max_drop if world.is_against else {}
            yield from (Test(it, suite.name, model.key, metric) for it in functions & _ON_PASTS for metric in drops)
        for pair in suite.comparisons:
            yield from (Test(it, suite.name, pair.name, metric) for it in functions & _ON_PAIRS for metric in pair.bounds)


_ON_SAMPLES = {"test_sample", "test_id", "test_broken"}
_ON_MODELS = {"test_scores", "test_whole", "test_past"}
_ON_GATES = {"test_gate", "test_odd", "test_any"}
_ON_SLICES = {"test_slices", "test_odd_slices"}
_ON_PAIRS = {"test_compare", "test_any_pair", "test_odd_pair"}
_ON_PASTS = {"test_against", "test_any_past"}
assert set(OWN_TESTS) <= _ON_SAMPLES | _ON_MODELS | _ON_GATES | _ON_SLICES | _ON_PAIRS | _ON_PASTS


# ---------------------------------------------------------------- results


def _results(suite: Suite, expected: Expected, found: dict[str, Any], tally: Counter[str]) -> Iterator[str]:
    known = outputs.results({suite.name: found})
    wanted = set(expected.bounds(suite))
    there = {bound for bound, each in known.items() if bound[0] != AGAINST or bound[3] in suite.max_drop}
    yield from (f"results: {bound} is missing" for bound in wanted - there)
    yield from (f"results: {bound} is too many" for bound in there - wanted)
    for bound in wanted & there:
        verdict = expected.verdict(bound)
        said = (known[bound]["verdict"], known[bound]["passed"])
        tally[f"{bound[0]} {said[0]}"] += 1
        if said not in verdict:
            yield f"results: {bound} is {said}, not {verdict}"
    yield from _unlike(found, suite.name)
    for key, model in found["models"].items():
        yield from _means(suite, expected, key, model)
    for (kind, _, key, metric), each in known.items():
        yield from _difference(suite, expected, kind, key, metric, each)
    yield from _own(suite, expected, found.get("tests", {}))


def _unlike(data: Any, place: str) -> Iterator[str]:
    """Yield where `passed` and `verdict` don't say the same."""
    if isinstance(data, list):
        for each in data:
            yield from _unlike(each, place)
    elif isinstance(data, dict):
        if "passed" in data:
            fits = {True: (PASSED,), False: (FAILED, "inconclusive"), None: ("inconclusive", NOT_CHECKED)}
            if data.get("verdict") not in fits[data["passed"]]:
                yield f"results: {place}: passed {data['passed']}, verdict {data.get('verdict')}"
        for key, each in data.items():
            yield from _unlike(each, f"{place} {key}")


def _means(suite: Suite, expected: Expected, key: str, found: dict[str, Any]) -> Iterator[str]:
    model = suite.models[key]
    answers = expected.answers(suite, model)
    failed = {name for name, one in answers.items() if one.text is None}
    if set(found["failures"]) != failed or found["failed"] != len(failed) or found["samples"] != len(answers):
        yield f"results: {suite.name} {key}: {found['failed']} of {found['samples']} failed, not {len(failed)} of {len(answers)}"
    slices = expected.slices(suite, answers) if suite.has_slices else {}
    tables = [(None, found["scores"]), *((topic, found["slices"]["topic"][topic]["scores"]) for topic in slices)]
    for topic, table in tables:
        for metric in suite.metrics:
            mean = expected.mean(suite, model, metric, topic)
            said = table.get(metric.name)
            if (mean is None) != (said is None):
                yield f"results: {suite.name} {key} {topic} {metric.name}: {said}, not {mean}"
            elif mean is not None and said is not None:
                ends = (said["low"], said["high"])
                if said["mean"] != mean.mean or not all(map(are_near, ends, mean.ends)) or said["scored"] != mean.scored:
                    yield f"results: {suite.name} {key} {topic} {metric.name}: {said}, not {mean}"


def _difference(suite: Suite, expected: Expected, kind: str, key: str, metric: str, said: dict[str, Any]) -> Iterator[str]:
    measure = next((each for each in suite.metrics if each.name == metric), None)
    if kind not in (COMPARE, AGAINST) or measure is None:
        return
    found: Change | None
    if kind == COMPARE:
        pair = next(each for each in suite.comparisons if each.name == key)
        found = expected.change(suite, pair, measure)
    else:
        model = suite.models[key]
        is_whole = len(expected.answers(suite, model)) == len(suite.rows)
        found = expected.past(suite, model, measure) if is_whole else None
    if kind == AGAINST and said["verdict"] == NOT_CHECKED and said["difference"] is None:
        return
    numbers = [said["difference"], said["low"], said["high"]]
    wanted = [None, None, None] if found is None else [found.mean, found.low, found.high]
    if not all(map(are_near, numbers, wanted)) or said["samples"] != (found.pairs if found else 0):
        yield f"results: {suite.name} {key} {metric}: {said}, not {found}"


def _own(suite: Suite, expected: Expected, found: dict[str, Any]) -> Iterator[str]:
    """Yield what is said otherwise of a user's own tests that assert on a model by no bound."""
    wanted = {
        test: {"passed": True, "failed": False, "skipped": None}[outcome]
        for test, outcome in expected.outcomes.items()
        if test.function in ("test_whole", "test_past") and test.suite == suite.name
    }
    said = {outputs.test_of(name.split("::")[1]): each["passed"] for name, each in found.items()}
    for test in {*wanted, *said}:
        if wanted.get(test, "absent") != said.get(test, "absent"):
            yield f"results: {test} is {said.get(test, 'absent')}, not {wanted.get(test, 'absent')}"


# ---------------------------------------------------------------- the other outputs


def _outputs(
    world: World, expected: Expected, folder: Path, run: Run, suites: dict[str, Any], report: list[dict[str, Any]]
) -> Iterator[str]:
    shown = {name for name, _ in expected.looked_at}
    results = {bound: each for bound, each in outputs.results(suites).items() if _is_bounded(world, bound)}
    in_report, in_slices = outputs.report_bounds(report), outputs.report_slices(report)
    terminal, terminal_slices, headlines = outputs.terminal(run.output)
    text = (folder / "comment.md").read_text()
    comment, comment_slices, headings = outputs.comment(text, list(world.suites))
    if not comment_slices and len(text) > LONG:  # Slices are left out of a comment that GitHub wouldn't take with them.
        comment_slices = in_slices
    for bound, each in results.items():
        suite, key = bound[1], bound[2]
        is_shown = bound[0] != AGAINST or _is_in_tables(world, expected, suite, key, results)
        if is_shown and (in_report.get(bound, {}).get("verdict"), in_report.get(bound, {}).get("passed")) != (
            each["verdict"],
            each["passed"],
        ):
            yield f"report: {bound} is {in_report.get(bound)}, not {each}"
        if bound[0] == SLICES:
            continue
        tables = {"terminal": terminal, "comment": comment}
        for name, table in tables.items():
            if is_shown and table.get(bound) != each["verdict"]:
                yield f"{name}: {bound} is {table.get(bound)}, not {each['verdict']}"
    for name, table in {"terminal": terminal, "comment": comment}.items():
        yield from (f"{name}: {bound} is too many" for bound in set(table) - set(results))
    for name, slices in {"terminal": terminal_slices, "comment": comment_slices}.items():
        if slices != in_slices:
            yield f"{name}: slices {set(slices.items()) ^ set(in_slices.items())} are not the report's"
    yield from _slices(world, expected, in_slices)
    for data in report:
        name = data["suite"]
        text = data["verdict"]["text"]
        if headlines.get(name) != text or outputs.SIGN.sub("", headings.get(name, "")) != text:
            yield f"{name}: the terminal says {headlines.get(name)!r}, the comment {headings.get(name)!r}, the report {text!r}"
        yield from _headline(expected, name, data, headings.get(name, ""), run.exit_code)
    if {data["suite"] for data in report} != shown or set(headlines) != shown or set(headings) != shown:
        yield f"suites: {shown} were looked at; report {[data['suite'] for data in report]}, {set(headlines)}, {set(headings)}"


def _is_bounded(world: World, bound: Bound) -> bool:
    return bound[0] != AGAINST or bound[3] in world.suites[bound[1]].max_drop


def _is_in_tables(world: World, expected: Expected, name: str, key: str, results: dict[Bound, dict[str, Any]]) -> bool:
    """Whether tables show a model beside its past: a line says that it can't be compared, or that nothing changed and all passed."""
    suite = world.suites[name]
    model = suite.models[key]
    if len(expected.answers(suite, model)) < len(suite.rows) or not in_common(suite):
        return False
    verdicts = {each["verdict"] for bound, each in results.items() if bound[:3] == (AGAINST, name, key)}
    return not is_unchanged(suite, model) or bool(verdicts - {PASSED})


def _slices(world: World, expected: Expected, said: outputs.Slices) -> Iterator[str]:
    for (suite, key, metric, topic), verdict in said.items():
        bound = (SLICES, suite, key, metric)
        whole = {verdict for verdict, _ in expected.verdict(bound)}
        if verdict == PASSED and NOT_CHECKED in whole and len(whole) == 1:
            yield f"report: slice {topic} of {bound} passed, and the bound is not checked"
        if verdict == FAILED and whole == {PASSED}:
            yield f"report: slice {topic} of {bound} failed, and the bound passed"


def _headline(expected: Expected, name: str, data: dict[str, Any], heading: str, exit_code: int) -> Iterator[str]:
    """Yield where what is said first of a suite isn't what its tests came to."""
    outcomes = [outcome for test, outcome in expected.outcomes.items() if test.suite == name]
    states = {state for _, state in data["verdict"]["parts"]}
    text = data["verdict"]["text"]
    sign = {"failed": "❌", "passed": "✅"}.get(FAILED if FAILED in states else PASSED if PASSED in states else "", "❔")
    if not heading.startswith(sign):
        yield f"{name}: the comment's sign is {heading[:1]}, the report's parts are {states}"
    if (FAILED in outcomes) != (FAILED in states):
        yield f"{name}: {Counter(outcomes)}, but the report's parts are {data['verdict']['parts']}"
    if exit_code and "All " in text:
        yield f"{name}: {text!r} in a run that exits {exit_code}"
    checked = [each for bound, each in _gates_of(expected, name)]
    held, of = sum(passed is True for passed in checked), sum(passed is not None for passed in checked)
    if of and f"{held} of {of} gate" not in text and f"All {of} gates hold" not in text:
        yield f"{name}: {held} of {of} gates hold, but it says {text!r}"


def _gates_of(expected: Expected, name: str) -> Iterator[tuple[object, bool | None]]:
    suite = expected.world.suites[name]
    for bound in expected.bounds(suite):
        if bound[0] in (GATE, SLICES):
            said = expected.verdict(bound)
            yield bound, next(iter(said))[1]
    for test, outcome in expected.outcomes.items():
        if test.suite == name and test.function in ("test_whole", "test_past"):
            yield test, {"passed": True, "failed": False, "skipped": None}[outcome]


def _junit_properties(cases: dict[Test, tuple[str, dict[str, str]]], suites: dict[str, Any]) -> Iterator[str]:
    """Yield where the numbers of JUnit XML are not those of the results."""
    for test, (_, properties) in cases.items():
        if test.function == "test_gate" and test.last in properties:
            said = suites[test.suite]["models"][test.subject]["scores"][test.last]["mean"]
            if not math.isclose(float(properties[test.last]), said, rel_tol=0, abs_tol=0):
                yield f"JUnit: {test} has the mean {properties[test.last]}, not {said}"
