"""`--repeat`: how far a mean moves when the same is asked again, and what that means for a gate."""

import json
import math
import random
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
from evaltape.errors import UserError
from evaltape.scoring.noise import Noise, noise_of

from tests.support.options import settings_of
from tests.support.project import Project, Run
from tests.support.server import ApiServer

# Of two samples in turn the first is answered in full, then half (precision 1, recall 1/2); the second in the same words
# each time.
ROWS = [
    {"id": f"s{n}", "dialogue": f"Ann: {words}{n}\nBob: ok", "summary": words}
    for n, words in enumerate(["one two", "three four"] * 10, 1)
]
ANSWERS = {"one": ["one two", "one"], "three": ["three four", "three four"]}
F1_HALF = 2 / 3
# Variance of (1, 2/3) in half of the samples and of (1, 1) in the others, their mean over the number of samples.
SD = math.sqrt((1 - F1_HALF) ** 2 / 2 / 2 / 20)
MEAN = ((1 + F1_HALF) / 2 + 1) / 2
# Ten samples vary alike, so ten degrees of freedom count: their quantiles of 99% and 97.5% are 2.763769 and 2.228139.
GATE = MEAN - 2.763769 * SD * math.sqrt(1 + 1 / 2)
DROP = 2.228139 * math.sqrt(2) * SD


@dataclass
class Recorded:
    """A project whose model answers half of its samples differently when it is asked again, recorded with repeats."""

    project: Project
    run: Run
    calls: int

    @cached_property
    def small(self) -> Any:
        """What the results of its replay say of its model."""
        return self.project.results()["models"]["small"]


def make_noisy(project: Project, api: ApiServer) -> Project:
    asked = Counter[str]()

    def answer(prompt: str) -> str:
        asked[prompt] += 1
        return next(answers for word, answers in ANSWERS.items() if word in prompt)[(asked[prompt] - 1) % 2]

    api.answers["small-2026-01-01"] = answer
    project.write_rows(ROWS)
    project.edit_suite("rouge1 = 0.3", "rouge1 = 0.9")
    return project


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """A project of which each sample was recorded twice, in order. Not to be written to."""
    with ApiServer() as api:
        project = make_noisy(Project(tmp_path_factory.mktemp("twice") / "project", api.base_url), api)
        run = project.run("evals", "--record", "--repeat", "2", "--concurrency", "1", "--snapshot-update", "-n 2")
        return Recorded(project, run, api.calls)


@pytest.fixture
def noisy(twice: Recorded, project: Project, api: ApiServer) -> Project:
    """A copy of it that may be written to."""
    return make_noisy(project.take(twice.project.root), api)


def test_each_repeat_has_a_cassette_of_its_own(twice: Recorded) -> None:
    twice.run.assert_outcomes(passed=22)
    assert twice.calls == 40
    assert set(twice.project.recorded()) == {f"s{n}{repeat}" for n in range(1, 21) for repeat in ("", ".repeat-2")}


def test_the_spread_the_smallest_drop_and_the_gate_by_hand(twice: Recorded) -> None:
    found = twice.small["noise"]["rouge1"]
    assert (found["runs"], found["samples"], found["of"]) == (2, 20, 20)
    assert found["mean"] == pytest.approx(MEAN)
    assert found["sd"] == pytest.approx(SD)
    assert found["smallest_drop"] == pytest.approx(DROP)
    assert found["gate_1_in_100"] == pytest.approx(GATE)


def test_a_gate_inside_the_noise_is_warned_of(twice: Recorded, noisy: Project) -> None:
    shown = twice.run.output
    assert "Noise of small, from 2 answers to each of 20 samples:\n" in shown
    assert "\n               sd of a mean   smallest drop   1-in-100 gate\n" in shown
    assert f"\n  rouge1             {SD:.4f}          {DROP:.4f}          {GATE:.4f}\n" in shown
    assert "Warning: gate rouge1 = 0.9 lies inside the noise: a new recording of the" in shown
    noisy.edit_suite("rouge1 = 0.9", "rouge1 = 0.5")
    shown = noisy.run("evals").output
    assert "Noise of small, from 2 answers" in shown
    assert "lies inside the noise" not in shown


def test_gates_see_the_first_answer_alone(twice: Recorded) -> None:
    assert twice.small["scores"]["rouge1"]["mean"] == 1.0


def test_a_repeat_of_another_prompt_does_not_count(noisy: Project) -> None:
    path = noisy.cassette("s1.repeat-2")
    path.write_text(path.read_text().replace("Summarise this", "Summarise that"))
    found = noisy.results()["models"]["small"]["noise"]["rouge1"]
    assert (found["samples"], found["of"]) == (19, 20)


def test_too_few_repeats_judge_no_gate(noisy: Project) -> None:
    for n in range(3, 21):
        noisy.cassette(f"s{n}.repeat-2").unlink()
    shown = noisy.run("evals", "--results", "results.json").output
    found = json.loads((noisy.root / "results.json").read_text())["suites"]["chats"]["models"]["small"]["noise"]["rouge1"]
    assert (found["samples"], found["of"], found["smallest_drop"], found["gate_1_in_100"]) == (2, 20, None, None)
    assert "Noise of small, from 2 answers to each of 2 of 20 samples:\n" in shown
    assert "  -: it takes 20 samples (50 if none varies) and half of all to judge a gate\n" in shown
    assert "lies inside the noise" not in shown


def test_without_repeats_there_is_nothing_to_tell(recorded: Project) -> None:
    shown = recorded.run("evals", "--results", "results.json").output
    (small,) = json.loads((recorded.root / "results.json").read_text())["suites"]["chats"]["models"].values()
    assert "noise" not in small
    assert "scores: chats" in shown
    assert "Noise" not in shown


def test_repeats_that_were_cut_short_are_finished(noisy: Project, api: ApiServer) -> None:
    noisy.cassette("s2.repeat-2").unlink()
    noisy.run("evals", "--record-missing", "--repeat", "2").assert_outcomes(passed=22)
    assert api.calls == 1
    assert len(noisy.recorded()) == 40


def test_repeats_need_a_recording(project: Project) -> None:
    project.run("evals", "--repeat", "2").assert_refused("--repeat 2 asks samples again", "add --record")
    with pytest.raises(UserError, match="a whole number from 1"):
        settings_of(project.root, "evals", "--record", "--repeat", "0")


# ---------------------------------------------------------------- the numbers


def test_the_gate_fails_an_unchanged_model_once_in_100_runs_and_the_drop_once_in_20() -> None:
    # Samples differ among each other far more than from run to run. Against what is known, a hundred new runs are held.
    rng = np.random.default_rng(7)
    levels, trials, alarms, drops = rng.uniform(0.2, 0.8, 40), 600, 0.0, 0.0
    for _ in range(trials):
        known, new = (rng.normal(levels, 0.05, (runs, 40)).clip(0, 1) for runs in (3, 100))
        noise = noise_of(known.T.tolist())
        assert noise is not None
        means = new.mean(axis=1)
        alarms += np.mean(means < noise.gate)
        drops += np.mean(abs(means - known[0].mean()) > noise.smallest_drop)
    assert 0.005 < alarms / trials < 0.017
    assert 0.04 < drops / trials < 0.065


def repeated(times: int, *samples: list[float]) -> list[list[float]]:
    """The answers of samples, each as often as told."""
    return [list(scores) for scores in samples for _ in range(times)]


def test_which_samples_were_drawn_is_no_noise() -> None:
    assert noise_of([[0.1, 0.1], [0.9, 0.9]]).sd == 0


def test_where_no_repeat_varied_a_few_samples_may_still_lose_everything() -> None:
    # One repeat of each of 50 samples: three may change for the worse in 1 of 100 cases, and lose 0.2 at most, or all of 0.7.
    noise = noise_of(repeated(25, [0.5, 0.5], [0.7, 0.7]))
    assert (noise.gate, noise.smallest_drop) == (pytest.approx(0.6 - 3 * 0.2 / 50), pytest.approx(2 * 0.2 / 50))
    assert noise.holds_inside(0.6) is True
    assert noise.chance_to_fail(0.59) == pytest.approx(0.0110, abs=1e-4)
    assert noise.chance_to_fail(0.61) == 1.0
    assert noise_of(repeated(25, [0.5, 0.5], [0.7, 0.7]), limits=(0, 1)).gate == pytest.approx(0.6 - 3 * 0.7 / 50)
    assert noise_of(repeated(25, [0.5] * 20, [0.7] * 20)).gate == pytest.approx(0.6)


def test_the_gate_of_a_model_that_rarely_answers_otherwise_fails_once_in_100_runs() -> None:
    rng = random.Random(11)

    def run(runs: int) -> list[list[float]]:
        return [[max(0.0, level - 0.3) if rng.random() < 0.02 else level for _ in range(runs)] for level in levels]

    levels, alarms, trials = [rng.uniform(0.2, 0.8) for _ in range(50)], 0, 400
    for _ in range(trials):
        known, new = run(2), run(1)
        alarms += sum(scores[0] for scores in new) / 50 < noise_of(known, limits=(0, 1)).gate - 1e-12
    assert alarms / trials < 0.02


def test_the_mean_is_of_all_samples_and_the_noise_of_those_asked_repeatedly() -> None:
    noise = noise_of([*repeated(20, [0.4, 0.6]), *repeated(20, [0.9])])
    assert (noise.runs, noise.samples, noise.of) == (2, 20, 40)
    assert noise.mean == pytest.approx(0.7)
    assert noise.sd == pytest.approx(math.sqrt(0.02 / 40))
    # The mean so far rests on two answers of half of the samples, and one of the others.
    assert noise.sd_of_next == pytest.approx(math.sqrt(0.02 / 40 * (1 + 0.75)))
    assert noise.freedom == pytest.approx(20)


@pytest.mark.parametrize(
    ("answers", "is_enough"),
    [
        (repeated(20, [0.4, 0.6]), True),
        (repeated(19, [0.4, 0.6]), False),
        ([*repeated(20, [0.4, 0.6]), *repeated(20, [0.5])], True),
        ([*repeated(20, [0.4, 0.6]), *repeated(21, [0.5])], False),
        (repeated(50, [0.5, 0.5]), True),
        (repeated(49, [0.5, 0.5]), False),
    ],
    ids=["20", "19", "20 of 40", "20 of 41", "50 alike", "49 alike"],
)
def test_a_gate_is_judged_by_20_samples_and_half_of_all_or_by_50_that_never_vary(
    answers: list[list[float]], is_enough: bool
) -> None:
    noise = noise_of(answers)
    assert noise.is_enough is is_enough
    judged = (noise.gate, noise.smallest_drop, noise.chance_to_fail(0.5), noise.holds_inside(0.5))
    assert [value is not None for value in judged] == [is_enough] * 4


def test_samples_answered_once_tell_nothing() -> None:
    assert noise_of([[0.5], [0.7]]) is None
    assert noise_of([[0.5], [0.7, 0.7]]).samples == 1


def test_the_chance_to_fail_a_gate() -> None:
    noise = Noise(runs=1_000_000, samples=100, of=100, mean=0.5, sd=0.01, sd_of_next=0.01, freedom=1e6)
    assert noise.chance_to_fail(0.5) == pytest.approx(0.5)
    assert noise.chance_to_fail(noise.gate) == pytest.approx(0.01, rel=1e-3)
    assert noise.gate == pytest.approx(0.5 - 2.326 * 0.01, abs=1e-5)
    assert noise.holds_inside(0.49)
    assert noise.holds_inside(0.51)
    assert not noise.holds_inside(0.45)


def test_where_lower_is_better_the_gate_lies_over_the_mean() -> None:
    answers = repeated(20, [0.4, 0.6])
    one, other = noise_of(answers), noise_of(answers, higher_is_better=False)
    assert other.gate - other.mean == pytest.approx(one.mean - one.gate)
    assert other.chance_to_fail(0.55) == pytest.approx(one.chance_to_fail(0.45))
