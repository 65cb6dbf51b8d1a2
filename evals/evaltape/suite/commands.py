"""The commands that messages tell people to type next."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from evaltape.names import shown
from evaltape.samples.sample import Sample
from evaltape.suite.definition import Model


class Commands:
    """Writes commands for one session: with its suite and cassettes, where they are not the default ones."""

    def __init__(self, suite: Path, default_suite: Path, cassettes: Path, default_cassettes: Path) -> None:
        self._rest = "" if suite == default_suite else f" --suite {shown(suite)}"
        self._rest += "" if cassettes == default_cassettes else f" --cassettes {shown(cassettes)}"

    def record_all(self, kind: str = "baseline", missing: bool = False) -> str:
        """Record every model of a kind, or only what is missing."""
        return f"pytest evals -m {kind} {'--record-missing' if missing else '--record'}{self._rest}"

    def record_missing(self) -> str:
        """Record whatever has no valid recording, of every kind of model."""
        return f"pytest evals --record-missing{self._rest}"

    def retrain(self) -> str:
        """Pay for new fine-tuning jobs although there are some."""
        return f"pytest evals -m finetuned --record --retrain{self._rest}"

    def record_sample(self, model: Model, sample: Sample) -> str:
        """Record one sample of one model."""
        name = f"{model.suite}-{model.key}-{sample.name}"
        if "%" in name:
            return f"pytest 'evals/test_{model.kind}.py::test_sample[{name}]' --record{self._rest}"
        return f"pytest evals -m {model.kind} -k {name} --record{self._rest}"

    def replay(self, test_ids: Iterable[str]) -> str:
        """Return what runs these tests again, from their recordings."""
        return f"{shlex.join(['pytest', *test_ids])}{self._rest}"

    def accept(self, test_ids: Iterable[str]) -> str:
        """Return what accepts the scores that these tests compare."""
        return f"{self.replay(test_ids)} --snapshot-update"
