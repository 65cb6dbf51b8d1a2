"""A metric of the user's: found by its name, called with sample and answer, and its failures told with file and line."""

import math
from pathlib import Path
from typing import Any

import pytest
from evaltape.errors import UserError
from evaltape.metrics.functions import metric
from evaltape.metrics.metric import Metric, check_bound

from tests.support.metrics import Example, metrics, scored

FUNCTIONS = """\
import functools
import math
from decimal import Decimal
from pathlib import Path

from evaltape.metrics.functions import metric

THRESHOLD = 0.5

def names_kept(sample, answer):
    names = sample.columns["names"]
    return sum(name in answer for name in names) / len(names)

@metric(higher_is_better=False, bounds=(0, 1))
def repetition(sample, answer):
    words = answer.split()
    return 1 - len(set(words)) / len(words)

@functools.wraps(repetition)
def half_as_bad(sample, answer): return repetition(sample, answer) / 2

@metric
def as_long(sample, answer): return len(answer) == len(sample.references[0])

@functools.lru_cache
def model():
    print("loaded")
    return len

@metric(bounds=(0, None))
def by_a_model(sample, answer, scale=1):
    return model()(answer) * scale

class Grader:
    def __call__(self, sample, answer): return 0.25
    def strictly(self, sample, answer): return 0.125

grader = Grader()

def deep(sample, answer): return helper(answer)

def helper(answer):
    return math.sqrt(-len(answer))

def too_few(answer): return 1.0

def too_many(sample, answer, model): return 1.0

def by_keyword(*, sample, answer): return 1.0

async def later(sample, answer): return 1.0

def value(sample, answer): return eval(answer)

def interrupted(sample, answer): raise KeyboardInterrupt
"""


@pytest.fixture
def acme(root: Path) -> Path:
    (root / "acme").mkdir()
    (root / "acme" / "__init__.py").touch()
    (root / "acme" / "metrics.py").write_text(FUNCTIONS)
    return root


def line_of(text: str) -> int:
    return FUNCTIONS[: FUNCTIONS.index(text)].count("\n") + 1


def built(root: Path, function: str) -> Metric:
    return metrics({"mine": {"function": function}}, root)["mine"]


def result(root: Path, function: str, answer: str, sample: Example | None = None) -> float | str:
    """The score, or the reason for none."""
    scores, unscored = scored({"mine": built(root, function)}, sample or Example(), answer)
    assert len(scores) + len(unscored) == 1
    return scores["mine"] if scores else unscored["mine"]


# ---------------------------------------------------------------- scores


def test_a_plain_function_scores_the_answer_and_higher_is_better(acme: Path) -> None:
    sample = Example(columns={"names": ["Anna", "Ben"]})
    assert result(acme, "acme.metrics:names_kept", "Anna called", sample) == 0.5
    assert built(acme, "acme.metrics:names_kept").higher_is_better
    assert built(acme, "acme.metrics:names_kept").bounds == (None, None)
    assert built(acme, "acme.metrics:names_kept").describe() == {"function": "acme.metrics:names_kept"}


def test_a_decorated_function_says_its_direction_and_bounds(acme: Path) -> None:
    assert result(acme, "acme.metrics:repetition", "no no no yes") == 0.5
    repetition = built(acme, "acme.metrics:repetition")
    assert not repetition.higher_is_better
    assert repetition.describe() == {"function": "acme.metrics:repetition", "bounds": [0, 1], "higher_is_better": False}
    assert check_bound(repetition, 20) == "= 20: a mean of mine is between 0 and 1. Did you mean 0.2?"
    assert check_bound(built(acme, "acme.metrics:names_kept"), -1e6) is None


def test_the_decorator_works_bare_and_over_other_decorators(acme: Path) -> None:
    assert result(acme, "acme.metrics:as_long", "ab") == 1.0
    assert result(acme, "acme.metrics:half_as_bad", "no no no yes") == 0.25
    assert not built(acme, "acme.metrics:half_as_bad").higher_is_better


def test_a_model_under_a_cache_is_loaded_once(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [result(acme, "acme.metrics:by_a_model", answer) for answer in ("a", "ab", "abc")] == [1.0, 2.0, 3.0]
    assert capsys.readouterr().out == "loaded\n"


@pytest.mark.parametrize(("function", "score"), [("grader", 0.25), ("grader.strictly", 0.125), ("Grader.strictly", None)])
def test_objects_that_are_called_and_their_methods_work_too(acme: Path, function: str, score: float | None) -> None:
    if score is None:
        with pytest.raises(UserError, match=r"can't be called with \(sample, answer\): missing a required argument: 'answer'"):
            built(acme, f"acme.metrics:{function}")
    else:
        assert result(acme, f"acme.metrics:{function}", "a") == score


@pytest.mark.parametrize(
    ("value", "score"),
    [
        ("True", 1.0),
        ("False", 0.0),
        ("3", 3.0),
        ("Decimal('0.25')", 0.25),
        ("__import__('numpy').float32(0.5)", 0.5),
        ("__import__('numpy').bool_(True)", 1.0),
        ("-0.0", 0.0),
    ],
)
def test_whatever_is_a_number_is_a_score(acme: Path, value: str, score: float) -> None:
    found = result(acme, "acme.metrics:value", value)
    assert found == score
    assert type(found) is float
    assert math.copysign(1, found) == 1


# ---------------------------------------------------------------- failures at one sample


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("None", "returned None, not a number"),
        ("'0.5'", "returned '0.5', not a number"),
        ("1j", "returned 1j, not a number"),
        ("[0.5]", "returned [0.5], not a number"),
        ("float('nan')", "returned nan, which isn't finite"),
        ("-math.inf", "returned -inf, which isn't finite"),
        ("10**400", "which isn't finite"),
        ("1e300", "returned 1e+300, too large for a mean"),
    ],
)
def test_what_is_no_finite_number_leaves_the_sample_unscored_with_file_line_and_sample(
    acme: Path, value: str, reason: str
) -> None:
    found = result(acme, "acme.metrics:value", value, Example(id="c042"))
    assert isinstance(found, str)
    assert found.startswith(f"acme/metrics.py:{line_of('def value')}: acme.metrics:value returned ")
    assert found.endswith(f"{reason} (sample c042)")


def test_a_score_outside_the_declared_bounds_leaves_the_sample_unscored(root: Path) -> None:
    (root / "bounded.py").write_text(
        "from evaltape.metrics.functions import metric\n\n@metric(bounds=(0, 1))\ndef share(sample, answer): return len(answer)\n"
    )
    assert result(root, "bounded:share", "a") == 1.0
    assert result(root, "bounded:share", "abc") == (
        "bounded.py:3: bounded:share returned 3.0, outside its bounds: between 0 and 1 (sample s1)"
    )


def test_an_exception_leaves_the_sample_unscored_with_the_innermost_line_of_the_users_code(acme: Path) -> None:
    assert result(acme, "acme.metrics:deep", "abc", Example(id="c042")) == (
        f"acme/metrics.py:{line_of('    return math.sqrt')}: acme.metrics:deep raised ValueError: math domain error (sample c042)"
    )
    found = result(acme, "acme.metrics:names_kept", "abc")
    assert (
        found
        == f"acme/metrics.py:{line_of('    names = sample')}: acme.metrics:names_kept raised KeyError: 'names' (sample s1)"
    )


def test_the_line_is_the_users_own_where_a_library_raised(root: Path) -> None:
    (root / ".venv/site-packages").mkdir(parents=True)
    (root / ".venv/site-packages/a_library.py").write_text("def check(text):\n    raise ValueError('unfit')\n")
    (root / "calls.py").write_text(
        "import json, sys\nsys.path.append('.venv/site-packages')\nimport a_library\n\n"
        "def reads(sample, answer):\n    return json.loads(answer)\n\n"
        "def checks(sample, answer):\n    return a_library.check(answer)\n"
    )
    assert str(result(root, "calls:reads", "no")).startswith(
        "calls.py:6: calls:reads raised json.decoder.JSONDecodeError: Expecting"
    )
    assert result(root, "calls:checks", "a") == "calls.py:9: calls:checks raised ValueError: unfit (sample s1)"


def test_other_metrics_count_where_one_fails(acme: Path) -> None:
    both = metrics({"mine": {"function": "acme.metrics:deep"}, "exact": {}}, acme)
    scores, unscored = scored(both, Example(), "hi")
    assert scores == {"exact": 1.0}
    assert list(unscored) == ["mine"]


def test_a_syntax_error_in_a_text_is_placed_where_the_text_was_read(root: Path) -> None:
    (root / "reads.py").write_text("import ast\ndef reads(sample, answer):\n    return ast.literal_eval(answer)\n")
    assert str(result(root, "reads:reads", "1 +")).startswith("reads.py:3: reads:reads raised SyntaxError: ")


def test_an_object_that_is_called_has_a_place_too(acme: Path) -> None:
    (acme / "graded.py").write_text("class Grader:\n    def __call__(self, sample, answer): pass\n\ngrader = Grader()\n")
    assert result(acme, "graded:grader", "a") == "graded.py:2: graded:grader returned None, not a number (sample s1)"


@pytest.mark.parametrize("raised", ["SystemExit(3)", "pytest.skip('not now')", "pytest.fail('no')"])
def test_no_way_to_end_a_test_ends_more_than_the_score(root: Path, raised: str) -> None:
    (root / "ends.py").write_text(f"import pytest\ndef ends(sample, answer):\n    raise {raised}\n")
    assert str(result(root, "ends:ends", "a")).startswith("ends.py:3: ends:ends raised ")


def test_an_interrupt_is_an_interrupt(acme: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        result(acme, "acme.metrics:interrupted", "a")


def test_what_a_function_raises_is_shown_in_one_short_line_of_visible_text(root: Path) -> None:
    (root / "loud.py").write_text("def loud(sample, answer):\n    raise ValueError(answer * 1000)\n")
    found = str(result(root, "loud:loud", "\x1b[2J\n"))
    assert found.isprintable()
    assert len(found) < 400
    (root / "mute.py").write_text(
        "class Mute(Exception):\n    def __str__(self): raise ValueError\n\ndef mute(sample, answer):\n    raise Mute\n"
    )
    assert str(result(root, "mute:mute", "a")).startswith("mute.py:5: mute:mute raised mute.Mute: <exception str() failed>")


# ---------------------------------------------------------------- refused before any sample


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("acme.metrics", 'it takes "module:function", as in "acme.metrics:names_kept"'),
        ("acme/metrics.py:names_kept", 'it takes "module:function", as in "acme.metrics:names_kept"'),
        ("acme.metrics:", 'it takes "module:function", as in "acme.metrics:names_kept"'),
        ("acmee.metrics:f", "there is no module 'acmee', neither under . nor installed. Did you mean 'acme'?"),
        ("acme.metric:f", "there is no module 'acme.metric', neither under . nor installed. Did you mean 'acme.metrics'?"),
        (
            "acme.metrics:name_kept",
            "acme.metrics has no 'name_kept'. Did you mean 'names_kept'? Functions there: names_kept, repetition, half_as_bad",
        ),
        ("acme.metrics:grader.lax", "acme.metrics.grader has no 'lax'."),
        ("acme.metrics:THRESHOLD", "acme.metrics:THRESHOLD is 0.5, not a function of (sample, answer)"),
        ("acme.metrics:Grader", "acme.metrics:Grader is a class, not a function of (sample, answer)"),
        ("acme.metrics:later", "acme.metrics:later is async; it takes a plain function of (sample, answer)"),
        (
            "acme.metrics:too_few",
            "acme.metrics:too_few(answer) can't be called with (sample, answer): too many positional arguments",
        ),
        (
            "acme.metrics:too_many",
            "acme.metrics:too_many(sample, answer, model) can't be called with (sample, answer): missing a required argument: 'model'",
        ),
        (
            "acme.metrics:by_keyword",
            "acme.metrics:by_keyword(*, sample, answer) can't be called with (sample, answer): too many",
        ),
        (
            "acme.broken:f",
            "importing acme.broken raised ModuleNotFoundError: No module named 'nowhere_at_all' (acme/broken.py:2)",
        ),
        ("acme.typo:f", "importing acme.typo raised SyntaxError: '(' was never closed (acme/typo.py:1)"),
        ("acme.exits:f", "importing acme.exits raised SystemExit: 0 (acme/exits.py:1)"),
        ("acme.bounds:f", "importing acme.bounds raised ValueError: bounds=(1, 0): the least score comes first, and under the"),
    ],
)
def test_a_function_that_cannot_be_used_is_refused_with_what_is_there(acme: Path, function: str, message: str) -> None:
    (acme / "acme/broken.py").write_text("\nimport nowhere_at_all\n")
    (acme / "acme/typo.py").write_text("f = (1,\n")
    (acme / "acme/exits.py").write_text("raise SystemExit(0)\n")
    (acme / "acme/bounds.py").write_text(
        "from evaltape.metrics.functions import metric\n@metric(bounds=(1, 0))\ndef f(sample, answer): return 1\n"
    )
    with pytest.raises(UserError) as caught:
        built(acme, function)
    assert str(caught.value).startswith(f"evals/suites/chats.toml: [metrics] mine: function = {function!r}: {message}")


@pytest.mark.parametrize(
    ("bounds", "error"),
    [
        ((1, 0), ValueError),
        ((0, 0), ValueError),
        ((0, math.nan), ValueError),
        ((0,), TypeError),
        (1, TypeError),
        (("a", 1), TypeError),
    ],
)
def test_bounds_without_a_score_between_them_are_refused(bounds: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^bounds="):
        metric(bounds=bounds)


def test_only_what_can_be_called_is_declared() -> None:
    with pytest.raises(TypeError, match=r"declares a function of \(sample, answer\), not 0.5"):
        metric(0.5)  # type: ignore[call-overload]
