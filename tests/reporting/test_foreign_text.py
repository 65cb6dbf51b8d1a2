"""Texts of models, data and APIs stay texts for everything that receives them: GitHub's pages, and the logs of its jobs."""

import re

import pytest
from evaltape.recorder.wire import Spend
from evaltape.reporting.markdown import comment
from evaltape.reporting.results import Cause, Results
from evaltape.text import cut, markdown, one_line, visible, without_commands, wrapped
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.project import Project
from tests.support.receivers import commands_in, live_parts, read_comment, terminal_text
from tests.support.report_facts import changed, facts, with_against, with_slices, with_text
from tests.support.server import ApiServer

ALIVE = [
    *("@ann", "@acme/team", "a@b.de", "#1", "acme/evals#12", "GH-7", "gh-7", "https://x.de/", "www.x.de", ":tada:", ":+1a:"),
    *("0123456", "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef", "ann@deadbeef", "acme/evals@deadbee", "13829853"),
]
ORDERS = [
    *("::error::x", "::stop-commands::t", "  ::add-mask::a", "##[add-mask]x", "##[stop-commands]t", "a ##[group]b"),
    *("x\n::error file=a::b", "x\r::error::b", "x\u2028::error::b", "\x85::error::x", "\u3000::error::x"),
]
HOSTILE = st.lists(
    st.sampled_from([*ALIVE, *ORDERS, "::", "##[", "]", "@", "#", ":", "&#64;", "&commat;", "<b>", "|", "`", "\\", " ", "\n"])
    | st.text(max_size=5),
    max_size=6,
).map("".join)
EVERYTHING = " ".join([*ORDERS, *ALIVE])


@pytest.mark.parametrize("text", ALIVE)
def test_what_would_be_live_in_a_comment_is_only_text(text: str) -> None:
    assert live_parts(f"a {text} b")  # The port of GitHub's filter knows it.
    assert live_parts(f"a {markdown(text)} b") == {}


@given(HOSTILE)
def test_no_text_is_live_in_a_comment_and_a_reader_sees_exactly_it(text: str) -> None:
    page = read_comment(f"| {markdown(text)} x |\n|---|\n")
    assert page.tags == {"table", "thead", "tr", "th"}
    seen = "".join(page.texts).replace("\u2060", "").strip()
    assert seen.removesuffix("x").split() == one_line(text).split()
    assert live_parts(f"| {markdown(text)} x |\n|---|\n") == {}


@pytest.mark.parametrize("text", ORDERS)
def test_what_would_be_a_command_in_a_log_is_only_text(text: str) -> None:
    assert list(commands_in(text.replace("\r", "\n")))  # The port of the runner knows it.
    assert list(commands_in(visible(text))) == []


@given(HOSTILE, st.integers(20, 90), st.sampled_from(["", "  ", "    "]))
def test_no_line_of_a_log_is_a_command(text: str, width: int, indent: str) -> None:
    for line in (visible(text), cut(text, width), *wrapped(text, width, indent), *without_commands(text).splitlines()):
        assert list(commands_in(line)) == [], line


def hostile_results() -> Results:
    """Results with commands and mentions in every place that a model, a file or an API writes."""
    made = with_against(with_text(with_slices(facts(samples=4)), EVERYTHING))
    made = changed(made, notes=(EVERYTHING,), causes=(Cause(EVERYTHING, None, ()),), orphans=(EVERYTHING,))
    return replace(made, stopped=EVERYTHING, spend=Spend(1.0, 0.1, 1), notes=(EVERYTHING,))


@pytest.mark.parametrize("options", [(), ("-v",), ("-q",)], ids=str)
@pytest.mark.parametrize("width", [41, 80])
def test_no_line_of_a_run_is_a_command(options: tuple[str, ...], width: int) -> None:
    shown = terminal_text(hostile_results(), *options, width=width)
    assert "add-mask" in shown
    assert list(commands_in(shown)) == []


def test_nothing_in_a_whole_comment_is_live() -> None:
    text = comment(hostile_results(), {})
    assert "tada" in text
    assert live_parts(re.sub(r"(?m)^    .*$", "", text)) == {}


OWN_TEST = """
def test_text(prediction):
    print("::stop-commands::t")
    try:
        assert prediction.text == "##[error]y"
    except AssertionError:
        text = prediction.text
        assert text == "##[stop-commands]z"
"""


def test_a_whole_run_gives_no_command_and_no_mention(project: Project, api: ApiServer) -> None:
    api.answers["small-2026-01-01"] = lambda prompt: EVERYTHING + " <script>alert(1)</script> ![e](f) **b**"
    (project.root / "evals/test_own.py").write_text(OWN_TEST, encoding="utf-8")
    run = project.run("evals", "--record", "--snapshot-update", "--comment", "comment.md", "-l", "-vv")
    assert run.exit_code == 1
    assert r"##\x5bstop-commands]z" in run.output
    assert r":\x3astop-commands::t" in run.output
    assert list(commands_in(run.output)) == []
    text = (project.root / "comment.md").read_text(encoding="utf-8")
    assert "tada" in text
    assert live_parts(text) == {}
    assert not read_comment(text).tags & {"a", "img", "script", "b"}
