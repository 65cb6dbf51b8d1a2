"""`pytest evals --mutate` on six recorded answers: what each gate notices, by hand, and what tests say of it.

The recorded answers are the first lines of the conversations. By ROUGE-1 against their references they score 8/11, 8/11, 8/9,
0, 1 and 1/2 (`tests.support.project.ROUGE1`), a mean of 0.6406. A gate at 0.6 lets them lose 0.2434 in all.
"""

import json
from pathlib import Path

import pytest
from evaltape.errors import UserError

from tests.mutation.samples import share_by_counting
from tests.support.options import settings_of
from tests.support.project import ROUGE1, Project, Run
from tests.support.server import ApiServer
from tests.support.tuning import TuningProject

ALLOWED = sum(ROUGE1) - 6 * 0.6
RENAMED = [0.0, 2 / 11, 2 / 9, 0.0, 1 / 3, 2 / 8]
"""What a name that isn't in the reference costs each answer, of which each has one: two words in common over both lengths."""
OWN = """\
import evaltape

def shout(sample, answer, random):
    return answer.upper() if sample.id == "t5" else None

@evaltape.operator(harmful=False)
def mumble(sample, answer, random):
    return answer.split(": ")[1]
"""
MUTANTS = """
[mutants]
operators = ["swap_names", "other_name", "refusal", "whitespace"]
"""
SKIPPED = "not checked: --mutate damages recorded answers to see which gate notices"


@pytest.fixture
def strict(recorded: Project) -> Project:
    """A recorded project whose gate lies close under its mean, with four operators."""
    recorded.edit_suite("rouge1 = 0.3", "rouge1 = 0.6")
    recorded.extend_suite(MUTANTS)
    return recorded


def mutate(project: Project, *args: str) -> Run:
    """Run `pytest evals --mutate` and write the results."""
    (project.root / "results.json").unlink(missing_ok=True)
    return project.run("evals", "--mutate", "--results", "results.json", *args)


def shares(project: Project, model: str = "small") -> dict[str, dict[str, object]]:
    """The results file's table of a model."""
    mutants: dict[str, dict[str, dict[str, object]]] = json.loads((project.root / "results.json").read_text())["suites"][
        "chats"
    ]["mutants"]
    return mutants[model]


def line(run: Run, start: str) -> list[str]:
    """The words of the first line of output that starts so."""
    return next((text.split() for text in run.output.splitlines() if text.strip().startswith(start)), [])


# ---------------------------------------------------------------- the table


def test_the_smallest_share_that_a_gate_notices_is_what_counting_by_hand_says(
    strict: Project, api: ApiServer, workers: str
) -> None:
    by_hand = {
        "other_name": share_by_counting("other_name", dict(enumerate(RENAMED)), ALLOWED),
        "refusal": share_by_counting("refusal", dict(enumerate(ROUGE1)), ALLOWED),
    }
    assert set(by_hand.values()) <= {0.05, 0.1, 0.25, 0.5, 1.0}
    run = mutate(strict, workers)
    assert run.exit_code == 0, run.output
    assert shares(strict) == {
        "swap_names": {"applies_to": 0},
        "other_name": {"applies_to": 6, "rouge1": by_hand["other_name"]},
        "refusal": {"applies_to": 6, "rouge1": by_hand["refusal"]},
        "whitespace": {"applies_to": 6, "rouge1": None},
    }
    assert line(run, "undamaged") == ["undamaged", "0.6406"]
    assert line(run, "bound") == ["bound", "0.6000"]
    assert line(run, "refusal") == ["refusal", "6", f"{by_hand['refusal']:.0%}"]
    assert line(run, "swap_names") == ["swap_names", "0"]
    assert line(run, "whitespace") == ["whitespace", "6", "never"]
    assert "= mutants: chats =" in run.output
    # Gates that were not checked have no table of scores.
    assert "= scores:" not in run.output and "not checked" not in run.output
    assert api.requests == []


def test_every_test_but_those_of_mutants_is_deselected_and_no_worker_is_started(strict: Project) -> None:
    strict.extend_suite("noticed_at = 0.25\n")
    strict.edit_suite('"swap_names", "other_name", "refusal", "whitespace"', '"refusal"')
    (strict.root / "evals/test_own.py").write_text("def test_own(): raise AssertionError\n")
    run = mutate(strict, "-n", "2", "-v")
    run.assert_outcomes(passed=1, deselected=9)
    assert "test_mutants.py::test_mutants[chats-small-refusal] PASSED" in run.output
    assert "workers [" not in run.output and "[gw0]" not in run.output


def test_results_that_cannot_be_written_fail_a_run_of_no_test(strict: Project) -> None:
    (strict.root / "evals/test_mutants.py").unlink()
    (strict.root / "there").mkdir()
    run = strict.run("evals", "--mutate", "--results", "there")
    assert run.exit_code == 1, run.output
    assert "there can't be written: Is a directory" in run.output


def test_q_leaves_the_tables_and_qq_nothing(strict: Project) -> None:
    strict.edit_suite('"swap_names", "other_name", "refusal", "whitespace"', '"refusal", "preamble"')
    quiet, silent = mutate(strict, "-q"), mutate(strict, "-qq")
    assert line(quiet, "refusal") and "Brittle" not in quiet.output and "damaging" not in quiet.output
    assert "Brittle" in mutate(strict).output
    assert not line(silent, "refusal")


def test_without_operators_in_the_suite_all_that_are_built_in_are_tried(recorded: Project) -> None:
    assert mutate(recorded).exit_code == 0
    assert len(shares(recorded)) == 13


def test_tests_that_were_selected_choose_the_models(tuned: TuningProject) -> None:
    tuned.extend_suite('\n[mutants]\noperators = ["refusal"]\n')
    for args, models in (
        ("-m baseline", {"small"}),
        ("-k tuned", {"tuned"}),
        ("", {"small", "tuned"}),
    ):
        run = mutate(tuned, *([args] if args else []))
        assert run.exit_code == 0, run.output
        assert set(json.loads((tuned.root / "results.json").read_text())["suites"]["chats"]["mutants"]) == models
    run = tuned.run("evals/test_mutants.py", "--mutate")
    assert line(run, "small:") and line(run, "tuned:")


# ---------------------------------------------------------------- whatever is asserted


PAIRS = """\
[dataset]
path = "../data/talks.jsonl"
slices = ["topic"]

[metrics]
exact = {}
rouge1 = {}

[models.old]
predictions = "old.jsonl"

[models.new]
predictions = "new.jsonl"
slice_gates = { exact = 0.4 }

[compare.new-helps]
baseline = "old"
candidate = "new"
min_gain = { rouge1 = 0.30 }

[against]
max_drop = { rouge1 = 0.22 }

[mutants]
operators = ["refusal", "whitespace"]
"""


@pytest.fixture
def pairs(project: Project) -> Project:
    """Two models on 60 samples whose answers are in files: the new one gives the references, the old one parts of them."""
    rows = [
        {"id": f"n{n}", "dialogue": f"Ann: pears {n}", "summary": f"Ann has {n} green pears", "topic": n % 2} for n in range(60)
    ]
    project.write_rows(rows)
    for model, words in (("old", lambda n: 1 + n % 2), ("new", lambda n: 5)):
        answers = [
            {"id": row["id"], "prediction": " ".join(str(row["summary"]).split()[: words(n)])} for n, row in enumerate(rows)
        ]
        (project.suite.parent / f"{model}.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    project.suite.write_text(PAIRS)
    return project


def test_comparisons_against_and_slices_are_decided_again(pairs: Project) -> None:
    # The old one scores 2/6 and 4/7 by turns, so the new one gains 0.548 on average, far over 0.30. Each tenth of the answers
    # that is refused costs it 0.1: of a quarter even the mean is too low, of a tenth the whole interval is in the clear.
    # Against itself it may lose 0.22, likewise.
    assert mutate(pairs, "-n 2").exit_code == 0
    assert shares(pairs, "new")["refusal"] == {
        "applies_to": 60,
        "slice_gates": {"exact": 1.0},  # Half of each slice is 0.5, and chance; of all nothing is left.
        "comparisons": {"new-helps": {"rouge1": 0.25}},
        "against": {"rouge1": 0.25},
    }
    assert shares(pairs, "new")["whitespace"] == {
        "applies_to": 60,
        "slice_gates": {"exact": 1.0},  # Two spaces are no longer exact.
        "comparisons": {"new-helps": {"rouge1": None}},
        "against": {"rouge1": None},
    }
    # Of a comparison only the candidate is damaged.
    assert shares(pairs, "old")["whitespace"] == {"applies_to": 60, "against": {"rouge1": None}}


def test_a_slice_of_few_samples_decides_nothing(pairs: Project) -> None:
    pairs.edit_suite('slices = ["topic"]', 'slices = ["topic"]\nslice_min = 31')
    run = mutate(pairs)
    assert "Left out: slices exact: no slice has 31 samples" in run.output
    assert "slice_gates" not in shares(pairs, "new")["refusal"]


def test_gates_that_do_not_fit_beside_each_other_follow_below(pairs: Project) -> None:
    pairs.edit_suite("exact = 0.4 }", "exact = 0.4, rouge1 = 0.4 }\ngates = { exact = 0.5, rouge1 = 0.5 }")
    pairs.edit_suite("min_gain = { rouge1 = 0.30 }", "min_gain = { rouge1 = 0.30, exact = 0.5 }")
    run = mutate(pairs)
    shown = run.output[run.output.index("= mutants: chats =") :]
    assert max(map(len, shown.splitlines())) <= 80
    assert run.output.count("  refusal") == 3  # Two blocks of the new model, one of the old.


def test_answers_from_a_file_are_damaged_as_recorded_ones(strict: Project) -> None:
    rows = [json.loads(text) for text in strict.data.read_text().splitlines()]
    answers = "".join(json.dumps({"id": row["id"], "prediction": row["summary"]}) + "\n" for row in rows)
    (strict.suite.parent / "old.jsonl").write_text(answers)
    strict.extend_suite('\n[models.old]\npredictions = "old.jsonl"\ngates = { rouge1 = 0.9 }\n')
    assert mutate(strict).exit_code == 0
    assert shares(strict, "old")["refusal"] == {"applies_to": 6, "rouge1": 0.05}


def test_failed_samples_are_left_out_and_their_gate_with_them_unless_they_are_allowed(strict: Project) -> None:
    strict.cassette("t3").unlink()
    run = mutate(strict)
    assert run.exit_code == 0
    assert shares(strict)["refusal"] == {"applies_to": 5}
    assert "Left out: rouge1: 1 of 6 samples failed, 0 allowed: small: t3: " in run.output.replace("\n  ", " ")
    assert "small: no gate that could notice damage" in run.output
    strict.edit_suite("rouge1 = 0.6 }", "rouge1 = 0.5 }\nallow_failed = 1")
    assert mutate(strict).exit_code == 0
    lost = [score for place, score in enumerate(ROUGE1) if place != 2]
    assert shares(strict)["refusal"] == {
        "applies_to": 5,
        "rouge1": share_by_counting("refusal", dict(enumerate(lost)), sum(lost) - 5 * 0.5),
    }


def test_a_gate_that_fails_without_damage_notices_nothing(recorded: Project) -> None:
    recorded.edit_suite("rouge1 = 0.3", "rouge1 = 0.9")
    run = mutate(recorded)
    assert run.exit_code == 0
    assert "Left out: rouge1: fails without any damage (0.6406, bound 0.9)" in run.output
    assert shares(recorded)["refusal"] == {"applies_to": 6}


def test_what_is_recorded_of_the_call_is_no_matter_of_the_text(strict: Project) -> None:
    strict.edit_suite("[models.small]", "[metrics]\nrouge1 = {}\nwords = {}\nlatency_s = {}\n\n[models.small]")
    strict.edit_suite("rouge1 = 0.6 }", "rouge1 = 0.6, words = 9, latency_s = 5 }")
    run = mutate(strict)
    assert "Left out: latency_s: " in run.output
    # Where lower is better a rise is noticed: a refusal has 8 words and 9 are allowed.
    assert line(run, "refusal")[-1] == "never" and line(run, "words") == []


# ---------------------------------------------------------------- test_mutants


def test_where_the_suite_asks_for_it_each_harmful_operator_is_a_test(strict: Project) -> None:
    strict.extend_suite("noticed_at = 1.0\n")
    run = mutate(strict, "-n 2", "-rs")
    run.assert_outcomes(passed=2, skipped=1, deselected=8)
    assert run.exit_code == 0
    assert "not checked: swap_names applies to none of the 6 answers of small" in run.output


def test_without_mutate_its_tests_are_skipped_and_say_why(strict: Project) -> None:
    strict.extend_suite("noticed_at = 0.25\n")
    run = strict.run("evals", "-rs", "-p no:xdist")
    run.assert_outcomes(passed=8, skipped=3)
    assert SKIPPED in run.output
    assert run.exit_code == 0


def test_what_no_gate_notices_fails_and_says_what_would_notice_it(strict: Project) -> None:
    strict.edit_suite("rouge1 = 0.6", "rouge1 = 0.45")
    strict.edit_suite('"swap_names", "other_name", "refusal", "whitespace"]', '"other_name", "whitespace"]\nnoticed_at = 0.5')
    run = mutate(strict, "-n 2")
    assert run.exit_code == 1
    run.assert_outcomes(failed=1, deselected=8)
    # Of 3 of 6 answers enough draws lose 0.4040 to 0.8056 in all, up to 0.0674 to 0.1343 of the mean.
    message = " ".join(run.output.split())
    assert (
        "small other_name: no gate notices 50% of the 6 answers that it applies to (3). Nearest is rouge1, from 0.6406 to 0."
        in message
    )
    assert "of the way to its bound 0.45: gates = { rouge1 = 0.58 } would notice it, or a metric of your own" in message
    strict.edit_suite("rouge1 = 0.45", "rouge1 = 0.6")
    mutate(strict).assert_outcomes(passed=1, deselected=8)


def test_a_model_that_nothing_is_recorded_of_fails_and_is_not_skipped(strict: Project) -> None:
    strict.extend_suite("noticed_at = 0.25\n")
    for sample in range(1, 7):
        strict.cassette(f"t{sample}").unlink()
    run = mutate(strict, "-k", "refusal")
    assert run.exit_code == 1
    message = " ".join(run.output.split())
    assert "small refusal: there is no answer to damage. No gate can be decided: rouge1: 6 of 6 samples failed" in message
    assert "small: there is no answer to damage" in run.output


def test_a_model_without_gates_fails_and_says_so(strict: Project) -> None:
    strict.extend_suite("noticed_at = 0.25\n")
    strict.edit_suite("gates = { rouge1 = 0.6 }\n", "")
    run = mutate(strict, "-k", "refusal")
    assert run.exit_code == 1
    assert "There is no gate: set one under gates" in " ".join(run.output.split())


def test_a_recording_asks_for_nothing_because_of_a_test_of_mutants(tuning: TuningProject, api: ApiServer) -> None:
    tuning.extend_suite("\n[mutants]\nnoticed_at = 0.25\n")
    run = tuning.run("evals/test_mutants.py", "--record")
    run.assert_outcomes(skipped=18)
    assert tuning.uploads == 0 and api.calls == 0


# ---------------------------------------------------------------- operators of the user's


def test_operators_of_the_users_own_are_tried_and_tested_beside_those_that_are_built_in(strict: Project) -> None:
    (strict.root / "acme").mkdir()
    (strict.root / "acme/mutants.py").write_text(OWN)
    strict.edit_suite(
        '"swap_names", "other_name", "refusal", "whitespace"]',
        '"refusal", "acme.mutants:shout", "acme.mutants:mumble"]\nnoticed_at = 0.5',
    )
    run = mutate(strict, "-n 2", "-v")
    run.assert_outcomes(passed=1, failed=1, deselected=8)
    assert "test_mutants[chats-small-acme.mutants:shout] FAILED" in run.output
    # Capitals are the same words to ROUGE. What mumbles loses the name, as `other_name` does, and is shorter.
    assert shares(strict)["acme.mutants:shout"] == {"applies_to": 1, "rouge1": None}
    assert shares(strict)["acme.mutants:mumble"]["applies_to"] == 6
    assert line(run, "shout") == ["shout", "1", "never"]
    assert "No gate moves towards its bound: write a metric that sees it" in " ".join(run.output.split())


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        ("swap_name", "[mutants] operators: 'swap_name' is not an operator. Did you mean 'swap_names'?"),
        ("acme:gone", "[mutants] operators: 'acme:gone': there is no module 'acme'"),
        (
            "broken:broken",
            "[mutants] operators, sample 't1': broken.py:2: broken:broken raised ZeroDivisionError: division by zero",
        ),
    ],
)
@pytest.mark.parametrize("noticed_at", ["", "\nnoticed_at = 0.25"])
def test_an_operator_that_cannot_be_used_is_one_message(strict: Project, operator: str, message: str, noticed_at: str) -> None:
    (strict.root / "broken.py").write_text("def broken(sample, answer, random):\n    return 1 / 0\n")
    strict.edit_suite('"swap_names", "other_name", "refusal", "whitespace"]', f'"{operator}"]{noticed_at}')
    mutate(strict).assert_refused(message)


# ---------------------------------------------------------------- what can't be combined, and where nothing is to be done


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "--record-missing",
            "--mutate damages recorded answers to see which gate notices, --record-missing calls models: use one of them",
        ),
        ("--estimate", "--estimate lists what a recording costs: use one of them"),
        ("--retiring", "--retiring lists which models end: use one of them"),
        ("--samples=3", "--samples 3 looks at a part of the samples, which decides no gate: use one of them"),
        ("--snapshot-update", "--snapshot-update accepts the scores of a run: use one of them"),
    ],
)
def test_mutate_is_refused_beside_what_it_cannot_mean(project: Project, option: str, message: str) -> None:
    with pytest.raises(UserError) as raised:
        settings_of(project.root, "evals", "--mutate", option)
    assert message in str(raised.value)


def test_mutate_may_record(project: Project) -> None:
    settings = settings_of(project.root, "evals", "--mutate", "--record")
    assert settings.mutate and settings.records


def test_collect_only_lists_the_tests_and_damages_nothing(strict: Project) -> None:
    strict.extend_suite("noticed_at = 0.25\n")
    run = strict.run("evals", "--mutate", "--collect-only", "-q")
    assert "test_mutants[chats-small-refusal]" in run.output
    assert run.exit_code == 0
    assert "mutants: chats" not in run.output


def test_where_nothing_was_ever_recorded_the_message_names_the_command(project: Project) -> None:
    project.run("evals", "--mutate").assert_refused("pytest evals", "--record")


def test_an_error_in_collection_is_reported_and_nothing_is_damaged(strict: Project) -> None:
    Path(strict.root / "evals/test_own.py").write_text("import gone\n")
    run = mutate(strict)
    assert run.exit_code == 2
    assert "No module named 'gone'" in run.output and "damaging" not in run.output
