"""The report: one HTML file that opens from an e-mail and asks nothing of any network.

`report_data` gathers what the page shows, as builtins; `page` inlines styles and scripts of `assets` and the
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
    "page.js",
    "choices.js",
    "words.js",
    "scores.js",
    "slices.js",
    "comparisons.js",
    "sides.js",
    "against.js",
    "judges.js",
    "mutants.js",
    "spread.js",
    "training.js",
    "cost.js",
    "sample.js",
    "selection.js",
    "samples.js",
    "report.js",
)
"""In the order they are put together."""
POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_UNSAFE = re.compile("[<>&\u007f-\u009f\u2028\u2029\ud800-\udfff]")
"""What could end the script element or the line, speak to a terminal, or not be written as UTF-8."""


def write_report(results: Results, path: Path) -> None:
    """Write the report. Raises `OSError` if it can't be written."""
    write_output(path, page(report_data(results)))


def page(data: Mapping[str, Any]) -> str:
    """Return the file's text. The same data give the same text."""
    style, script = _asset("report.css"), "\n".join(_asset(name) for name in SCRIPTS)
    suites = data["suites"]
    return Template(_asset("report.html")).substitute(
        policy=POLICY.format(script=_digest(script), style=_digest(style)),
        title=_shown("; ".join(f"{suite['suite']}: {suite['verdict']['text']}" for suite in suites)),
        suites=_shown(", ".join(suite["suite"] for suite in suites)),
        verdicts="\n".join(line for suite in suites for line in _verdict(suite, named=len(suites) > 1)),
        style=style,
        data=embedded(data),
        script=script,
    )


def embedded(data: Any) -> str:
    """Return JSON that can stand inside a script element whatever its texts hold, and reads back as it was."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _verdict(suite: Mapping[str, Any], named: bool) -> Iterator[str]:
    """Yield a suite's verdict as HTML, which is there without a script, too."""
    verdict = suite["verdict"]
    if named:
        yield f'<p class="suite-name">{_shown(suite["suite"])}</p>'
    parts = "".join(f'<li class="{_shown(state)}">{_shown(text)}</li>' for text, state in verdict["parts"])
    yield f'<ul class="verdict">{parts}</ul>'
    lines = [*verdict["reasons"], *(_cause(cause) for cause in suite["causes"])]
    yield f'<ul class="reasons">{"".join(f"<li>{_shown(line)}</li>" for line in lines)}</ul>'


def _cause(cause: Mapping[str, Any]) -> str:
    return f"{cause['text']}: {cause['command']}" if cause["command"] else str(cause["text"])


def _shown(text: str) -> str:
    """Return a text as HTML that shows it, with control characters as what they are."""
    return html.escape(one_line(text))


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
