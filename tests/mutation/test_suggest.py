"""`--suggest`: gates to paste, from recordings alone, with the damage that each would notice."""

import re
import tomllib
from pathlib import Path

import pytest
from evaltape.errors import UserError
from evaltape.mutation.suggestion import SuggestedGate, Suggestion, propose, smallest_set
from evaltape.reporting.listings import suggestion_lines
from evaltape.scoring.bounds import GATE, Bound
from evaltape.scoring.noise import noise_of
from evaltape.scoring.scores import ModelScores
from evaltape.suite.definition import Model
from evaltape.suite.reader import load_suite

from tests.support.commands import evaltape, files_of
from tests.support.metrics import metrics
from tests.support.options import settings_of
from tests.support.predictions import answered
from tests.support.project import Project, run_forked

MODEL = Model("small", "chats", "small")
SCORES = [0.4, 0.5, 0.6, 0.7] * 10


def scores_of(column: list[float]) -> ModelScores:
    """The scores of a model on a metric."""
    predictions = [answered("small", f"s{n}", {"rouge1": score}) for n, score in enumerate(column)]
    return ModelScores(MODEL, metrics({"rouge1": {}}), predictions)


def suggested_in(output: str) -> str:
    """The lines to paste."""
    found = re.search(r"^=+ suggested gates: [^\n]* =+\n(.*?)\n\n", output, re.DOTALL | re.MULTILINE)
    assert found, output
    return found[1] + "\n"


def test_the_example_gets_gates_that_its_suite_accepts_and_that_hold(tmp_path: Path) -> None:
    folder = tmp_path / "example"
    folder.mkdir()
    assert evaltape(folder, "init").exit_code == 0
    before = files_of(folder)
    run = run_forked(folder, "evals", "--suggest", "-n", "2", "-p", "no:cacheprovider")
    assert run.exit_code == 0 and "passed" not in run.output and "workers" not in run.output, run.output
    assert files_of(folder) == before
    toml = suggested_in(run.output)
    gates = {key: table["gates"] for key, table in tomllib.loads(toml)["models"].items()}
    assert list(gates) == ["careful", "hasty"]
    assert list(gates["careful"]) == ["rouge1", "names_kept"]  # The fewest that notice all that any of the three notices.
    words = " ".join(line.lstrip("# ") for line in toml.splitlines())
    assert "careful: its gates notice 6 of 9 harmful operators at 25% of the answers, by rouge1 and names_kept;" in words
    assert "No gate notices swap_names, negate, wrong_number." in words
    assert "the end of the 98% interval of the mean of 24 samples: no repeats are recorded" in words
    assert re.search(r"# rougeL = 0\.\d+\n", toml) and "samples would make it notice first_lines" in words
    assert "hasty: its gates notice 0 of 8" in words and set(gates["hasty"]) == {"rouge1", "rougeL", "names_kept"}
    assert "--repeat" not in words  # Answers from a file can't be asked for again.

    suite = folder / "evals/suites/example.toml"
    without = "".join(line for line in suite.read_text().splitlines(True) if not line.startswith("gates = "))
    suite.write_text(f"{without}\n{toml}")
    assert load_suite(suite).models["careful"].gates == gates["careful"]
    assert run_forked(folder, "evals", "-k", "gate", "-p", "no:cacheprovider").exit_code == 0


def test_too_few_samples_and_nothing_recorded_are_said_in_place_of_a_number(recorded: Project) -> None:
    recorded.extend_suite('\n[models.other]\nmodel = "other-2026-01-01"\n')
    toml = suggested_in(recorded.run("evals", "--suggest").output)
    words = " ".join(line.lstrip("# ") for line in toml.splitlines())
    assert tomllib.loads(toml) == {}
    assert "small: no metric has a gate that these recordings speak for" in words
    assert "rouge1: no gate is suggested: 6 samples have a score, and a gate takes 20" in words
    assert "other: no gate is suggested: 6 of 6 samples failed, 0 allowed" in words
    assert "Record the rest: pytest" in words and "6 calls" in words
    only = suggested_in(recorded.run("evals", "--suggest", "-k", "other").output)
    assert "small:" not in only and "other:" in only


def test_options_that_it_has_no_use_for_are_refused(recorded: Project) -> None:
    for words in (["--record"], ["--mutate"], ["--samples", "3"], ["--against", "HEAD"], ["--estimate"], ["--snapshot-update"]):
        with pytest.raises(UserError, match=f"--suggest prints gates .* leave out {' '.join(words).removesuffix(' HEAD')}"):
            settings_of(recorded.root, "evals", "--suggest", *words)


# ---------------------------------------------------------------- a gate


def test_with_repeats_it_is_the_gate_of_the_noise_rounded_to_the_looser_side() -> None:
    noise = noise_of([[score, score + (0.02 if n % 2 else -0.02)] for n, score in enumerate(SCORES)])
    assert noise is not None and noise.gate is not None
    found = propose(scores_of(SCORES), "rouge1", noise)
    assert isinstance(found, SuggestedGate) and found.is_measured
    assert noise.gate - 0.0001 < found.bound.limit <= noise.gate
    assert "at most once in 100 recordings, by up to 2 answers each to 40 samples" in found.ground


def test_too_few_repeats_leave_the_interval_which_is_said() -> None:
    noise = noise_of([[0.4, 0.5], *([score] for score in SCORES[1:])])
    scores = scores_of(SCORES)
    found = propose(scores, "rouge1", noise)
    assert isinstance(found, SuggestedGate) and not found.is_measured
    assert "only 1 of them asked again, so its noise isn't known" in found.ground
    low = scores.intervals["rouge1"].low
    assert low is not None and found.bound.limit < low  # The 95% interval is the narrower one.


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (SCORES[:19], "19 samples have a score, and a gate takes 20"),
        ([0.0] * 40, "its gate would be 0, the worst that a mean can be, which nothing fails"),
        ([], "no answer has a score"),
    ],
)
def test_a_metric_that_nothing_can_be_said_of_has_a_reason(column: list[float], reason: str) -> None:
    assert propose(scores_of(column), "rouge1", None) == reason


def test_the_smallest_set_is_smaller_than_the_greedy_one() -> None:
    noticed = {"wide": "cdef", "left": "abcd", "right": "efgh", "none": ""}
    assert smallest_set({**noticed, "wide": "bcdefg"}) == ("left", "right")
    assert smallest_set({"a": "", "b": ""}) == ()
    assert smallest_set({"a": "x", "b": "x"}) == ("a",)


def test_odd_names_are_quoted_and_models_of_one_table_get_one_table() -> None:
    models = {key: Model(key, "chats", "m", declared="gpt-4.1") for key in ("gpt-4.1", "gpt-4.1-terse")}

    def found(key: str) -> Suggestion:
        gate = SuggestedGate(Bound(GATE, "chats", key, "naïve f1", 0.25), 40, "a ground", is_measured=True, noticed=("negate",))
        return Suggestion((gate,), {}, ("negate",), 0.25, ("naïve f1",))

    text = "\n".join(suggestion_lines({key: found(key) for key in models}, models))
    assert tomllib.loads(text) == {"models": {"gpt-4.1": {"gates": {"naïve f1": 0.25}}}}
    assert "# gpt-4.1-terse: " in text and "It shares [models.gpt-4.1] with a model above" in text


def test_repeats_are_advised_for_models_that_can_be_asked_again() -> None:
    gate = SuggestedGate(Bound(GATE, "chats", "small", "rouge1", 0.25), 40, "a ground", is_measured=False)
    found = {"small": Suggestion((gate,), {}, (), 0.25, ())}
    from_file = Model("small", "chats", "", predictions=Path("small.jsonl"))
    assert "--repeat 5" in "".join(suggestion_lines(found, {"small": MODEL}))
    assert "--repeat 5" not in "".join(suggestion_lines(found, {"small": from_file}))
