"""`evaltape label`: shows answers in turn, and writes a person's verdict on each as a line of the judge's labels."""

import getpass
import importlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from evaltape.cli import Parser
from evaltape.cli.init.place import find_place
from evaltape.errors import UserError
from evaltape.judging.agreement import kappa
from evaltape.judging.labels import (
    DISAGREEMENT,
    SECOND,
    Candidate,
    Label,
    first_turns,
    label_line,
    read_labels,
    second_pairs,
    second_turns,
)
from evaltape.names import nearest, shown
from evaltape.settings import Settings
from evaltape.suite.definition import Judge
from evaltape.suite.metric_tables import Rouge
from evaltape.suite.reader import read_suites
from evaltape.text import counted, cut, visible, wrapped
from evaltape.workspace import Workspace

SKIP, QUIT = "s", "q"
VERDICTS = {"y": "yes", "n": "no"}
"""The keys of a verdict without a scale; a scale's keys are its numbers."""
DESCRIPTION = """\
Shows recorded answers one by one and asks for your verdict on each; a key is a verdict, and each is written at once to the
file that [judges.NAME.exam] labels names. You don't see what the judge said. Start it again to go on."""
EPILOG = """\
examples:
  evaltape label                     the suite's only judge
  evaltape label faithful --by ann   the labels say who gave them
  evaltape label --second            your own labels once more, blind; then how often you agree with yourself"""
MOST_WIDTH = 100


def parser() -> Parser:
    """Return the command line's parser."""
    label = Parser("label", DESCRIPTION, EPILOG)
    add = label.add_argument
    add("judge", nargs="?", metavar="JUDGE", help="the judge's key, where the suite has several")
    add("--suite", metavar="FILE", help="the suite file (default: those of eval_suite)")
    add("--model", metavar="KEY", help="label this model's answers alone")
    add("--by", metavar="NAME", default=None, help="who gives the labels (default: your user name)")
    add("--second", action="store_true", help="label your own labels once more, blind, and say how often the two agree")
    return label


def main(argv: Sequence[str]) -> int:
    """Label answers; return the exit code."""
    options = parser().parse_args(argv)
    try:
        workspaces = replay_workspaces(Path.cwd(), options.suite)
        workspace, judge = find_judge(workspaces, options.judge)
        by = options.by or getpass.getuser()
        print("\n".join(Desk(workspace, judge, by).label(options.model, options.second)))
    except UserError as error:
        print(f"evaltape label: {error}", file=sys.stderr)
        return 4
    except KeyboardInterrupt:
        print("\nEach verdict is written. Go on: evaltape label")
    return 0


def find_judge(workspaces: Sequence[Workspace], name: str | None) -> tuple[Workspace, Judge]:
    """Return the judge of that name, or the only judge. Raises `UserError`."""
    judges = [(workspace, judge) for workspace in workspaces for judge in workspace.suite.judges.values()]
    found = [each for each in judges if name in (None, each[1].key)]
    if len(found) == 1:
        return found[0]
    keys = [judge.key for _, judge in judges]
    if not keys:
        files = ", ".join(shown(workspace.suite.file) for workspace in workspaces)
        raise UserError(f"{files}: there is no judge; add [judges.NAME]")
    if name is None:
        raise UserError(f"there are several judges; name one: {', '.join(keys)}")
    if found:
        raise UserError(f"{name!r} is a judge of several suites; name the suite: --suite FILE")
    raise UserError(f"{name!r} is no judge.{nearest(name, keys)} Judges: {', '.join(keys)}")


class Desk:
    """Where a person labels answers for a judge."""

    def __init__(self, workspace: Workspace, judge: Judge, by: str) -> None:
        """Open it. Raises `UserError` for a judge without a file of labels, or with a scale that single keys can't give."""
        self.workspace, self.judge, self.by = workspace, judge, by
        if judge.exam is None or judge.exam.labels is None:
            raise UserError(
                f"{shown(workspace.suite.file)}: [judges.{judge.key}.exam] names no file of labels; add "
                f'labels = "../data/{judge.key}.jsonl"'
            )
        self.file = judge.exam.labels
        self.verdicts: dict[str, bool | float] = {"y": True, "n": False}
        if judge.verdict.scale is not None:
            low, high = judge.verdict.scale
            if low != int(low) or high != int(high) or not 0 <= low <= high <= 9:
                raise UserError(f"a scale from {low:g} to {high:g} has no key for each verdict; write the labels by hand")
            self.verdicts = {str(number): number for number in range(int(low), int(high) + 1)}

    def label(self, model: str | None, second: bool) -> list[str]:
        """Label until there is no answer left, or the person stops; return the last lines to print."""
        labels = self._labels()
        if second:
            turns = second_turns(labels, self.by, self.workspace.samples)
            if not turns and not second_pairs(labels):
                raise UserError(f"{shown(self.file)}: there is no label by {cut(self.by, 40)} to give a second time")
        else:
            turns = first_turns(self._candidates(model), labels, self.by)
        written = 0
        for number, turn in enumerate(turns, 1):
            print("\n".join(self._page(turn, number, len(turns))), flush=True)
            while (key := read_key().lower()) not in (*self.verdicts, SKIP, QUIT):
                pass
            if key == QUIT:
                break
            if key != SKIP:
                self._write(turn, self.verdicts[key])
                written += 1
        return [f"{counted(written, 'label')} written to {shown(self.file)}.", *self._end(second, len(turns) - written)]

    def _labels(self) -> list[Label]:
        if not self.file.exists():
            return []
        return read_labels(self.file, self.judge.verdict.scale, self.workspace.samples_by_id)

    def _candidates(self, model: str | None) -> list[Candidate]:
        suite = self.workspace.suite
        if model is not None and model not in suite.models:
            raise UserError(f"--model {model}: no model of {shown(suite.file)}.{nearest(model, suite.models)}")
        verdict = next((name for name, judge in suite.judged_by.items() if judge.key == self.judge.key), None)
        score = next((name for name, metric in suite.metrics.items() if isinstance(metric, Rouge)), None)
        found = []
        for key in [model] if model else suite.models:
            for sample in self.workspace.samples:
                given = self.workspace.recorded(suite.models[key], sample)
                if given.answered:
                    scores = given.scores
                    found.append(Candidate(sample, key, given.text, scores.get(verdict or ""), scores.get(score or "")))
        if not found:
            raise UserError(f"{shown(suite.file)}: no answer is recorded. Record them: pytest --record-missing")
        return found

    def _page(self, turn: Candidate, number: int, of: int) -> list[str]:
        width = min(MOST_WIDTH, shutil.get_terminal_size().columns)
        why = {DISAGREEMENT: "chosen: judge and ROUGE disagree", SECOND: "a second time"}.get(turn.use, "drawn at random")
        head = f"{number} of {of} · sample {visible(turn.sample.id)} · {why}"
        keys = "  ".join([*(f"[{key}] {VERDICTS.get(key, key)}" for key in self.verdicts), "[s] skip  [q] stop"])
        rule = "─" * width
        texts = [turn.sample.input.split("\n"), turn.answer.split("\n")]
        shown_texts = [[line for text in lines for line in wrapped(text, width)] for lines in texts]
        return ["", rule, head, rule, *shown_texts[0], "", f"{self.judge.key}?", "", *shown_texts[1], "", keys]

    def _write(self, turn: Candidate, value: bool | float) -> None:
        """Append a line, so that it is on disk before the next answer is shown."""
        line = label_line(turn, self.by, value)
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read() != b"\n":
                        file.write(b"\n")
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"{shown(self.file)} can't be written: {error.strerror or error}") from None

    def _end(self, second: bool, left: int) -> list[str]:
        lines = [f"{counted(left, 'answer')} left. Go on: evaltape label"] if left else []
        if not second:
            return lines
        pairs = second_pairs([label for label in self._labels() if label.by == self.by])
        if not pairs:
            return lines
        same = sum(first == again for _, first, again in pairs)
        found = kappa([(first, again) for _, first, again in pairs], [sample for sample, _, _ in pairs])
        value = "unknown: all labels are the same" if found is None else f"{found.mean:.2f}"
        return [*lines, f"You agree with yourself on {same} of {counted(len(pairs), 'answer')}; kappa {value}."]


def replay_workspaces(here: Path, suite: str | None) -> list[Workspace]:
    """Return the workspaces of a suite file, or of the suites that the configuration names. Raises `UserError`."""
    place = find_place(here)
    configured = tuple(file for pattern in place.patterns for file in sorted(place.root.glob(pattern)))
    files = (here / suite,) if suite else configured
    if not files:
        named = f"eval_suite of {shown(place.config)}" if place.config else "no configuration of pytest"
        raise UserError(f"{named} names no suite; name one: --suite FILE")
    folder = place.cassettes
    settings = Settings(suites=files, configured_suites=configured, root=place.root, cassettes=folder, default_cassettes=folder)
    return [Workspace(each, settings) for each in read_suites(files)]


def read_key() -> str:
    """Return a single key; `q` at the end of the input. Raises `KeyboardInterrupt` for Ctrl-C.

    Where the input is no terminal, it is the first letter of a line.
    """
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip()[:1] or "\n" if line else "q"
    try:
        import termios
        import tty
    except ImportError:  # Windows.
        key: str = importlib.import_module("msvcrt").getwch()
    else:
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
        try:
            tty.setcbreak(descriptor)
            key = sys.stdin.read(1)
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
    if key == "\x03":
        raise KeyboardInterrupt
    return "q" if key in ("", "\x04") else key
