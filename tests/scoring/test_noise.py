"""`--repeat`: how far a mean moves when the same is asked again, and what that means for a gate."""

import math
import random
from collections import Counter

import pytest
from evaltape.scoring.noise import Noise, noise_of

ROWS = [
    {"id": "s1", "dialogue": "Ann: one two\nBob: ok", "summary": "one two"},
    {"id": "s2", "dialogue": "Ann: three four\nBob: ok", "summary": "three four"},
]
# The first sample is answered in full, then half (precision 1, recall 1/2); the second in the same words each time.
ANSWERS = {"one": ["one two", "one"], "three": ["three four", "three four"]}
F1_HALF = 2 / 3
# Variance of (1, 2/3) and of (1, 1), their mean over the number of samples.
SD = math.sqrt(((1 - F1_HALF) ** 2 / 2 + 0) / 2 / 2)
MEAN = ((1 + F1_HALF) / 2 + 1) / 2
GATE = MEAN - 2.326 * SD * math.sqrt(1 + 1 / 2)


@pytest.fixture
def noisy(project, api):
    """A project whose model answers one of two samples differently when it is asked again."""
    asked = Counter()

    def answer(prompt):
        word = next(word for word in ANSWERS if word in prompt)
        asked[word] += 1
        return ANSWERS[word][(asked[word] - 1) % 2]

    api.answers["small-2026-01-01"] = answer
    project.write_rows(ROWS)
    project.edit_suite("rouge1 = 0.3", "rouge1 = 0.9")
    return project


def record(project, *args):
    """Record each sample twice, in order."""
    return project.run("evals", "--record", "--repeat", "2", "--concurrency", "1", "--snapshot-update", *args)


def test_each_repeat_has_a_cassette_of_its_own(noisy, api):
    run = record(noisy, "-n 2")
    run.assert_outcomes(passed=4)
    assert api.calls == 4
    assert sorted(noisy.recorded()) == ["s1", "s1.repeat-2", "s2", "s2.repeat-2"]


def test_the_spread_the_smallest_drop_and_the_gate_by_hand(noisy, api):
    record(noisy)
    found = noisy.results()["noise"]["small"]["rouge1"]
    assert found["runs"] == found["samples"] == 2
    assert found["mean"] == pytest.approx(MEAN)
    assert found["sd"] == pytest.approx(SD)
    assert found["smallest_drop"] == pytest.approx(1.96 * math.sqrt(2) * SD)
    assert found["gate_1_in_100"] == pytest.approx(GATE)
    assert api.calls == 4


def test_a_gate_inside_the_noise_is_warned_of(noisy):
    shown = record(noisy).output
    assert "Noise of small, from 2 answers to each of 2 samples:\n" in shown
    assert "\n               sd of a mean   smallest drop   1-in-100 gate\n" in shown
    assert f"\n  rouge1             {SD:.4f}          {2.772 * SD:.4f}          {GATE:.4f}\n" in shown
    assert "Warning: gate rouge1 = 0.9 lies inside the noise: a new recording of the" in shown
    noisy.edit_suite("rouge1 = 0.9", "rouge1 = 0.5")
    assert "lies inside the noise" not in noisy.run("evals").output


def test_gates_see_the_first_answer_alone(noisy):
    record(noisy)
    scores = noisy.results()["models"]["small"]["scores"]["rouge1"]
    assert scores["mean"] == 1.0


def test_a_repeat_of_another_prompt_does_not_count(noisy):
    record(noisy)
    path = noisy.cassette("s1.repeat-2")
    path.write_text(path.read_text().replace("Summarise this", "Summarise that"))
    assert noisy.results()["noise"]["small"]["rouge1"]["samples"] == 1


def test_without_repeats_there_is_nothing_to_tell(recorded):
    assert recorded.results()["noise"] == {}
    assert "Noise" not in recorded.run("evals").output


def test_repeats_that_were_cut_short_are_finished(noisy, api):
    record(noisy)
    noisy.cassette("s2.repeat-2").unlink()
    noisy.run("evals", "--record-missing", "--repeat", "2").assert_outcomes(passed=4)
    assert api.calls == 5
    assert len(noisy.recorded()) == 4


def test_repeats_need_a_recording(project):
    project.run("evals", "--repeat", "2").assert_refused("--repeat 2 asks samples again", "add --record")
    project.run("evals", "--record", "--repeat", "0").assert_refused("a whole number from 1")


# ---------------------------------------------------------------- the numbers


def answers(rng, samples, runs):
    """Scores of samples that differ among each other far more than from run to run."""
    return [[min(1.0, max(0.0, rng.gauss(level, 0.05))) for _ in range(runs)] for level in samples]


def test_the_gate_fails_an_unchanged_model_once_in_100_runs_and_the_drop_once_in_20():
    rng = random.Random(7)
    samples = [rng.uniform(0.2, 0.8) for _ in range(40)]
    trials, alarms, drops = 4000, 0, 0
    for _ in range(trials):
        known, new = answers(rng, samples, 3), answers(rng, samples, 1)
        noise = noise_of(known)
        mean = sum(scores[0] for scores in new) / len(new)
        alarms += mean < noise.gate
        drops += abs(mean - sum(scores[0] for scores in known) / len(known)) > noise.smallest_drop
    assert 0.005 < alarms / trials < 0.017
    assert 0.04 < drops / trials < 0.065


def test_which_samples_were_drawn_is_no_noise():
    assert noise_of([[0.1, 0.1], [0.9, 0.9]]).sd == 0


def test_a_model_that_answers_alike_has_a_gate_at_its_mean():
    noise = noise_of([[0.5, 0.5], [0.7, 0.7]])
    assert (noise.gate, noise.smallest_drop) == (0.6, 0.0)
    assert not noise.holds_inside(0.6)
    assert (noise.chance_under(0.59), noise.chance_under(0.61)) == (0.0, 1.0)


def test_samples_answered_once_tell_nothing():
    assert noise_of([[0.5], [0.7]]) is None
    assert noise_of([[0.5], [0.7, 0.7]]).samples == 1


def test_the_chance_to_fall_under_a_gate():
    noise = Noise(runs=1_000_000, samples=100, mean=0.5, sd=0.01)
    assert noise.chance_under(0.5) == pytest.approx(0.5)
    assert noise.chance_under(noise.gate) == pytest.approx(0.01, rel=0.01)
    assert noise.holds_inside(0.49)
    assert noise.holds_inside(0.51)
    assert not noise.holds_inside(0.45)
