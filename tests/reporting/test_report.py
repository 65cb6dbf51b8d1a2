"""The report's file: what it holds, that its texts are data, and that it asks nothing of any network."""

import base64
import copy
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from evaltape.reporting.html import embedded, page, report_data
from evaltape.reporting.verdict import verdict_of

from tests.support.project import Project
from tests.support.report_facts import ESCAPES, HOSTILE, METRICS, facts, with_text
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
    return page(report_data(**facts(**asked)))


# ---------------------------------------------------------------- what it holds


def test_data_read_back_as_they_were():
    told = report_data(**facts())
    assert data_in(page(told)) == told


def test_numbers_are_exact():
    made = facts()
    made["results"]["models"]["base"]["scores"]["rouge1"]["mean"] = 0.1 + 0.2
    made["results"]["predictions"][0]["rouge1"] = 1 / 3
    told = data_in(page(report_data(**made)))
    assert told["models"][0]["scores"]["rouge1"]["mean"] == 0.1 + 0.2
    assert told["samples"][0]["predictions"][0]["scores"][0] == 1 / 3


def test_each_text_is_stored_once():
    made = facts()
    made["samples"][3].update(input="an input that is unlike", reference="a reference that is unlike")
    for one in made["results"]["predictions"]:
        one["reference"] = next(sample["reference"] for sample in made["samples"] if sample["id"] == one["sample"])
    text = page(report_data(**made))
    assert text.count("an input that is unlike") == text.count("a reference that is unlike") == 1


def test_samples_that_no_model_was_asked_are_left_out():
    made = facts(samples=5, models=("base",))
    made["results"]["predictions"] = made["results"]["predictions"][1:3]
    assert [sample["id"] for sample in report_data(**made)["samples"]] == ["s1", "s2"]


def test_a_model_that_was_not_asked_has_no_prediction():
    made = facts(samples=2, models=("base", "toString"), failed=0)
    made["results"]["predictions"] = made["results"]["predictions"][:3]
    assert report_data(**made)["samples"][1]["predictions"][1] is None


def test_a_diverged_loss_is_no_number():
    made = facts()
    made["training"]["tuned"]["metrics"] = [
        {"step": 1, "train_loss": math.nan, "valid_loss": math.inf},
        {"step": None, "train_loss": 1.0, "valid_loss": None},
    ]
    (job,) = data_in(page(report_data(**made)))["jobs"]
    assert job["metrics"] == [{"step": 1, "train_loss": None, "valid_loss": None}]


def test_the_same_facts_give_the_same_file():
    assert made_page() == made_page()


def test_three_models_on_800_samples_stay_under_3_mb():
    size = len(made_page(samples=800, lines=14).encode())
    told = facts(samples=800, lines=14)["samples"]
    print(f"{size / 1e6:.2f} MB, inputs of {sum(len(sample['input']) for sample in told) / 800:.0f} characters")
    assert size < 3e6


# ---------------------------------------------------------------- texts are data


@pytest.mark.parametrize("text", [HOSTILE, ESCAPES, "$suite ${data} $$", "\ud83d alone", '"\\', "<!--<script>", "]]>"])
def test_a_text_reads_back_whatever_it_holds(text):
    assert json.loads(embedded([text])) == [text]
    told = report_data(**with_text(facts(), text))
    assert data_in(page(told).encode().decode()) == told


def test_markup_in_texts_is_no_markup():
    plain, hostile = Parts(made_page()), Parts(page(report_data(**with_text(facts(), HOSTILE))))
    assert [tag for tag, *_ in hostile.elements] == [tag for tag, *_ in plain.elements]


def test_no_control_character_reaches_the_file():
    text = page(report_data(**with_text(facts(), ESCAPES)))
    assert not re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]", text)


def test_names_are_escaped_in_the_static_part():
    made = facts()
    made["results"]["suite"] = "<b>made</b>"
    text = page(report_data(**made))
    assert "<h1>&lt;b&gt;made&lt;/b&gt;</h1>" in text
    assert "<b>" not in text


def test_only_its_own_script_and_style_may_run():
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


def test_the_file_names_no_other():
    parts = Parts(made_page())
    attributes = {name for _, found, _ in parts.elements for name in found}
    assert not attributes & {"src", "srcset", "style"}
    assert not [name for name in attributes if name.startswith("on")]
    assert {found["href"] for _, found, _ in parts.elements if "href" in found} == {"#samples"}
    assert not re.findall(r"url\(|@import|\bimport\(|fetch\(|innerHTML|outerHTML|insertAdjacent|\beval\b", made_page())


# ---------------------------------------------------------------- the verdict


def verdict(*passed: bool | None, compared: tuple[str, ...] = (), failed: int = 0) -> list[tuple[str, str]]:
    gates = {f"rouge{number}": {"threshold": 0.3, "passed": one} for number, one in enumerate(passed)}
    model = {"samples": 9, "failed": failed, "gates": gates, "scores": {}}
    told = {"difference": 0.1, "low": 0.0, "high": 0.2}
    metrics = {f"rouge{number}": {**told, "verdict": one} for number, one in enumerate(compared)}
    return list(verdict_of({"models": {"m": model}, "comparisons": {"c": metrics} if compared else {}}).parts)


@pytest.mark.parametrize(
    ("passed", "parts"),
    [
        ((), [("No gates are set", "open")]),
        ((None, None), [("2 gates, not checked in this run", "open")]),
        ((True,), [("1 of 1 gate holds", "passed")]),
        ((True, True), [("All 2 gates hold", "passed")]),
        ((True, True, True, False), [("3 of 4 gates hold", "failed")]),
        ((True, False, None), [("1 of 2 gates holds", "failed"), ("1 more not checked in this run", "open")]),
    ],
)
def test_the_verdict_counts_gates(passed, parts):
    assert verdict(*passed) == parts


def test_the_verdict_counts_comparisons_and_failed_predictions():
    compared = ("passed", "failed", "inconclusive")
    assert verdict(True, True, compared=compared, failed=2) == [
        ("All 2 gates hold", "passed"),
        ("1 of 3 comparisons passed, 1 inconclusive", "failed"),
        ("2 of 9 predictions failed", "failed"),
    ]


def test_each_gate_and_comparison_that_does_not_hold_is_named():
    assert list(verdict_of(facts(models=("base", "tuned"))["results"]).reasons) == [
        "base rougeL: mean 0.4000 is 0.0500 under its gate 0.45 (95% interval 0.3500 to 0.4500)",
        "tuned rougeL: mean 0.4000 is 0.0500 under its gate 0.45 (95% interval 0.3500 to 0.4500)",
        "gain rougeL: difference +0.1000 (interval +0.0200 to +0.1800), inconclusive",
    ]


def test_a_gate_over_its_threshold_tells_of_failed_samples():
    made = facts(models=("base",), failed=2)
    made["results"]["models"]["base"]["gates"] = {"rouge1": {"threshold": 0.3, "passed": False}}
    assert list(verdict_of(made["results"]).reasons) == [
        "base rouge1: mean 0.4000 is over its gate 0.3, but 2 of 12 samples failed"
    ]


def test_where_nothing_was_answered_the_verdict_says_so():
    told = facts(models=("base", "tuned"), failed=12)["results"]
    told["comparisons"] = {"gain": {}}
    assert list(verdict_of(told).reasons) == [
        "base rouge1: no sample was answered, gate 0.3",
        "base rougeL: no sample was answered, gate 0.45",
        "tuned rouge1: no sample was answered, gate 0.3",
        "tuned rougeL: no sample was answered, gate 0.45",
        "gain: no sample was answered by both models",
    ]


# ---------------------------------------------------------------- in a run


def test_report_option_writes_what_the_results_file_tells(recorded: Project, workers: str, tmp_path: Path):
    report, results = tmp_path / "out" / "report.html", tmp_path / "results.json"
    recorded.run("evals", "-m", "baseline", f"--report={report}", f"--results={results}", workers)
    shown, told = data_in(report.read_text(encoding="utf-8")), json.loads(results.read_text())
    assert shown["models"][0]["scores"] == told["models"]["small"]["scores"]
    texts = [sample["predictions"][0]["text"] for sample in shown["samples"]]
    assert texts == [one["prediction"] for one in told["predictions"]]


def test_the_report_of_a_tuned_model_has_its_job(tuned: TuningProject, tmp_path: Path):
    report = tmp_path / "report.html"
    tuned.extend_suite(COMPARISON)
    tuned.run("evals", f"--report={report}", "-p no:xdist")
    told = data_in(report.read_text(encoding="utf-8"))
    (job,) = told["jobs"]
    assert (job["key"], job["base"], job["status"]) == ("tuned", "small", "succeeded")
    assert job["metrics"]
    assert job["events"]
    assert [comparison["name"] for comparison in told["comparisons"]] == ["tuning-helps"]


def test_making_a_report_changes_no_facts():
    made = facts()
    before = copy.deepcopy(made)
    report_data(**made)
    assert made == before
    assert made["metrics"] == METRICS
