"""Results in Markdown: the comment on a pull request, and the summary of a GitHub Actions step."""

import html
import json
from functools import cache

import pytest
from evaltape.recorder.wire import Spend
from evaltape.reporting.markdown import LONGEST_COMMENT, comment, summary
from evaltape.reporting.remarks import left_line
from evaltape.reporting.results import Cause, Results
from evaltape.suite.prompt import prompt_change
from evaltape.text import markdown
from markdown_it import MarkdownIt
from msgspec.structs import replace

from tests.support.project import Project
from tests.support.report_facts import (
    changed,
    facts,
    suite_of,
    with_against,
    with_model,
    with_mutants,
    with_slices,
    with_text,
)

TWO_GATES = "gates = { rouge1 = 0.3, rouge2 = 0.5 }"
RUN = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/evals", "GITHUB_RUN_ID": "123"}


def summary_of(project: Project, *args: str) -> str:
    """What a run of the baseline appends to the summary, as its reader sees it."""
    path = project.root.parent / "summary.md"
    path.unlink(missing_ok=True)
    run = project.run("evals", "-m", "baseline", *args, environment={"GITHUB_STEP_SUMMARY": str(path)})
    assert path.exists(), run.output
    return html.unescape(path.read_text(encoding="utf-8"))


def rendered(text: str) -> str:
    """The HTML that GitHub makes of Markdown, nearly."""
    return MarkdownIt("gfm-like", {"linkify": False}).render(text)


# ---------------------------------------------------------------- the summary of a step


def test_table_changes_and_worst_samples(recorded: Project) -> None:
    recorded.edit_suite("gates = { rouge1 = 0.3 }", TWO_GATES)
    text = summary_of(recorded, "-n 2")
    assert text.startswith("## ❌ chats: 1 of 2 gates holds\n\n- small rouge2: mean 0.3519 is 0.1481 under its gate 0.5 ")
    assert "| **small**<br>6 samples, recorded 2026-09-21 | rouge1 | 0.6406 | 0.0792 to 1.0000 | 0.3 | ✅ passed |\n" in text
    assert "|  | rouge2 | 0.3519 | 0.0000 to 1.0000 | 0.5 | ❌ failed |\n" in text
    assert "|  | words | 3.8 | 2.0 to 5.1 |  |  |\n" in text
    assert "<summary>small rouge2: what hurt most</summary>" in text
    assert "| t3 | 0.0000 | Coffee before tea, says Kai | Kai: tea before coffee |\n" in text


def test_it_says_what_changed_against_the_accepted_scores_and_what_accepts_them(recorded: Project) -> None:
    accepted = recorded.snapshots / "small.scores"
    table = json.loads(accepted.read_text())
    accepted.write_text(json.dumps({**table, "rouge1": table["rouge1"] + 0.1, "truncated": 2}))
    text = summary_of(recorded)
    assert "| small | rouge1 | 0.7406 | 0.6406 | -0.1000 |\n" in text
    assert "| small | truncated | 2 | 0 | -2 |\n" in text
    assert "| small | rouge2 |" not in text
    assert "\n    pytest 'evals/test_baseline.py::test_scores[chats-small]' --snapshot-update\n" in text


def test_what_one_cause_did_is_one_line_with_its_command(recorded: Project) -> None:
    recorded.edit_suite("Summarise", "Sum up")
    text = summary_of(recorded)
    assert "- 6 recordings are of another prompt\n\n      pytest evals --record-missing\n" in text
    assert "failed samples" not in text
    assert "<summary>The prompt of t1, as recorded and as it is now</summary>" in text
    assert "\n    -Summarise" in text
    assert "\n    +Sum up" in text


def test_nothing_is_written_where_github_names_no_file(recorded: Project) -> None:
    recorded.run("evals", "-m", "baseline", environment={"GITHUB_STEP_SUMMARY": ""}).assert_outcomes(passed=8)


def test_a_second_run_appends_its_own(recorded: Project) -> None:
    path = recorded.root.parent / "summary.md"
    path.write_text("before\n")
    for _ in range(2):
        recorded.run("evals", "-m", "baseline", environment={"GITHUB_STEP_SUMMARY": str(path)})
    assert path.read_text().startswith("before\n## ✅ chats")
    assert path.read_text().count("## ✅ chats") == 2


# ---------------------------------------------------------------- the comment


def test_a_comment_begins_with_its_marker_and_the_verdict(recorded: Project) -> None:
    run = recorded.run("evals", "-m", "baseline", "--comment", "out/comment.md", environment=RUN)
    assert run.exit_code == 0, run.output
    lines = (recorded.root / "out/comment.md").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["<!-- evaltape -->", "## ✅ chats: 1 of 1 gate holds"]
    assert lines[-1] == "[The run with its files](https://github.com/acme/evals/actions/runs/123)"


@pytest.mark.parametrize("name", RUN)
def test_without_a_run_of_github_actions_there_is_no_link(name: str) -> None:
    assert "The run" in comment(facts(), RUN)
    for value in ("", "javascript:alert(1)", "a b", "../x"):
        assert "The run" not in comment(facts(), {**RUN, name: value})


def test_changes_against_another_commit_stand_beside_the_means_and_what_lost_most() -> None:
    text = html.unescape(comment(with_against(facts()), {}))
    assert "| model | metric | mean | 95% interval | change against main | gate | verdict |" in text
    assert (
        "| **base**<br>12 samples, 1 truncated, 1 failed (0 allowed) | rouge1 | 0.4000 | 0.3500 to 0.4500 | "
        "-0.0500 (-0.0600 to -0.0400) ❌ failed | 0.3 | ✅ passed |"
    ) in text
    assert "<summary>The 3 samples that lost most</summary>" in text
    assert (
        "| base | s10 | rouge1 -0.1000 (0.5000 to 0.4000) | They meet at 10. | They met s10 | They will meet 10 of base |"
        in text
    )
    assert "\nthird is new: there is nothing to compare\n" in text


def test_both_prompts_stand_in_the_comment_where_the_prompt_changed_since_another_commit() -> None:
    then = {"messages": [{"role": "user", "content": "Sum up:\n@ann: hi"}]}
    now = {"messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Sum up:\n@ann: hi"}]}
    assert prompt_change("s1", then, then) is None
    assert prompt_change("s1", None, now) is None
    change = prompt_change("s1", then, now)
    made = with_against(facts())
    against = suite_of(made).against
    models = {key: replace(it, scores=replace(it.scores, prompt=change)) for key, it in against.models.items()}
    text = comment(changed(made, against=replace(against, models=models)), {})
    assert text.count("as recorded and as it is now") == 1
    assert "\n    -Sum up:\n    +system: Be brief\n    +user: Sum up:\n" in text


def test_a_model_of_which_nothing_changed_has_no_rows_and_an_open_comparison_is_no_failure() -> None:
    made = with_against(facts())
    against = suite_of(made).against
    models = {
        key: replace(it, scores=replace(it.scores, baseline=it.scores.candidate), metrics={})
        for key, it in against.models.items()
    }
    text = comment(changed(made, against=replace(against, models=models, notes=("base: nothing changed",))), {})
    assert "change against main" not in text
    assert "\nbase: nothing changed\n" in html.unescape(text)
    comparison = suite_of(made).comparisons["gain"]
    skipped = {name: replace(it, bound=replace(it.bound, inconclusive="skip")) for name, it in comparison.metrics.items()}
    text = html.unescape(comment(changed(made, comparisons={"gain": replace(comparison, metrics=skipped)}), {}))
    assert "- gain rougeL" not in text
    assert "\ngain rougeL: +0.1000 (90% interval" in text


def test_a_bound_on_the_change_of_a_metric_that_scored_nothing_today_stands_beside_the_others() -> None:
    made = with_against(facts())
    means = {name: mean for name, mean in suite_of(made).models["base"].means.items() if name != "rouge1"}
    text = comment(with_model(made, "base", means=means, gates={}), {})
    assert "| rouge1 |  |  | -0.0500 (-0.0600 to -0.0400) ❌ failed |  |  |" in text


def test_spend_what_is_left_and_the_mutation_score_are_lines() -> None:
    made = changed(with_mutants(facts()), left=(left_line(3, 0.031, "pytest evals -m baseline --record-missing", True),))
    made = replace(made, spend=Spend(1.2, 0.4, broke_off=3), budget_usd=2.0, stopped="the budget is spent")
    text = html.unescape(comment(made, {}))
    for line in (
        "Spent in this session: $1.2000 of a budget of $2, perhaps $0.4000 more: 3 calls broke off.",
        "The recording stopped: the budget is spent. Earlier answers are recorded.",
        "3 calls left, which can cost up to $0.0310. Go on: pytest evals -m baseline --record-missing --budget 0.031",
        "Kinds of damage that the gates notice at 25% of the answers: 0 of 1 for base.",
        "The recording cost $0.0240: base $0.0120, tuned $0.0120.",
    ):
        assert f"\n{line}\n" in text


def test_several_suites_have_a_verdict_over_all_and_one_each() -> None:
    made = facts(samples=3)
    other = with_model(facts(samples=2, models=("base",), failed=0, name="tickets"), "base", gates={})
    text = html.unescape(comment(replace(made, suites={**other.suites, **made.suites}), {}))
    assert text.splitlines()[1] == "## ❌ 1 of 2 suites failed"
    assert "\n### ❌ made: 3 of 6 gates hold" in text
    assert "\n### ❔ tickets: No gates are set" in text.split("### ❌ made")[1]  # Red suites come first.


def test_slices_are_folded() -> None:
    text = html.unescape(comment(with_slices(facts()), {}))
    assert "<summary>Slices</summary>" in text
    assert "|  | small talk (24) | 0.2000 | 0.1500 to 0.2500 | 0.3 | ❌ failed |" in text


# ---------------------------------------------------------------- how long it gets


def many(suites: int, models: int, text: str = "~" * 500) -> Results:
    """A session of many suites and models, with long texts."""
    made = with_text(facts(samples=6, models=tuple(f"model-{n}" for n in range(models))), text)
    suite = suite_of(made)
    return replace(made, suites={f"suite-{n}": replace(suite, name=f"suite-{n}") for n in range(suites)})


@cache
def comment_of(suites: int, models: int) -> str:
    """The comment on such a session."""
    return comment(many(suites, models), RUN)


@pytest.mark.parametrize(("suites", "models"), [(1, 2), (1, 300), (30, 10), (400, 1)])
def test_a_comment_fits_github_whatever_the_number_of_suites_and_models(suites: int, models: int) -> None:
    text = comment_of(suites, models)
    assert len(text) <= LONGEST_COMMENT
    assert text.startswith("<!-- evaltape -->\n## ❌ ")
    assert "<details>" in text or text.count("<details>") == text.count("</details>")


def test_what_matters_least_is_left_out_first() -> None:
    whole, short = comment(many(1, 2, "~"), RUN), comment(many(12, 4), RUN)
    assert "what hurt most" in whole
    assert "what hurt most" not in short
    assert short.count("| metric | mean |") == 12
    assert short.endswith("/actions/runs/123)\n")


def test_what_is_cut_says_so() -> None:
    assert comment_of(400, 1).endswith("\nThis is cut to what GitHub takes.\n")


def test_a_summary_fits_github_too() -> None:
    assert len(summary(many(100, 3), RUN).encode()) <= 2**20


# ---------------------------------------------------------------- texts are texts


def test_no_text_from_anywhere_becomes_markup() -> None:
    made = with_against(with_slices(facts()))
    against = suite_of(made).against
    assert against is not None
    against = replace(against, side=replace(against.side, ref=EVIL), notes=(EVIL,))
    made = changed(with_text(made, EVIL), against=against, notes=(EVIL,), causes=(Cause(EVIL, None, ()),))
    made = replace(made, stopped=EVIL, spend=Spend(1.0, 0.1, 1))
    page = rendered(comment(made, {}))
    for tag in ("<script", "<a ", "<img", "<h1>K", "</td>\n# K"):
        assert tag not in page


EVIL = "<script>alert(1)</script> | **a** `b` [c](http://d) ![e](f) @g #1 $h$ www.i.de ~~j~~ </td>\n# K \\| &lt;"


@pytest.mark.parametrize("text", [EVIL, "1. a", "- a", "    a", "> a", "a | b", "***", "\x1b[31m", "| - |"])
def test_markdown_shows_exactly_the_text(text: str) -> None:
    rendered = MarkdownIt("commonmark").enable("table").render(f"| {markdown(text)} | |\n|---|---|\n")
    cell = rendered.split("<th>")[1].split("</th>")[0]
    shown = text.replace("\n", "\\n").replace("\x1b", "\\x1b").strip()
    assert html.unescape(cell).replace("\u2060", "") == shown


def test_a_long_text_is_cut() -> None:
    assert markdown("a" * 500, 400) == "a" * 397 + "&#46;" * 3
