"""Random repositories: suites of `predictions` models, tests of a user's own, and a command line that runs some of it."""

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.verdicts.statistics import Limits, exact_mean

METRICS = """\
import re

import evaltape


def _read(name, answer):
    return float(re.search(rf"\\b{name}=(\\S+)", answer)[1])


@evaltape.metric(bounds=(0, 1))
def quality(sample: evaltape.Sample, answer: str) -> float:
    return _read("quality", answer)


@evaltape.metric(higher_is_better=False, bounds=(0, 1))
def errors(sample: evaltape.Sample, answer: str) -> float:
    return _read("errors", answer)


@evaltape.metric(bounds=(1, 5))
def rating(sample: evaltape.Sample, answer: str) -> float:
    return _read("rating", answer)


@evaltape.metric(higher_is_better=False, bounds=(0, None))
def length(sample: evaltape.Sample, answer: str) -> float:
    return _read("length", answer)


def gain(sample: evaltape.Sample, answer: str) -> float:
    return _read("gain", answer)


def fine(sample: evaltape.Sample, answer: str) -> bool:
    return _read("fine", answer) == 1
"""
OWN_TESTS = {
    "test_odd": """
def test_odd(scores, metric):
    assert len(scores.model.key + metric) % 2, "even"
""",
    "test_any": """
def test_any(scores, metric):
    assert scores.predictions
""",
    "test_odd_slices": """
def test_odd_slices(slices, metric):
    assert len(slices.model.key + metric) % 2, "even"
""",
    "test_any_pair": """
def test_any_pair(comparison, metric):
    assert comparison.pairs is not None
""",
    "test_odd_pair": """
def test_odd_pair(comparison, metric):
    assert len(comparison.comparison.key + metric) % 2, "even"
""",
    "test_any_past": """
def test_any_past(against, metric):
    assert against.model.key
""",
    "test_past": """
def test_past(against):
    assert len(against.model.key) % 2, "even"
""",
    "test_whole": """
def test_whole(scores):
    assert len(scores.answered) % 2, "even"
""",
    "test_broken": """
import pytest


@pytest.fixture
def broken(request):
    assert not request.node.name.endswith("8]"), "eight"


def test_broken(broken, prediction):
    pass
""",
    "test_id": """
def test_id(prediction):
    assert not prediction.sample.id.endswith("7"), "seven"
""",
}
"""Tests of a user's own, by function: they pass and fail for reasons that have nothing to do with a bound."""
PYTEST_INI = """\
[pytest]
testpaths = evals
pythonpath = .
eval_suite = evals/suites/*.toml
addopts = --strict-markers --strict-config
"""
MODES = ("-p no:xdist", "-n 0", "-n 2")


@dataclass(frozen=True)
class Metric:
    """A metric of the world: which way it is better, and between what."""

    name: str
    higher: bool = True
    limits: Limits = (None, None)
    is_binary: bool = False


KNOWN = (
    Metric("quality", limits=(0.0, 1.0)),
    Metric("errors", higher=False, limits=(0.0, 1.0)),
    Metric("rating", limits=(1.0, 5.0)),
    Metric("length", higher=False, limits=(0.0, None)),
    Metric("gain"),
    Metric("fine", is_binary=True),
)


@dataclass(frozen=True)
class Row:
    """One sample."""

    id: str
    topic: str | None
    thread: str | None


@dataclass(frozen=True)
class Answer:
    """A model's answer: its scores by metric, but for those that can't be computed; None: there is no answer."""

    text: str | None
    scores: dict[str, float] = field(default_factory=dict)


@dataclass
class Model:
    """A model with its answers by sample."""

    key: str
    answers: dict[str, Answer]
    allow_failed: int = 0
    gates: dict[str, float] = field(default_factory=dict)
    slice_gates: dict[str, float] = field(default_factory=dict)
    past: dict[str, Answer] = field(default_factory=dict)


@dataclass
class Comparison:
    """A comparison: by metric its bound, as (kind, limit)."""

    name: str
    baseline: str
    candidate: str
    bounds: dict[str, tuple[str, float]]
    confidence: float
    inconclusive: str


@dataclass
class Suite:
    """A suite with all that is in its files."""

    name: str
    metrics: list[Metric]
    rows: list[Row]
    models: dict[str, Model]
    comparisons: list[Comparison]
    slice_min: int
    has_slices: bool
    has_clusters: bool
    max_drop: dict[str, float]
    past_rows: dict[str, str]
    """By id the input of each sample on the other side."""


@dataclass
class World:
    """A repository and a command line."""

    seed: int
    suites: dict[str, Suite]
    own_tests: list[str]
    args: list[str]
    mode: str
    samples: int | None
    is_against: bool
    is_update: bool
    """Whether the run accepts its scores."""


def input_of(row: Row) -> str:
    """The text of a sample."""
    return f"Ann: this is {row.id}\nBob: yes"


# ---------------------------------------------------------------- what is drawn


def random_world(seed: int, suites: int, mode: str | None = None) -> World:
    """Return the world of a seed; worlds of the same seed are the same."""
    choose = random.Random(seed)
    is_calm = choose.random() < 0.3
    made = {name: _suite(choose, name, is_calm) for name in (f"s{number}" for number in range(suites))}
    own = [] if is_calm else choose.sample(sorted(OWN_TESTS), choose.choice([0, 0, 1, 2, 4]))
    samples = choose.choice([None] * 7 + [3, 1000])
    is_update = samples is None and choose.random() < 0.4
    is_against = choose.random() < 0.6
    args = _selection(choose, made)
    args += [f"--samples={samples}"] if samples else []
    args += ["--against=past"] if is_against else []
    args += ["--snapshot-update"] if is_update else []
    chosen = mode or choose.choices(MODES, [10, 2, 1])[0]
    return World(seed, made, own, args, chosen, samples, is_against, is_update)


def _selection(choose: random.Random, suites: dict[str, Suite]) -> list[str]:
    name = choose.choice(sorted(suites))
    model = choose.choice(sorted(suites[name].models))
    sample = choose.choice(suites[name].rows).id
    return choose.choice(
        [
            *[[]] * 5,
            *[["-k", "not test_scores"]] * 5,
            ["-m", "gate"],
            ["-m", "sample"],
            ["-m", "baseline and not sample"],
            ["-k", "not test_gate"],
            ["-k", "not test_compare and not test_against"],
            ["-k", "test_gate or test_odd"],
            ["-k", "test_compare"],
            ["-k", "test_slices or test_sample"],
            ["-k", "test_any or test_sample"],
            ["-k", f"{name}-{model}"],
            ["-k", f"{sample} or test_any"],
            ["-k", f"not {name}-"],
        ]
    )


def _suite(choose: random.Random, name: str, is_calm: bool) -> Suite:
    """Draw a suite; of a calm one every answer is there and scored, and most bounds hold."""
    metrics = choose.sample(KNOWN, choose.randint(1, 4))
    count = choose.choice([1, 2, 5, 9, 10, 12, 20, 30, 49, 50, 60, 60])
    threads = choose.choice([1, 4, 12, 60])
    rows = [
        Row(
            f"{name}x{n}",
            choose.choice(["red", "red", "blue", "green", None]),
            f"t{choose.randrange(threads)}",
        )
        for n in range(count)
    ]
    models = {
        key: _model(choose, key, metrics, rows, is_calm) for key in choose.sample(["a", "bb", "ccc"], choose.randint(1, 3))
    }
    base, *others = models.values()
    for other in others:
        _draw_near(choose, base, other, metrics, rows)
    has_slices, slice_min = choose.random() < 0.5, choose.choice([1, 3, 10, 20])
    for model in models.values():
        _bound(choose, model, metrics, has_slices, is_calm)
    comparisons = [_comparison(choose, number, base, other, metrics) for number, other in enumerate(others)]
    suite = Suite(
        name,
        metrics,
        rows,
        models,
        comparisons,
        slice_min,
        has_slices,
        choose.random() < 0.3,
        {metric.name: _limit(choose, metric, 0.0) for metric in metrics if choose.random() < 0.7},
        {row.id: input_of(row) for row in rows},
    )
    _draw_past(choose, suite)
    return suite


def _score(choose: random.Random, metric: Metric, shape: str) -> float:
    low, high = metric.limits
    low, high = (-2.0 if low is None else low), (20.0 if high is None else high)
    if metric.is_binary:
        return float(choose.random() < {"rare": 0.9, "constant": 1.0}.get(shape, 0.6))
    if shape == "binary":
        return choose.choice([low, high])
    if shape == "constant":
        return round((low + high) / 2, 1)
    if shape == "rare":
        return high if choose.random() < 0.9 else low
    value = choose.uniform(low, high)
    return value if shape == "raw" else min(high, max(low, round(value, 1 if shape == "coarse" else 3)))


def _model(choose: random.Random, key: str, metrics: list[Metric], rows: list[Row], is_calm: bool) -> Model:
    shapes = {metric.name: choose.choice(["coarse", "fine", "raw", "binary", "constant", "rare"]) for metric in metrics}
    lost, dumb = choose.choice([0.0, 0.0, 0.05, 0.3]), choose.choice([0.0, 0.0, 0.0, 0.1])
    lost, dumb = (0.0, 0.0) if is_calm else (lost, dumb)
    answers = {}
    for row in rows:
        scores = {m.name: _score(choose, m, shapes[m.name]) for m in metrics if choose.random() >= dumb}
        answers[row.id] = Answer(None) if choose.random() < lost else _answer(scores)
    return Model(key, answers, choose.choice([0, 0, 1, len(rows)]))


def _answer(scores: dict[str, float], note: str = "now") -> Answer:
    return Answer(" ".join([*(f"{name}={value!r}" for name, value in scores.items()), f"note={note}"]), scores)


def _near(choose: random.Random, metric: Metric, value: float, shift: float) -> float:
    if metric.is_binary or choose.random() < 0.3:
        return 1 - value if metric.is_binary and choose.random() < abs(shift) else value
    low, high = metric.limits
    moved = round(value + shift + choose.choice([0.0, choose.uniform(-0.1, 0.1)]), 6)
    return min(math.inf if high is None else high, max(-math.inf if low is None else low, moved))


def _draw_near(choose: random.Random, base: Model, other: Model, metrics: list[Metric], rows: list[Row]) -> None:
    """Let a model often score near another, sample by sample, or just like it."""
    shift = choose.choice([None, 0.0, 0.0, 0.02, -0.05, 0.2, -0.2])
    if shift is None:
        return
    is_same = shift == 0.0 and choose.random() < 0.5
    for row in rows:
        if base.answers[row.id].text is not None and other.answers[row.id].text is not None:
            scores = base.answers[row.id].scores
            moved = {m.name: _near(choose, m, scores[m.name], shift) for m in metrics if m.name in scores}
            other.answers[row.id] = _answer(dict(scores) if is_same else moved)


def _draw_past(choose: random.Random, suite: Suite) -> None:
    """Draw the answers of the other side: equal, near, or others; and samples that were added, dropped or changed."""
    for model in suite.models.values():
        kind = choose.choice(["equal", "equal but one", "near", "near", "scored alike", "lost"])
        for place, (name, answer) in enumerate(model.answers.items()):
            model.past[name] = answer
            if answer.text is None or kind == "equal" or (kind == "equal but one" and place):
                continue
            near = {m.name: _near(choose, m, answer.scores[m.name], 0.02) for m in suite.metrics if m.name in answer.scores}
            scores = dict(answer.scores) if kind == "scored alike" else near
            model.past[name] = Answer(None) if kind == "lost" and choose.random() < 0.2 else _answer(scores, "then")
    changed = choose.choice([0.0, 0.0, 0.0, 0.2, 0.7])
    for row in suite.rows:
        if choose.random() < changed:
            if choose.random() < 0.5:
                del suite.past_rows[row.id]
            else:
                suite.past_rows[row.id] = "Ann: something else\nBob: yes"
    suite.past_rows |= {f"{suite.name}gone{n}": "Ann: gone\nBob: yes" for n in range(choose.choice([0, 0, 0, 2, 30]))}
    if not suite.past_rows:
        suite.past_rows[f"{suite.name}gone0"] = "Ann: gone\nBob: yes"


# ---------------------------------------------------------------- bounds


def _bound(choose: random.Random, model: Model, metrics: list[Metric], has_slices: bool, is_calm: bool) -> None:
    for metric in metrics:
        column = [one.scores[metric.name] for one in model.answers.values() if metric.name in one.scores]
        if choose.random() < 0.7:
            model.gates[metric.name] = _gate(choose, metric, column, is_calm)
        if has_slices and choose.random() < 0.5:
            model.slice_gates[metric.name] = _gate(choose, metric, column, is_calm)


def _gate(choose: random.Random, metric: Metric, column: list[float], is_calm: bool) -> float:
    """Return a gate: often the mean itself, or the next number to it."""
    mean, away = (exact_mean(column) if column else 1.0), -1 if metric.higher else 1
    easy = [mean, math.nextafter(mean, away * math.inf), mean + 0.1 * away, mean + away]
    hard = [math.nextafter(mean, -away * math.inf), round(mean, 2), mean - 0.1 * away, mean - away]
    gate = choose.choice(easy if is_calm else easy + hard)
    low, high = metric.limits
    return max(low if low is not None else -50.0, min(high if high is not None else 50.0, gate))


def _limit(choose: random.Random, metric: Metric, mean: float) -> float:
    low, high = metric.limits
    limit = abs(choose.choice([mean, 0.5 * mean, 2 * mean, 0.0, 0.02, 0.1, 0.3, 1.0, choose.random()]))
    return min(limit, 1.0 if low is None or high is None else high - low)


def _comparison(choose: random.Random, number: int, base: Model, other: Model, metrics: list[Metric]) -> Comparison:
    pair = (base, other) if choose.random() < 0.7 else (other, base)
    bounds = {}
    for metric in choose.sample(metrics, choose.randint(1, len(metrics))):
        both = [(pair[0].answers[name].scores, pair[1].answers[name].scores) for name in base.answers]
        changes = [b[metric.name] - a[metric.name] for a, b in both if metric.name in a and metric.name in b]
        mean = exact_mean(changes) if changes else 0.0
        kind = "max_drop" if (mean < 0) == metric.higher or choose.random() < 0.3 else "min_gain"
        bounds[metric.name] = (kind, _limit(choose, metric, mean))
    confidence, skip = choose.choice([0.95, 0.95, 0.9, 0.975, 0.8]), choose.choice(["skip", "fail"])
    return Comparison(f"pair{number}" + "z" * number, pair[0].key, pair[1].key, bounds, confidence, skip)


# ---------------------------------------------------------------- files


def write_world(world: World, root: Path, tests: Path) -> None:
    """Write the repository into an empty folder, with the test files of a folder."""
    for path in tests.glob("test_*.py"):
        _write(root / "evals" / path.name, path.read_text())
    _write(root / "pytest.ini", PYTEST_INI)
    _write(root / "world_metrics.py", METRICS)
    if world.own_tests:
        _write(root / "evals/test_own.py", "\n".join(OWN_TESTS[name] for name in world.own_tests))
    for suite in world.suites.values():
        _write(root / f"evals/suites/{suite.name}.toml", _toml(suite, world.is_against))
        rows = [_row(row.id, input_of(row), row) for row in suite.rows]
        _write(root / f"evals/suites/{suite.name}.jsonl", "\n".join(rows))
        known = {row.id: row for row in suite.rows}
        past = [_row(name, text, known.get(name, suite.rows[0])) for name, text in suite.past_rows.items()]
        _write(root / f"past/{suite.name}.toml", _toml(suite, True))
        _write(root / f"past/{suite.name}.jsonl", "\n".join(past))
        for model in suite.models.values():
            _write(root / f"evals/suites/{suite.name}-{model.key}.jsonl", "\n".join(_lines(model.answers)))
            _write(root / f"past/{suite.name}-{model.key}.jsonl", "\n".join(_lines(model.past)))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def _row(name: str, text: str, row: Row) -> str:
    return json.dumps({"id": name, "dialogue": text, "summary": f"all of {name}", "topic": row.topic, "thread": row.thread})


def _lines(answers: dict[str, Answer]) -> Iterator[str]:
    """Yield an answer a line; of those that failed, every other sample has no line at all."""
    for place, (name, answer) in enumerate(answers.items()):
        if answer.text is not None or place % 2:
            yield json.dumps({"id": name, "prediction": answer.text})
    yield json.dumps({"id": "nobody", "prediction": "so that no file is empty"})


def _toml(suite: Suite, is_against: bool) -> str:
    lines = ["[dataset]", f'path = "{suite.name}.jsonl"']
    lines += ['slices = ["topic"]', f"slice_min = {suite.slice_min}"] if suite.has_slices else []
    lines += ['cluster = "thread"'] if suite.has_clusters else []
    lines += ["[metrics]", *(f'{each.name} = {{ function = "world_metrics:{each.name}" }}' for each in suite.metrics)]
    for model in suite.models.values():
        lines += [f"[models.{model.key}]", f'predictions = "{suite.name}-{model.key}.jsonl"']
        lines += [f"allow_failed = {model.allow_failed}"]
        lines += [f"gates = {_table(model.gates)}"] if model.gates else []
        lines += [f"slice_gates = {_table(model.slice_gates)}"] if model.slice_gates else []
    for each in suite.comparisons:
        lines += [f"[compare.{each.name}]", f'baseline = "{each.baseline}"', f'candidate = "{each.candidate}"']
        for kind in ("min_gain", "max_drop"):
            bounds = {name: limit for name, (of, limit) in each.bounds.items() if of == kind}
            lines += [f"{kind} = {_table(bounds)}"] if bounds else []
        lines += [f"confidence = {each.confidence}", f'inconclusive = "{each.inconclusive}"']
    if suite.max_drop and is_against:
        lines += ["[against]", f"max_drop = {_table(suite.max_drop)}"]
    return "\n".join(lines)


def _table(numbers: dict[str, float]) -> str:
    return f"{{ {', '.join(f'{name} = {number!r}' for name, number in numbers.items())} }}"
