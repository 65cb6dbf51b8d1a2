"""What receives our texts, in small: GitHub's page of a comment, and the runner that reads a job's log."""

import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser

from evaltape.reporting.results import Results
from evaltape.reporting.terminal import print_results
from markdown_it import MarkdownIt

UNLINKED = {"a", "code", "pre", "script", "style"}
"""Elements in whose texts GitHub looks for no mentions and references."""
LIVE = {
    "mention": re.compile(r"(?:^|[^\w`])@[a-z0-9][a-z0-9-]*(?:/[a-z0-9][\w.-]*)?", re.IGNORECASE | re.ASCII),
    "address": re.compile(r"[a-z0-9.+_-]+@[a-z0-9_-]+\.[a-z0-9]+|https?://\S|www\.\S", re.IGNORECASE | re.ASCII),
    "reference": re.compile(r"#\d+|\bGH-\d+", re.IGNORECASE | re.ASCII),
    "commit": re.compile(r"(?:^|\W)[0-9a-f]{7,40}(?=\W|$)", re.IGNORECASE | re.ASCII),
    "picture": re.compile(r":[a-z0-9_+-]*[a-z][a-z0-9_+-]*:", re.IGNORECASE | re.ASCII),
}
"""What GitHub makes something of, in a text whose entities are undone."""
COMMANDS = {
    "add-mask",
    "set-env",
    "add-path",
    "stop-commands",
    "error",
    "warning",
    "notice",
    "debug",
    "group",
    "endgroup",
    "echo",
}
"""The commands that a runner of GitHub Actions knows."""


class _Texts(HTMLParser):
    """The texts of a page that GitHub looks through, and its elements."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self._unlinked = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        self._unlinked += tag in UNLINKED

    def handle_endtag(self, tag: str) -> None:
        self._unlinked -= tag in UNLINKED

    def handle_data(self, data: str) -> None:
        if not self._unlinked:
            self.texts.append(data)


def read_comment(markdown: str) -> _Texts:
    """The texts and elements of the page that GitHub makes of Markdown."""
    page = _Texts()
    page.feed(MarkdownIt("gfm-like", {"linkify": False}).render(markdown))
    page.close()
    return page


def live_parts(markdown: str) -> dict[str, str]:
    """What becomes a mention, a link or a picture on that page, by kind."""
    texts = read_comment(markdown).texts
    return {kind: found[0] for kind, what in LIVE.items() for text in texts if (found := what.search(text))}


def commands_in(log: str) -> Iterator[str]:
    """The commands that a runner carries out while it reads a log: of the new form, then of the old one."""
    for line in log.splitlines():
        stripped = line.lstrip()
        new = stripped[2:].partition("::") if stripped.startswith("::") else ("", "", "")
        old = line.partition("##[")[2].partition("]")
        for command, end, _ in (new, old):
            name = command.strip().partition(" ")[0].lower()
            if end and name in COMMANDS:
                yield name


def terminal_text(results: Results, *options: str, width: int = 80) -> str:
    """What the terminal shows of results, printed by pytest's own reporter."""
    from _pytest.config import _prepareconfig
    from _pytest.terminal import TerminalReporter

    config = _prepareconfig(["-p", "no:cacheprovider", "-c", "/dev/null", *options])
    file = io.StringIO()
    reporter = TerminalReporter(config, file)
    reporter._tw.fullwidth = width
    try:
        print_results(reporter, results)
    finally:
        config._ensure_unconfigure()
    return file.getvalue()
