"""The Markdown summary of a GitHub Actions step."""

import html
import json

import pytest
from evaltape.text import markdown
from markdown_it import MarkdownIt

TWO_GATES = "gates = { rouge1 = 0.3, rouge2 = 0.5 }"


def summary(project, *args):
    """What a run of the baseline appends to the summary."""
    path = project.root.parent / "summary.md"
    path.unlink(missing_ok=True)
    run = project.run("evals", "-m", "baseline", *args, environment={"GITHUB_STEP_SUMMARY": str(path)})
    assert path.exists(), run.output
    return path.read_text(encoding="utf-8")


def test_table_changes_and_worst_samples(recorded):
    recorded.edit_suite("gates = { rouge1 = 0.3 }", TWO_GATES)
    text = html.unescape(summary(recorded, "-n 2"))
    assert text.startswith("## chats: 1 of 2 gates holds\n\n- small rouge2: mean 0.3519 is 0.1481 under its gate 0.5 ")
    assert "| **small**<br>6 samples | rouge1 | 0.6406 | 0.0792 to 1.0000 | 0.3 | ✅ passed |\n" in text
    assert "|  | rouge2 | 0.3519 | 0.0000 to 1.0000 | 0.5 | ❌ failed |\n" in text
    assert "### Against the accepted scores\n\nNothing changed.\n" in text
    assert "<summary>small rouge2: what hurt most</summary>" in text
    assert "| t3 | 0.0000 | Coffee before tea, says Kai | Kai: tea before coffee |\n" in text
    assert (
        "\n    pytest 'evals/test_baseline.py::test_sample[small-t3]' 'evals/test_baseline.py::test_sample[small-t4]' " in text
    )


def test_it_says_what_changed_against_the_accepted_snapshot(recorded):
    accepted = recorded.snapshots / "small.scores"
    table = json.loads(accepted.read_text())
    accepted.write_text(json.dumps({**table, "rouge1": table["rouge1"] + 0.1, "truncated": 2}))
    text = html.unescape(summary(recorded))
    assert "| small | rouge1 | 0.7406 | 0.6406 | -0.1000 |\n" in text
    assert "| small | truncated | 2 | 0 | -2 |\n" in text
    assert "| small | rouge2 |" not in text


def test_other_samples_are_not_compared_with_the_accepted_scores(recorded):
    text = html.unescape(summary(recorded, "-k", "small-t1"))
    assert "small: 1 samples" not in text
    assert "small: 1 sample, the accepted scores are of 6" in text
    (recorded.snapshots / "small.scores").unlink()
    assert "small: no scores are accepted" in html.unescape(summary(recorded))


def test_nothing_is_written_where_github_names_no_file(recorded):
    recorded.run("evals", "-m", "baseline", environment={"GITHUB_STEP_SUMMARY": ""}).assert_outcomes(passed=8)


def test_a_second_run_appends_its_own(recorded):
    path = recorded.root.parent / "summary.md"
    path.write_text("before\n")
    for _ in range(2):
        recorded.run("evals", "-m", "baseline", environment={"GITHUB_STEP_SUMMARY": str(path)})
    assert path.read_text().startswith("before\n## chats")
    assert path.read_text().count("## chats") == 2


def test_texts_of_models_are_shown_and_never_become_markup(project, api):
    api.answers["small-2026-01-01"] = lambda prompt: EVIL
    project.run("evals", "-m", "baseline", "--record", "--snapshot-update")
    text = summary(project)
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert "<script" not in rendered
    assert "<a " not in rendered
    assert "<img" not in rendered
    assert html.escape(EVIL.replace("\n", "\\n"), quote=False) in rendered.replace("&quot;", '"')


EVIL = "<script>alert(1)</script> | **a** `b` [c](http://d) ![e](f) @g #1 $h$ www.i.de ~~j~~ </td>\n# K \\| &lt;"


@pytest.mark.parametrize("text", [EVIL, "1. a", "- a", "    a", "> a", "a | b", "***", "\x1b[31m", "| - |"])
def test_markdown_shows_exactly_the_text(text):
    rendered = MarkdownIt("commonmark").enable("table").render(f"| {markdown(text)} | |\n|---|---|\n")
    cell = rendered.split("<th>")[1].split("</th>")[0]
    shown = text.replace("\n", "\\n").replace("\x1b", "\\x1b").strip()
    assert html.unescape(cell) == shown


def test_a_long_text_is_cut():
    assert markdown("a" * 500, 400) == "a" * 397 + "&#46;" * 3
