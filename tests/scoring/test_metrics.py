"""Every built-in metric against values computed by hand, and several references."""

import importlib.metadata
import math
import subprocess
import sys

import pytest
from evaltape.metrics.metric import check_bound
from evaltape.suite.metric_tables import DEFAULT
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from tests.support.metrics import Example, metrics, score, scored
from tests.support.project import ROUGE1, ROUGE2, ROUGEL, ROWS

ALL = {name: {} for name in ("rouge1", "rouge9", "rougeLsum", "chrf", "bleu", "exact", "words", "latency_s", "cost_usd")}
REFERENCES = ("the red car won the race", "a red car was first", "red won")


# ---------------------------------------------------------------- by hand


@pytest.mark.parametrize("n", range(len(ROWS)), ids=[row["id"] for row in ROWS])
def test_without_a_table_the_metrics_are_rouge_1_2_and_l(n: int) -> None:
    built = metrics({name: {} for name in DEFAULT})
    answer, sample = ROWS[n]["dialogue"].split("\n")[0], Example(references=(ROWS[n]["summary"],))
    scores, unscored = scored(built, sample, answer)
    assert scores == pytest.approx({"rouge1": ROUGE1[n], "rouge2": ROUGE2[n], "rougeL": ROUGEL[n]}, rel=1e-12, abs=0)
    assert unscored == {}


@pytest.mark.parametrize(
    ("metric", "answer", "reference", "wanted"),
    [
        ("rouge3", "a b c e", "a b c d", 1 / 2),  # one of two runs of three words
        ("rouge9", "a b c d e f g h i", "a b c d e f g h i", 1.0),
        ("rouge9", "a b c d e f g h", "a b c d e f g h", 0.0),  # there is no run of nine
        ("rougeL", "d e f\na b c", "a b c\nd e f", 3 / 6),
        ("rougeLsum", "d e f\na b c", "a b c\nd e f", 1.0),  # line by line
        ("chrf", "ac", "ab", 1 / 4),  # characters 1/2, pairs 0; longer runs there are none
        ("chrf", "ab", "abcd", 25 / 53),  # precision 1, recall (1/2 + 1/3)/2 = 5/12: 5 * 5/12 / (4 + 5/12)
        ("bleu", "the cat sat on a mat", "the cat sat on the mat", (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** (1 / 4)),
        ("bleu", "the cat sat", "the cat sat on the mat", math.exp(1 - 6 / 3)),  # all of it there, half as long
        ("exact", "  Yes. \n", "Yes.", 1.0),
        ("exact", "yes.", "Yes.", 0.0),
        ("words", "It's 3,5 km – don't!", "", 4.0),
        ("words", "東京で😀", "", 3.0),
        ("words", "?!", "", 0.0),
    ],
)
def test_scores_are_those_computed_by_hand(metric: str, answer: str, reference: str, wanted: float) -> None:
    assert score(metric, answer, reference) == pytest.approx(wanted, rel=1e-12, abs=0)


def test_latency_and_cost_are_those_recorded_with_the_call() -> None:
    built = metrics({"latency_s": {}, "cost_usd": {}})
    scores, unscored = scored(built, Example(), "hi", latency_s=1.25, cost_usd=0.0003)
    assert (scores, unscored) == ({"latency_s": 1.25, "cost_usd": 0.0003}, {})


def test_without_a_recorded_latency_or_cost_the_sample_is_unscored_by_it_alone() -> None:
    built = metrics({"latency_s": {}, "exact": {}, "cost_usd": {}})
    scores, unscored = scored(built, Example(id="c042"), "hi", latency_s=None, cost_usd=0.0)
    assert scores == {"exact": 1.0, "cost_usd": 0.0}
    assert unscored == {"latency_s": "latency_s wasn't recorded with the answer to sample c042; a new recording holds it"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.001])
def test_a_latency_that_cannot_be_leaves_the_sample_unscored(value: float) -> None:
    scores, unscored = scored(metrics({"latency_s": {}}), Example(), "hi", latency_s=value)
    assert scores == {}
    assert unscored["latency_s"] == f"latency_s was recorded as {value!r} for sample s1, which it can't be"


# ---------------------------------------------------------------- several references


def test_the_best_of_several_references_is_taken_per_metric() -> None:
    references = ("red car race", "the red car was won by him")
    assert score("rouge1", "the red car", *references) == pytest.approx(4 / 6)  # 4/6 by the first, 6/10 by the second
    assert score("rouge2", "the red car", *references) == pytest.approx(4 / 8)  # 2/4 by the first, 4/8 by the second
    assert score("rougeL", "the red car", *references) == pytest.approx(4 / 6)


def test_the_mean_over_several_references() -> None:
    references = ("red car race", "the red car was won by him")
    assert score("rouge1", "the red car", *references, references="mean") == pytest.approx((4 / 6 + 6 / 10) / 2)
    assert score("exact", "yes", "yes", "no", references="mean") == 0.5
    assert score("exact", "yes", "no", "yes") == 1.0


def test_the_best_of_several_references_is_what_rouge_score_itself_computes() -> None:
    names = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    theirs = RougeScorer(names).score_multi(REFERENCES, "the red car was first to win")
    built = metrics({"rouge1": {}, "rouge2": {}, "rougeL": {}, "rougeLsum": {}})
    ours, _ = scored(built, Example(references=REFERENCES), "the red car was first to win")
    assert ours == {name: theirs[name].fmeasure for name in names}


def test_bleu_takes_its_n_grams_from_all_references_together() -> None:
    # "a" is in one, "cat" in the other; the pair "a cat" in neither, which sacrebleu's smoothing counts as 1/2.
    assert score("bleu", "a cat", "the cat", "a dog") == pytest.approx(math.sqrt(1 * 1 / 2))
    assert score("bleu", "a cat", "the cat", "a dog", references="mean") == pytest.approx(math.sqrt(1 / 2 * 1 / 2))


def test_chrf_takes_the_nearest_reference_or_the_mean() -> None:
    assert score("chrf", "ac", "zz", "ab") == pytest.approx(1 / 4)
    assert score("chrf", "ac", "zz", "ab", references="mean") == pytest.approx(1 / 8)


def test_metrics_of_one_tokenizer_may_count_references_differently() -> None:
    built = metrics({"rouge1": {}, "rougeL": {"references": "mean"}})
    scores, _ = scored(built, Example(references=("a b", "c d")), "a b")
    assert scores == {"rouge1": 1.0, "rougeL": 0.5}


def test_a_sample_without_references_is_unscored_by_what_compares_with_them() -> None:
    scores, unscored = scored(metrics(ALL), Example(references=()), "hi there", latency_s=1.0, cost_usd=0.1)
    assert scores == {"words": 2.0, "latency_s": 1.0, "cost_usd": 0.1}
    assert set(unscored.values()) == {"sample s1 has no reference to compare with"}


# ---------------------------------------------------------------- what is shared and stated


def test_texts_are_tokenized_once_for_all_rouge_metrics_of_a_tokenizer() -> None:
    built = metrics({"rouge1": {}, "rouge2": {}, "rougeL": {"stemmer": True}, "rougeLsum": {"tokenizer": "unicode"}})
    assert built["rouge1"].words is built["rouge2"].words
    assert len({id(metric.words) for metric in built.values()}) == 3


def test_scores_come_in_the_order_of_the_suite() -> None:
    table = {"words": {}, "rougeL": {"stemmer": True}, "exact": {}, "rouge1": {}, "chrf": {}, "rouge2": {"stemmer": True}}
    scores, _ = scored(metrics(table), Example(), "hi")
    assert list(scores) == list(table)


def test_one_metric_alone_gives_the_score_that_all_together_give() -> None:
    built = metrics({"rouge1": {}, "rougeL": {}, "bleu": {}, "words": {}})
    scores, _ = scored(built, Example(references=REFERENCES), "the red car")
    alone = [scored({name: metric}, Example(references=REFERENCES), "the red car")[0] for name, metric in built.items()]
    assert {name: score for each in alone for name, score in each.items()} == scores


def test_a_metric_states_what_its_scores_depend_on() -> None:
    built = metrics({"rouge1": {}, "rougeL": {"stemmer": True, "tokenizer": "unicode", "references": "mean"}, "exact": {}})
    package = f"rouge_score {importlib.metadata.version('rouge_score')}"
    assert built["rouge1"].describe() == {"package": package, "tokenizer": "rouge", "stemmer": False}
    assert built["rougeL"].describe() == {
        "package": package,
        "tokenizer": "unicode",
        "stemmer": True,
        "references": "mean",
    }
    assert built["exact"].describe() == {}


def test_chrf_and_bleu_state_the_signature_of_sacrebleu() -> None:
    import sacrebleu

    built, version = metrics({"chrf": {}, "bleu": {"references": "mean"}}), sacrebleu.__version__
    one, two = Example(references=("a",)), Example(references=("a", "b"))
    chrf = {"package": f"sacrebleu {version}", "signature": f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{version}"}
    assert built["chrf"].describe([one, one]) == chrf
    assert built["chrf"].describe([two])["signature"].startswith("nrefs:2|")
    assert built["chrf"].describe([one, two])["signature"].startswith("nrefs:var|")
    bleu = {"signature": f"nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:{version}", "references": "mean"}
    assert built["bleu"].describe([two]) == {"package": f"sacrebleu {version}", **bleu}


def test_lengths_latency_and_cost_are_better_lower() -> None:
    built = metrics(ALL)
    assert [name for name, metric in built.items() if not metric.higher_is_better] == ["words", "latency_s", "cost_usd"]
    assert {name: built[name].bounds for name in ("rouge1", "bleu", "words")} == {
        "rouge1": (0, 1),
        "bleu": (0, 1),
        "words": (0, None),
    }
    assert built["words"].describe() == {"tokenizer": "unicode", "higher_is_better": False}


# ---------------------------------------------------------------- gates


@pytest.mark.parametrize(
    ("metric", "bound", "message"),
    [
        ("rouge1", 38, "= 38: a mean of rouge1 is between 0 and 1. Did you mean 0.38?"),
        ("rouge1", -0.1, "= -0.1: a mean of rouge1 is between 0 and 1."),
        ("chrf", 101, "= 101: a mean of chrf is between 0 and 1."),
        ("words", -1, "= -1: a mean of words is 0 or more."),
        ("latency_s", math.nan, "= nan: a mean of latency_s is 0 or more."),
        ("rouge1", 0.0, None),
        ("rouge1", 1.0, None),
        ("words", 30, None),
    ],
)
def test_a_gate_outside_the_bounds_of_its_metric_is_refused(metric: str, bound: float, message: str | None) -> None:
    assert check_bound(metrics(ALL)[metric], bound) == message


def test_the_bound_of_a_comparison_is_a_distance() -> None:
    built = metrics(ALL)
    assert check_bound(built["rouge1"], 5, difference=True) == (
        "= 5: a difference of rouge1 is between 0 and 1. Did you mean 0.05?"
    )
    assert check_bound(built["words"], -2, difference=True) == "= -2: a difference of words is 0 or more."
    assert check_bound(built["words"], 20, difference=True) is None


# ---------------------------------------------------------------- whatever the texts are


@given(st.text(max_size=30), st.lists(st.text(max_size=30), min_size=1, max_size=3))
def test_every_score_is_finite_and_within_its_bounds(answer: str, references: list[str]) -> None:
    both = {"rougeL": {"tokenizer": "unicode", "references": "mean"}, "bleu": {}, "chrf": {"references": "mean"}, "rouge2": {}}
    scores, unscored = scored(
        metrics({**ALL, **both}), Example(references=tuple(references)), answer, latency_s=1.0, cost_usd=0.0
    )
    assert not unscored
    assert all(0 <= value < math.inf for value in scores.values())
    assert all(scores[name] <= 1 for name in scores if name not in ("words", "latency_s"))


@given(st.text(alphabet="ab \ud800\udfff", max_size=8))
def test_half_characters_are_scored_like_any_symbol(answer: str) -> None:
    scores, unscored = scored(
        metrics({**ALL, "rougeL": {"tokenizer": "unicode"}}), Example(), answer, latency_s=0.0, cost_usd=0.0
    )
    assert not unscored
    assert scores["words"] == len(answer.replace("\ud800", " ").replace("\udfff", " ").split())


def test_a_package_that_scores_is_not_imported_before_it_scores() -> None:
    code = (
        "import sys; from tests.support.metrics import metrics\n"
        "metrics({'rouge1': {'tokenizer': 'unicode'}, 'chrf': {}, 'words': {}})\n"
        "print([name for name in ('numpy', 'rouge_score', 'nltk', 'regex', 'sacrebleu', 'datasets') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
