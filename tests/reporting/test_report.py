"""The report's file: what it holds, that its texts are data, and that it asks nothing of any network."""

import base64
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from evaltape.reporting.html import embedded, page
from evaltape.reporting.report_data import report_data
from evaltape.reporting.results import Results
from evaltape.scoring.statistics import Interval
from msgspec.structs import replace

from tests.support.project import Project
from tests.support.report_facts import (
    ESCAPES,
    HOSTILE,
    changed,
    facts,
    only,
    suite_of,
    with_against,
    with_lengths,
    with_model,
    with_mutants,
    with_prediction,
    with_sample,
    with_slices,
    with_text,
)
from tests.support.tuning import COMPARISON, TuningProject


class Parts(HTMLParser):
    """The elements of a page with their attributes, and the text up to the next tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        self.inside = True

    def handle_endtag(self, tag: str) -> None:
        self.inside = False

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.elements[-1][2].append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, "".join(texts)) for name, attributes, texts in self.elements if name == tag]


def data_in(text: str) -> Any:
    """The data a page holds, as its script reads them."""
    (told,) = [text for attributes, text in Parts(text).all("script") if attributes.get("type") == "application/json"]
    return json.loads(told)


def made_page(**asked: Any) -> str:
    return page(report_data(facts(**asked)))


def suite_data(results: Results) -> Any:
    """What the page's script reads of the first suite."""
    return data_in(page(report_data(results)))["suites"][0]


# ---------------------------------------------------------------- what it holds


def test_data_read_back_as_they_were() -> None:
    everything = report_data(with_mutants(with_against(with_slices(with_lengths(facts())))))
    assert data_in(page(everything)) == everything


def test_numbers_are_exact() -> None:
    made = with_model(facts(), "base", means={"rouge1": Interval(0.1 + 0.2, 0.2, 0.4, 11)})
    made = with_prediction(made, 0, scores={"rouge1": 1 / 3, "rougeL": 0.1})
    data = suite_data(made)
    assert data["models"][0]["scores"]["rouge1"]["mean"] == 0.1 + 0.2
    assert data["samples"][0]["predictions"][0]["scores"] == [1 / 3, 0.1]


def test_each_text_is_stored_once() -> None:
    made = with_sample(facts(), "s3", input="an input that is unlike", references=("a reference that is unlike",))
    made = with_prediction(with_against(made), 3, text="an answer that is unlike")
    text = page(report_data(with_against(made)))
    for part in ("an input", "a reference", "an answer"):
        assert text.count(f"{part} that is unlike") == 1


def test_every_reference_of_a_sample_is_held() -> None:
    made = with_sample(facts(), "s1", references=("one", "another"))
    assert suite_data(made)["samples"][1]["references"] == ["one", "another"]


def test_samples_that_no_model_was_asked_are_left_out() -> None:
    made = facts(samples=5, models=("base",))
    made = only(made, suite_of(made).predictions[1:3])
    assert [sample["id"] for sample in suite_data(made)["samples"]] == ["s1", "s2"]


def test_a_model_that_was_not_asked_has_no_prediction() -> None:
    made = facts(samples=2, models=("base", "toString"), failed=0)
    made = only(made, suite_of(made).predictions[:3])
    assert suite_data(made)["samples"][1]["predictions"][1] is None


def test_an_answer_that_a_metric_cannot_score_has_the_reason_and_no_score() -> None:
    made = with_prediction(facts(), 1, scores={"rouge1": 0.5}, unscored={"rougeL": "no words"})
    assert suite_data(made)["samples"][1]["predictions"][0] == {
        "text": "They will meet 1 of base",
        "scores": [0.5, None],
        "unscored": {"rougeL": "no words"},
    }


def test_a_diverged_loss_is_no_number() -> None:
    job = suite_of(facts()).jobs["tuned"]
    rows = (
        {"step": 1, "train_loss": math.nan, "valid_loss": math.inf},
        {"step": None, "train_loss": 1.0, "valid_loss": None},
    )
    (data,) = suite_data(changed(facts(), jobs={"tuned": replace(job, job=replace(job.job, metrics=rows))}))["jobs"]
    assert data["metrics"] == [{"step": 1, "train_loss": None, "valid_loss": None}]


def test_an_earlier_answer_that_is_the_present_one_is_not_repeated() -> None:
    (pair, *_) = suite_data(with_against(facts()))["against"]["pairs"]
    assert pair == {"model": 0, "at": 0, "before": "They met s0", "scores": {"rouge1": [0.0, 0.0], "rougeL": [0.0, 0.0]}}


def test_the_same_results_give_the_same_file() -> None:
    assert made_page() == made_page()


def test_several_suites_stand_in_one_file() -> None:
    made = facts(samples=3)
    other = facts(samples=2, models=("base",), name="tickets")
    text = page(report_data(replace(made, suites={**made.suites, **other.suites})))
    assert [suite["suite"] for suite in data_in(text)["suites"]] == ["made", "tickets"]
    assert "<h1>made, tickets</h1>" in text
    assert '<p class="suite-name">tickets</p>' in text


def test_three_models_on_800_samples_stay_under_3_mb() -> None:
    made = facts(samples=800, lines=14)
    size = len(page(report_data(made)).encode())
    inputs = [sample.input for sample in suite_of(made).samples.values()]
    print(f"{size / 1e6:.2f} MB, inputs of {sum(map(len, inputs)) / 800:.0f} characters")
    assert size < 3e6


def test_thousands_of_samples_keep_the_texts_of_the_worst() -> None:
    made = facts(samples=6000, lines=14)
    told = report_data(made)
    text = page(told)
    print(f"{len(text.encode()) / 1e6:.2f} MB")
    assert len(text.encode()) < 5e6
    (suite,) = told["suites"]
    whole = [sample for sample in suite["samples"] if "left_out" not in sample]
    assert len(whole) == suite["texts_of"] > 1000
    assert suite["samples"][-1]["predictions"][0]["failure"]
    assert whole[-1]["id"] == "s5999"  # It failed.
    lowest = {sample["id"]: min(it["scores"][0] for it in sample["predictions"] if "scores" in it) for sample in whole[:-1]}
    rest = [min(it["scores"][0] for it in each["predictions"]) for each in suite["samples"] if "left_out" in each]
    assert max(lowest.values()) <= min(rest)


# ---------------------------------------------------------------- texts are data


@pytest.mark.parametrize("text", [HOSTILE, ESCAPES, "$suite ${data} $$", "\ud83d alone", '"\\', "<!--<script>", "]]>"])
def test_a_text_reads_back_whatever_it_holds(text: str) -> None:
    assert json.loads(embedded([text])) == [text]
    told = report_data(with_text(facts(), text))
    assert data_in(page(told).encode().decode()) == told


def test_markup_in_texts_is_no_markup() -> None:
    plain, hostile = Parts(made_page()), Parts(page(report_data(with_text(facts(), HOSTILE))))
    assert [tag for tag, *_ in hostile.elements] == [tag for tag, *_ in plain.elements]


def test_no_control_character_reaches_the_file() -> None:
    text = page(report_data(with_text(facts(), ESCAPES)))
    assert not re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", text)


def test_names_are_escaped_in_the_static_part() -> None:
    text = page(report_data(facts(name="<b>made</b>")))
    assert "<h1>&lt;b&gt;made&lt;/b&gt;</h1>" in text
    assert "<b>" not in text


def test_only_its_own_script_and_style_may_run() -> None:
    parts = Parts(made_page())
    (policy,) = [a["content"] or "" for a, _ in parts.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    allowed = dict(directive.split(" ", 1) for directive in policy.split("; "))
    (script,) = [text for attributes, text in parts.all("script") if "type" not in attributes]
    ((_, style),) = parts.all("style")
    assert allowed["default-src"] == "'none'"
    assert allowed["script-src"] == f"'sha256-{digest(script)}'"
    assert allowed["style-src"] == f"'sha256-{digest(style)}'"


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_file_names_no_other() -> None:
    parts = Parts(made_page())
    attributes = {name for _, found, _ in parts.elements for name in found}
    assert not attributes & {"src", "srcset", "style"}
    assert not [name for name in attributes if name.startswith("on")]
    assert {found["href"] for _, found, _ in parts.elements if "href" in found} == {"#samples", "#scores", "#comparisons"}
    assert not re.findall(r"url\(|@import|\bimport\(|fetch\(|innerHTML|outerHTML|insertAdjacent|\beval\b", made_page())


# ---------------------------------------------------------------- in a run


def test_report_option_writes_what_the_results_file_tells(recorded: Project, tmp_path: Path) -> None:
    report, results = tmp_path / "out" / "report.html", tmp_path / "results.json"
    recorded.run("evals", "-m", "baseline", f"--report={report}", f"--results={results}", "-n 2")
    (shown,), suites = data_in(report.read_text(encoding="utf-8"))["suites"], json.loads(results.read_text())["suites"]
    assert shown["models"][0]["scores"] == suites["chats"]["models"]["small"]["scores"]
    texts = [sample["predictions"][0]["text"] for sample in shown["samples"]]
    assert texts == [each["prediction"] for each in suites["chats"]["predictions"]]


def test_the_report_of_a_tuned_model_has_its_job(tuned: TuningProject, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    tuned.extend_suite(COMPARISON)
    tuned.run("evals", f"--report={report}", "-p no:xdist")
    (told,) = data_in(report.read_text(encoding="utf-8"))["suites"]
    (job,) = told["jobs"]
    assert (job["key"], job["base"], job["status"]) == ("tuned", "small", "succeeded")
    assert job["metrics"]
    assert job["events"]
    assert [comparison["name"] for comparison in told["comparisons"]] == ["tuning-helps"]
