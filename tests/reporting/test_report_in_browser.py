"""The report in a real browser. Skipped, with the reason, where there is none."""

import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from evaltape.findings import GateTest
from evaltape.reporting.results import Cause, Results
from evaltape.suite.prompt import PromptChange
from msgspec.structs import replace

from tests.support.browser import Page, look, start_browser
from tests.support.report_facts import (
    ESCAPES,
    HOSTILE,
    changed,
    facts,
    only,
    score,
    suite_of,
    with_against,
    with_fragility,
    with_history,
    with_judges,
    with_lengths,
    with_model,
    with_mutants,
    with_prediction,
    with_references,
    with_sample,
    with_slices,
    with_text,
    without,
    write_page,
)

SECTIONS = ["scores", "comparisons", "sides", "distribution", "pairs", "training", "cost", "samples"]
WIDTHS = (320, 390, 768, 1280)


def with_losses(*rows: Any) -> Results:
    """Results whose job has these rows of training metrics, and no event."""
    job = suite_of(facts()).jobs["tuned"]
    return changed(facts(), jobs={"tuned": replace(job, job=replace(job.job, metrics=rows, events=()))})


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser."""
    opened = start_browser()
    yield opened
    opened.quit()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[[Results], Page]]:
    """Opens the report of facts, at the usual size and in light, samples in their order unless they shall stand as it opens.

    Afterwards nothing may stand in the console.
    """
    look(browser, 1280)

    def open_page(made: Results, as_it_opens: bool = False) -> Page:
        browser.get(write_page(tmp_path, made).as_uri())
        page = Page(browser)
        if not as_it_opens:
            page.run("look({ sort: 'order', descending: false, failedFirst: false })")
        return page

    browser.get_log("browser")
    yield open_page
    assert Page(browser).errors() == []


# ---------------------------------------------------------------- what is on it


def test_sections_stand_in_order_and_are_linked(show: Callable[[Results], Page]) -> None:
    page = show(facts())
    assert [section.get_attribute("id") for section in page.all("main > section")] == SECTIONS
    assert [link.get_attribute("href").split("#")[1] for link in page.all("#contents a")] == SECTIONS
    assert page.one("h1").text == "made"
    assert page.texts("ul.verdict li")[0] == "3 of 6 gates hold"


def test_it_loads_nothing(show: Callable[[Results], Page]) -> None:
    assert show(facts()).run("return performance.getEntriesByType('resource').length") == 0


def test_numbers_of_charts_stand_in_tables(show: Callable[[Results], Page]) -> None:
    page = show(facts())
    assert page.texts("#scores tbody:first-of-type tr:nth-child(2) :is(th, td)") == [
        *("base", "", "0.400", "0.350 to 0.450", "0.3", "✓\u00a0holds")
    ]
    assert page.texts("#comparisons tbody:first-of-type tr:nth-child(2) td:not(.chart)") == [
        *("+0.100", "+0.020 to +0.180", "≥ +0.050", "~\u00a0inconclusive")
    ]
    assert page.texts("#comparisons tr.remark") == [
        "rougeL: the interval straddles the bound; about 29 samples would settle it (11 decide a change that is 0.0897 off the bound)"
    ]
    assert "tuned less base, 11 samples, 90% interval" in page.one("#comparisons").text
    better = sum(score(number, 1) > score(number, 0) for number in range(11))
    assert page.texts("#sides tbody tr:nth-child(2) .words span") == [*(f"{11 - better} worse", "0 same", f"{better} better")]


def test_a_history_is_a_line_with_words_and_a_table(show: Callable[[Results], Page]) -> None:
    page = show(with_history(facts()))
    assert page.texts("#history article > p") == ["No commit has answers that rougeL scores."]
    page.run("choose({ metric: 0 })")
    means = [sum(score(number, 0) for number in numbers) / len(numbers) for numbers in (range(11), range(5), range(5, 11))]
    first, second, third = (f"{mean:.3f}" for mean in means)
    chart = page.one("#history svg[role=img]")
    assert chart.get_attribute("aria-label") == (
        f"rouge1 of base over 4 commits: {first} at 1abcdef012 of 2026-11-01 to {third} at 3abcdef012 of 2026-11-03; "
        "fell at 3abcdef012 of 2026-11-03"
    )
    assert len(page.all("#history .curve-dot")) == 3
    assert len(page.all("#history .fall")) == 1
    assert page.texts("#history li") == [
        "Fell at 3abcdef012 of 2026-11-03: rouge1 \u22120.200 (90% interval \u22120.300 to \u22120.100)"
    ]
    assert page.texts("#history .ends span") == ["2026-11-01", "2026-11-04"]
    page.unfold("#history summary")
    rows = [page.texts(f"#history tbody tr:nth-child({number}) :is(th, td)") for number in (1, 2, 3, 4)]
    assert rows == [
        ["1abcdef012", "2026-11-01", "11", first, "\u2013", ""],
        ["2abcdef012", "2026-11-02", "5", second, "\u2013", ""],
        ["3abcdef012", "2026-11-03", "6", third, "\u2013", "rouge1 fell"],
        ["4abcdef012", "2026-11-04", "0", "\u2013", "\u2013", "not read: it is no suite"],
    ]


def test_a_reference_that_models_agree_against_stands_beside_their_answers(show: Callable[[Results], Page]) -> None:
    page = show(with_references(facts()))
    assert page.texts("#references li > span") == ["0.800 with each other, 0.250 with the reference"]
    assert page.texts("#references li > p") == [
        "Reference: They meet at 4.",
        "base: They will meet 4 of base",
        "third: They will meet 4 of third",
    ]
    page.one("#references li button").click()
    assert page.one("#open-4").get_attribute("aria-expanded") == "true"


def test_the_samples_that_turn_a_verdict_stand_beneath_it_and_open(show: Callable[[Results], Page]) -> None:
    page = show(with_fragility(facts()))
    assert page.texts("#scores tr.remark") == ["base: 7 samples fewer turn it to failed: s3, s4, s5, s6, s7, \u2026"]
    assert page.texts("#comparisons tr.remark p")[1] == "rougeL: 1 sample fewer turns it to passed: s2"
    page.one("#comparisons tr.remark button").click()
    assert page.run("return document.activeElement.id") == "open-2"
    assert page.one("#open-2").get_attribute("aria-expanded") == "true"


@pytest.mark.parametrize(
    ("made", "missing"),
    [
        (without(facts(models=("base",)), "comparisons"), ["comparisons", "sides", "pairs", "training"]),
        (without(facts(models=("base", "other")), "comparisons"), ["comparisons", "training"]),
        (without(facts(), "gates", "comparisons", "jobs"), ["comparisons", "training"]),
        (facts(failed=12), []),
        (facts(samples=1, failed=0), []),
        (without(facts(), "computed"), []),
        (with_losses(), []),
        (with_losses({"step": 1.0, "train_loss": None, "valid_loss": None}), []),
    ],
    ids=["one model", "no tuning", "no gates", "all failed", "one sample", "no lead", "no metrics", "no losses"],
)
def test_what_is_not_there_is_left_out(show: Callable[[Results], Page], made: Results, missing: Any) -> None:
    page = show(made)
    assert [section.get_attribute("id") for section in page.all("main > section")] == [
        name for name in SECTIONS if name not in missing
    ]
    page.one(".opener").click()
    assert len(page.all("tr.detail")) == 1


def test_an_empty_prediction_is_told(show: Callable[[Results], Page]) -> None:
    page = show(with_prediction(facts(samples=2, failed=0), 0, text=" \n"))
    page.one(".opener").click()
    assert "The prediction is empty." in page.one("tr.detail").text


def test_what_failed_comes_first_and_its_lines_lead_to_their_numbers(show: Callable[[Results], Page]) -> None:
    made, green = facts(), with_model(facts(samples=3, models=("base",), failed=0, name="green"), "base", gates={})
    prompt = PromptChange("s3", "Sum up\nAnn: hi", "Summarise\nAnn: hi")
    made = changed(made, causes=(Cause("2 recordings are of another prompt", "pytest --record-missing", (), "", prompt),))
    page = show(replace(made, suites={**green.suites, **made.suites}), as_it_opens=True)
    assert page.texts(".suite-name") == ["made", "green"]
    assert page.all("#suites input")[0].is_selected()
    lines = page.texts(".reasons li")
    assert lines[0] == "2 recordings are of another prompt: pytest --record-missing"
    assert lines[1].startswith("base rougeL: mean 0.4000 is 0.0500 under its gate 0.45")
    assert page.texts(".prompts mark") == ["Sum up", "Summarise"]
    # The worst samples of the model that failed come first: the failed one, then by the metric that missed its gate.
    worst = sorted(range(11), key=lambda number: score(number, 0))
    assert page.samples == [f"s{number}" for number in (11, *worst)]
    page.all("#suites input")[1].click()
    assert page.samples == ["s0", "s1", "s2"]
    page.all(".reasons a")[1].click()
    assert page.all("#suites input")[0].is_selected()
    assert page.samples == [f"s{number}" for number in (11, *sorted(range(11), key=lambda number: score(number, 1)))]
    assert page.run("return location.hash") == "#scores"
    assert page.run("return document.getElementById('scores').getBoundingClientRect().top") < 900


# ---------------------------------------------------------------- further parts


def test_several_suites_are_chosen_between(show: Callable[[Results], Page]) -> None:
    made, other = facts(), facts(samples=5, models=("base",), name="tickets")
    page = show(replace(made, suites={**made.suites, **other.suites}))
    page.one("#search").send_keys("number7")
    page.all("#suites input")[1].click()
    assert len(page.samples) == 5
    assert [section.get_attribute("id") for section in page.all("main > section")] == [
        *("scores", "distribution", "cost", "samples")
    ]
    assert "1 model · 5 samples" in page.one("#facts").text
    page.all("#suites input")[0].click()
    assert len(page.samples) == 12


def test_where_less_is_better_gates_are_the_most_and_falling_is_better(show: Callable[[Results], Page]) -> None:
    page = show(with_lengths(facts()))
    rows = [text.replace("\u00a0", " ") for text in page.texts("#scores tbody:nth-of-type(4) tr .verdict")]
    assert rows == ["✓ holds", "✗ 3.0 over", "✗ 8.0 over"]
    assert page.texts("#scores tbody:nth-of-type(4) .gate")[0] == "≤ 20"
    page.all("#samples .segments input")[2].click()
    page.choose("#show", "better")
    changes = page.texts(".samples tbody .number:last-child")
    assert changes
    assert all(change.startswith("−") for change in changes)


def test_a_metric_without_an_upper_bound_has_its_own_axis(show: Callable[[Results], Page]) -> None:
    page = show(with_lengths(facts()))
    assert [text.split("\n")[0] for text in page.texts("#scores .under svg text:last-child")] == ["0.5", "30"]
    page.all("#distribution .segments input")[2].click()
    assert page.texts("#distribution svg.axis text")[-1] == "16"


def test_slices_stand_in_a_table_with_their_gate_the_worst_first(show: Callable[[Results], Page]) -> None:
    page = show(with_slices(facts()))
    rows = page.texts("#slices tbody:first-of-type tr:not(.group) :is(th, .verdict)")
    assert [text.replace("\u00a0", " ") for text in rows] == [
        *("law 3 samples", "too few to gate", "small talk 24 samples", "✗ fails", "travel 31 samples", "✓ holds")
    ]
    page.unfold("#comparisons details summary")
    assert page.texts("#comparisons details tbody tr:last-child td")[1] == "+0.250 (−0.539 to +0.724)"
    page.one(".opener").click()
    assert "topic: travel" in page.one("tr.detail .input").text


def test_all_references_are_shown_and_words_are_marked_by_the_nearest(show: Callable[[Results], Page]) -> None:
    page = show(with_sample(facts(), "s1", references=("Nothing alike", "They will meet 1 of us")))
    page.all(".opener")[1].click()
    assert page.texts("tr.detail .reference .text") == ["Nothing alike", "They will meet 1 of us"]
    assert page.texts("tr.detail .answer mark")[:1] == ["base"]
    assert "Not in it (beside reference 2): us" in page.one("tr.detail").text


def test_an_answer_that_could_not_be_scored_has_its_reason_and_can_be_filtered(show: Callable[[Results], Page]) -> None:
    made = with_prediction(facts(), 2, scores={"rouge1": 0.5}, unscored={"rougeL": "acme/metrics.py:12: no words"})
    page = show(made)
    assert page.texts("#samples tbody tr:nth-child(3) .number")[0] == "not scored"
    page.choose("#show", "unscored")
    assert page.samples == ["s2"]
    page.one(".opener").click()
    assert "Not scored by rougeL: acme/metrics.py:12: no words" in page.one("tr.detail").text


def test_gates_that_users_wrote_stand_in_the_table(show: Callable[[Results], Page]) -> None:
    page = show(changed(facts(), tests={"evals/test_own.py::test_gate[made-base]": GateTest(False, "made", "base")}))
    assert page.texts("#scores tr.test :is(th, td)") == ["evals/test_own.py::test_gate[made-base]", "✗\u00a0fails"]


def test_a_comparison_with_another_commit_opens_samples_to_both_answers(show: Callable[[Results], Page]) -> None:
    page = show(with_against(facts()))
    page.run("document.querySelector('#against .segments input').click()")
    assert page.texts("#against tbody:first-of-type tr:nth-child(2) td:not(.chart)") == [
        *("−0.050", "−0.060 to −0.040", "≥ −0.020", "✗\u00a0failed")
    ]
    assert "third is new: there is nothing to compare" in page.one("#against").text
    lost = page.texts("#against .pair-id")
    assert lost == [f"s{number}" for number in reversed(range(11))]
    page.unfold("#against .pair-fold summary")
    assert page.texts("#against .pair-texts mark") == ["met s10", "will meet 10 of base"]
    page.one("#against .pair-texts button").click()
    assert page.focused == "s10"


def test_mutants_stand_in_a_table_of_damage_by_gates_with_an_example(show: Callable[[Results], Page]) -> None:
    page = show(with_mutants(facts()))
    assert page.texts("#mutants thead th") == ["Damage", "Answers", "rouge1", "rougeL"]
    assert page.texts("#mutants tbody tr:first-child td") == ["9 of 11", "50%", "–", "11 of 11", "–", "50%"]
    assert page.texts("#mutants mark") == ["not"]
    assert "0 of 1 kind of damage noticed at 25% of the answers." in page.one("#mutants").text


def test_judges_show_their_exam_what_they_missed_and_a_desk_to_label_at(show: Callable[[Results], Page]) -> None:
    page = show(with_judges(facts()))
    assert "failed its exam" in page.one("#judges h3").text
    assert "60 verdicts, 2 can't be read, 12.5% of repeated verdicts flip." in page.one("#judges").text
    assert page.texts("#judges table:first-of-type tbody tr:first-child > *")[:4] == [
        "notices swap_names",
        "0.25",
        "0.11 to 0.47",
        "at least 0.8",
    ]
    assert "Agrees with 95% of 40 labels; always the commonest label would with 55%; kappa 0.90" in page.one("#judges").text
    assert page.texts("#judges mark")[0] == "calls Ann"
    # Labels are given one by one, and downloaded as the lines that `evaltape label` writes.
    page.unfold("#judges details.label summary")
    first = page.texts("#judges .desk .quiet")[0]
    assert re.fullmatch(r"1 of \d+ · sample s\d+ · (chosen: judge and ROUGE disagree|drawn at random)", first), first
    page.run("document.getElementById('by-faithful').value = 'ann'")
    for words in ("yes", "skip", "no"):
        page.run("[...document.querySelectorAll('.desk button')].find((it) => it.textContent === arguments[0]).click()", words)
    assert page.texts("#judges .download") == ["Download 2 labels"]
    link = page.one("#judges .download")
    assert link.get_attribute("download") == "labels.jsonl"
    lines = [json.loads(line) for line in unquote(link.get_attribute("href").partition(",")[2]).splitlines()]
    assert [line["label"] for line in lines] == [True, False]
    assert set(lines[0]) == {"id", "answer", "label", "model", "by", "use"}
    assert {line["by"] for line in lines} == {"ann"}


# ---------------------------------------------------------------- texts are data


def test_markup_in_texts_is_shown_as_text(show: Callable[[Results], Page]) -> None:
    page = show(with_text(facts(), HOSTILE))
    plain = set(page.run("return [...document.querySelectorAll('*')].map((it) => it.tagName)"))
    for opener in page.all(".opener"):
        page.run("arguments[0].click()", opener)
    assert page.run("return window.hacked") is None
    assert not plain & {"IMG", "B"}
    assert page.all("main img, main b, main script") == []
    assert page.texts("tr.detail .input .text")[0] == f"{HOSTILE}\n{HOSTILE}"


def test_control_characters_are_shown_as_what_they_are(show: Callable[[Results], Page]) -> None:
    page = show(with_text(facts(), ESCAPES))
    page.one(".opener").click()
    assert page.texts("tr.detail .answer .text")[0] == (r"\x1b]0;owned\x07\x1b[31mred\x9b2J\u202egnirts\u2028end\x00 here")


def test_the_page_itself_cannot_make_markup_of_a_text(show: Callable[[Results], Page]) -> None:
    page = show(facts())
    refused = "try { document.body.innerHTML = '<b>x</b>'; return 'done' } catch (error) { return error.name }"
    assert page.run(refused) == "TypeError"
    assert page.errors()


# ---------------------------------------------------------------- the table of samples


def test_a_heading_sorts_and_failed_samples_stay_behind(show: Callable[[Results], Page]) -> None:
    page = show(facts())
    ascending = sorted(range(11), key=lambda number: score(number, 0))
    heading = page.all(".samples .sort")[1]
    heading.click()
    assert page.samples == [f"s{number}" for number in (*ascending, 11)]
    assert page.all(".samples th")[1].get_attribute("aria-sort") == "ascending"
    heading.click()
    assert page.samples == [f"s{number}" for number in (*reversed(ascending), 11)]
    assert page.all(".samples th")[1].get_attribute("aria-sort") == "descending"
    assert page.run("return document.activeElement === arguments[0]", heading)


def test_search_looks_into_every_text_without_case_and_accents(show: Callable[[Results], Page]) -> None:
    page = show(with_sample(facts(), "s4", input="Lukáš: ÉTÉ"))
    for words, found in {"lukas ete": ["s4"], "NUMBER7": ["s7"], "meet 3 of third": ["s3"], "s9": ["s9"]}.items():
        page.one("#search").clear()
        page.one("#search").send_keys(words)
        assert page.samples == found, words
    page.one("#search").send_keys("nowhere")
    assert "No sample matches." in page.one("#samples").text
    page.one(".count button").click()
    assert len(page.samples) == 12


def test_filters_show_what_got_better_or_worse_failed_or_was_cut(show: Callable[[Results], Page]) -> None:
    page = show(facts())
    gains = {f"s{number}": score(number, 1) - score(number, 0) for number in range(11)}
    wanted = {
        "better": [key for key, gain in gains.items() if gain > 0],
        "worse": [key for key, gain in gains.items() if gain < 0],
        "same": [],
        "failed": ["s11"],
        "truncated": ["s0"],
    }
    for value, found in wanted.items():
        page.choose("#show", value)
        assert page.samples == found, value


def test_the_model_filter_leaves_one_column_and_its_samples(show: Callable[[Results], Page]) -> None:
    made = facts(failed=0)
    kept = [each for each in suite_of(made).predictions if each.model.key != "third" or each.sample.id in ("s2", "s5")]
    page = show(only(made, kept))
    page.choose("#model", "2")
    assert page.samples == ["s2", "s5"]
    assert [text.split("\u00a0")[0] for text in page.texts(".samples thead th")] == ["Sample", "third", "Change"]


def test_baseline_and_candidate_can_be_chosen(show: Callable[[Results], Page]) -> None:
    page = show(facts())
    page.choose("#samples .pair label:last-child select", "2")
    change = score(0, 2) / 2 - score(0, 0) / 2
    assert page.texts(".samples tbody .number:last-child")[0] == f"{change:+.3f}".replace("-", "−")
    page.choose("#pairs .pair label:first-child select", "2")
    assert "Change is base less third, rougeL." in page.one(".count").text


def test_a_metric_is_chosen_for_every_section(show: Callable[[Results], Page]) -> None:
    page = show(facts())
    page.run("document.querySelector('#distribution input').click()")
    assert page.texts("#samples tbody tr:first-child .number")[0] == f"{score(0, 0):.3f}"
    assert len(page.all("input:checked")) == len(page.all(".segments"))
    assert {box.get_attribute("value") for box in page.all("input:checked")} == {"0"}


def test_an_opened_row_shows_every_text_with_differing_words_marked(show: Callable[[Results], Page]) -> None:
    page = show(facts())
    opener = page.all(".opener")[3]
    assert opener.get_attribute("aria-expanded") == "false"
    opener.click()
    assert opener.get_attribute("aria-expanded") == "true"
    detail = page.one(f"#{opener.get_attribute('aria-controls')}")
    assert "That was number3".lower() in detail.text.lower()
    assert [mark.text for mark in detail.find_elements("css selector", "mark")] == [
        *("will", "of base", "will", "of tuned", "will", "of third")
    ]
    assert "Not in it: at" in detail.text
    opener.click()
    assert page.all("tr.detail") == []


@pytest.mark.parametrize(
    ("reference", "answer", "marked", "missed"),
    [
        ("a b c d", "a x c", ["x"], ["b", "d"]),
        ("The end.", "the END!", [], []),
        ("", "new words", ["new words"], []),
        ("a b", "b a", ["a"], ["a"]),
        ("明日は会議", "明日は休み", ["休み"], ["会議"]),
    ],
)
def test_words_are_compared_by_their_longest_common_subsequence(
    show: Callable[[Results], Page], reference: str, answer: str, marked: Any, missed: Any
) -> None:
    page = show(facts(samples=1))
    assert page.run("return compared(...arguments).missed", reference, answer) == missed
    marks = "return compared(...arguments).marked.filter((it) => it.tagName).map((it) => it.textContent)"
    assert page.run(marks, reference, answer) == marked
    joined = "return compared(...arguments).marked.map((it) => it.textContent ?? it).join('')"
    assert page.run(joined, reference, answer) == answer


def test_many_samples_come_in_parts(show: Callable[[Results], Page]) -> None:
    page = show(facts(samples=300, models=("base", "tuned")))
    assert len(page.samples) == 50
    page.all(".more button")[0].click()
    assert len(page.samples) == 250
    page.all(".more button")[-1].click()
    assert len(page.samples) == 300
    assert page.all(".more button") == []


def test_of_very_many_samples_the_worst_have_their_texts(show: Callable[[Results], Page]) -> None:
    page = show(facts(samples=2400, models=("base",), lines=40))
    assert "Texts are held, and searched, of the worst" in page.one(".count").text
    page.choose("#search", "")
    page.one("#search").send_keys("number2399")
    assert page.samples == ["s2399"]
    page.one("#search").clear()
    page.run("look({ search: '', limit: 2400 })")
    left = page.run("return data.samples.findIndex((it) => it.left_out)")
    page.run("openSample(arguments[0])", left)
    assert "--results writes those of all." in page.one("tr.detail").text


# ---------------------------------------------------------------- points


def test_a_point_tells_its_sample_and_opens_its_row(show: Callable[[Results], Page]) -> None:
    page = show(facts(samples=300, models=("base", "tuned")))
    page.one("#search").send_keys("no such sample")
    point = page.all("circle[data-i]")[-1]
    page.point_at(point)
    sample = page.one(".readout").text.split(":")[0]
    point.click()
    assert page.focused == sample
    assert page.run("return document.activeElement.getAttribute('aria-expanded')") == "true"
    assert 0 <= page.run("return document.activeElement.getBoundingClientRect().top") < 900


# ---------------------------------------------------------------- without a mouse


def test_the_skip_link_comes_first_and_leads_to_the_samples(show: Callable[[Results], Page]) -> None:
    page = show(facts())
    page.press("TAB")
    assert page.focused == "Skip to the samples"
    page.press("ENTER", "TAB")
    assert page.run("return document.activeElement.id") == "search"


def test_samples_are_searched_sorted_and_opened_by_keyboard(show: Callable[[Results], Page]) -> None:
    page = show(facts(models=("base",)))
    page.run("document.getElementById('search').focus()")
    page.press("number1")
    assert page.samples == ["s1", "s10", "s11"]
    page.tab_to("base")
    page.press("SPACE")
    assert page.samples == ["s10", "s1", "s11"]
    page.press("TAB", "ENTER")
    assert page.focused == "s10"
    assert page.run("return document.activeElement.getAttribute('aria-expanded')") == "true"
    assert page.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_points_are_one_stop_and_arrows_move_between_them(show: Callable[[Results], Page]) -> None:
    page = show(facts(models=("base", "tuned")))
    assert len(page.all("circle[tabindex='0']")) == 1
    page.run("document.querySelector('circle[tabindex=\"0\"]').focus()")
    first = page.focused
    page.press("ARROW_RIGHT")
    assert page.focused != first
    page.press("ARROW_LEFT", "ARROW_LEFT")
    assert page.focused == first
    page.press("END")
    last = page.focused
    page.press("ENTER")
    assert page.focused == last.split(":")[0]


def test_every_chart_has_words_or_a_table(show: Callable[[Results], Page]) -> None:
    page = show(facts())
    page.run("document.querySelectorAll('summary').forEach((it) => it.click())")
    assert page.run("return document.querySelectorAll('details[open] table').length") == len(page.all("details")) == 3
    unnamed = "svg:not([aria-hidden]):not([aria-label]):not(svg svg)"
    assert page.all(unnamed) == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_that_keeps_a_reader_out(
    show: Callable[[Results], Page], browser: Any, scheme: str, width: int
) -> None:
    script = Path(os.environ.get("AXE_CORE", "")) / "node_modules/axe-core/axe.min.js"
    if not script.is_file():
        pytest.skip("needs `npm install axe-core` in the folder that $AXE_CORE names")
    look(browser, width, scheme)
    prompt = PromptChange("s3", "Sum up", "Summarise")
    made = with_history(
        with_references(with_judges(with_mutants(with_against(with_slices(with_lengths(with_fragility(facts())))))))
    )
    page = show(changed(made, causes=(Cause("2 recordings are of another prompt", "pytest", (), "", prompt),)))
    page.run("document.querySelectorAll('summary').forEach((it) => it.click())")
    page.one(".opener").click()
    page.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": script.read_text(encoding="utf-8")})
    found = page.driver.execute_async_script("const [done] = arguments; axe.run().then((it) => done(it.violations), done)")
    assert [(it["id"], [node["target"] for node in it["nodes"]][:3]) for it in found] == []


# ---------------------------------------------------------------- light and dark, narrow and wide, paper


def test_light_and_dark_follow_the_reader(show: Callable[[Results], Page], browser: Any) -> None:
    page = show(facts())
    colour = "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    assert page.run(colour) > 200
    look(browser, 1280, "dark")
    assert page.run(colour) < 60


@pytest.mark.parametrize("width", WIDTHS)
def test_no_width_needs_scrolling_sideways(show: Callable[[Results], Page], browser: Any, width: int) -> None:
    look(browser, width)
    made = with_against(with_slices(with_lengths(with_fragility(with_text(facts(), "a" * 90)))))
    page = show(with_history(with_references(with_judges(with_mutants(made)))))
    page.one(".opener").click()
    page.unfold("#against .pair-fold summary")
    assert page.run("return document.documentElement.scrollWidth") <= width


def test_paper_has_charts_and_no_controls(show: Callable[[Results], Page], browser: Any) -> None:
    page = show(facts())
    look(browser, 700, "dark", "print")
    assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert [it for it in page.all(".controls, #contents, .skip") if it.is_displayed()] == []
    assert all(chart.is_displayed() for chart in page.all("svg.plot"))
    printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {})["data"])
    assert printed.startswith(b"%PDF")


# ---------------------------------------------------------------- quick


def test_three_models_on_800_samples_open_and_search_quickly(show: Callable[[Results], Page]) -> None:
    page = show(facts(samples=800, lines=14))
    opened_ms = page.run("return performance.getEntriesByName('drawn')[0].startTime")
    searched_ms = page.run(
        "const search = document.getElementById('search'), start = performance.now(); search.value = 'number7';"
        "search.dispatchEvent(new Event('input')); document.body.offsetHeight; return performance.now() - start"
    )
    print(f"opened in {opened_ms:.0f} ms, first search {searched_ms:.0f} ms")
    assert page.run("return document.querySelectorAll('circle[data-i]').length") == 799
    assert page.samples == ["s7", *(f"s{number}" for number in (*range(70, 80), *range(700, 739)))]
    assert page.run("return document.querySelectorAll('*').length") < 6_000, "rows are made only as far as they are shown"
