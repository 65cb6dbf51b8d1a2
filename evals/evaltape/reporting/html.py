"""The report: a single HTML file that opens from an e-mail and asks nothing of any network.

`report_data` gathers the content of the page, as builtins; `page` inlines styles and scripts of `assets` and the
data as JSON. Texts of samples and predictions are never markup: they travel as JSON, the page makes text nodes of them,
and its Content-Security-Policy runs the page's own script and nothing else.
"""

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Any

from evaltape.files import write_output
from evaltape.reporting.report_data import report_data
from evaltape.reporting.results import Results
from evaltape.text import one_line

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = (
    *("page", "choices", "words", "scores", "slices", "comparisons", "sides", "against", "history", "judges", "mutants"),
    *("spread", "references", "training", "cost", "sample", "selection", "samples", "report"),
)
"""In the order they are put together."""
POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_UNSAFE = re.compile("[<>&\u007f-\u009f\u2028\u2029\ud800-\udfff]")
"""Characters that could end the script element or the line, speak to a terminal, or not be written as UTF-8."""


def write_report(results: Results, path: Path) -> None:
    """Write the report. Raises `OSError` if it can't be written."""
    write_output(path, page(report_data(results)))


def page(data: Mapping[str, Any]) -> str:
    """Return the file's text. The same data give the same text."""
    style, script = _asset("report.css"), "\n".join(_asset(f"{name}.js") for name in SCRIPTS)
    suites = data["suites"]
    return Template(_asset("report.html")).substitute(
        policy=POLICY.format(script=_digest(script), style=_digest(style)),
        title=_shown("; ".join(f"{suite['suite']}: {suite['verdict']['text']}" for suite in suites)),
        suites=_shown(", ".join(suite["suite"] for suite in suites)),
        verdicts="\n".join(line for place, suite in enumerate(suites) for line in _verdict(suite, place, len(suites) > 1)),
        style=style,
        data=embedded(data),
        script=script,
    )


def embedded(data: Any) -> str:
    """Return JSON that can stand inside a script element with any text in it, and reads back unchanged."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _verdict(suite: Mapping[str, Any], place: int, named: bool) -> Iterator[str]:
    """Yield a suite's verdict as HTML, which is there without a script, too: causes, then each line a link to its numbers."""
    verdict = suite["verdict"]
    if named:
        yield f'<p class="suite-name">{_shown(suite["suite"])}</p>'
    parts = "".join(f'<li class="{_shown(state)}">{_shown(text)}</li>' for text, state in verdict["parts"])
    yield f'<ul class="verdict">{parts}</ul>'
    commands = [f": <code>{_shown(cause['command'])}</code>" if cause["command"] else "" for cause in suite["causes"]]
    lines = [f"{_shown(cause['text'])}{command}" for cause, command in zip(suite["causes"], commands, strict=True)]
    lines += [_reason(reason, place) for reason in verdict["reasons"]]
    yield f'<ul class="reasons">{"".join(f"<li>{line}</li>" for line in lines)}</ul>' if lines else ""
    changes = [it["prompt"] for it in (*suite["causes"], *(suite["against"] or {"models": ()})["models"]) if it["prompt"]]
    yield from (_prompts(change) for place, change in enumerate(changes) if change not in changes[:place])


def _reason(reason: Mapping[str, Any], suite: int) -> str:
    about = f'data-suite="{suite}" data-model="{_shown(reason["model"])}" data-metric="{_shown(reason["metric"])}"'
    return f'<a href="#{reason["place"]}" {about}>{_shown(reason["text"])}</a>'


def _prompts(change: Mapping[str, str]) -> str:
    """Return both prompts of a sample beside each other, the lines marked that the other doesn't have."""
    then, now = change["then"].split("\n"), change["now"].split("\n")
    sides = f"<h2>As recorded</h2>{_marked(then, now)}</div><div><h2>As it is now</h2>{_marked(now, then)}"
    summary = f"The prompt of {_shown(change['sample'])}, as recorded and as it is now"
    return f'<details class="prompts"><summary>{summary}</summary><div class="sides"><div>{sides}</div></div></details>'


def _marked(lines: list[str], others: list[str]) -> str:
    shown = (f"<mark>{_shown(line)}</mark>" if line not in others else _shown(line) for line in lines)
    return f'<p class="text" dir="auto">{chr(10).join(shown)}</p>'


def _shown(text: str) -> str:
    """Return a text as HTML that shows it, with control characters as signs."""
    return html.escape(one_line(text))


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
