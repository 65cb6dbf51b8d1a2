"""Where recordings lie, and what is read from them: the predictions of a suite's models."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evaltape.errors import RecordingError
from evaltape.names import shown
from evaltape.recording import cassettes
from evaltape.samples.predictions_file import PredictionsFile, read_predictions
from evaltape.samples.sample import Sample
from evaltape.scoring.prediction import Prediction, read_completion
from evaltape.suite import prompt
from evaltape.suite.definition import Model, Suite

ENDPOINT = "/chat/completions"


@dataclass(frozen=True)
class Recordings:
    """The folder `<cassettes>/<suite>` of one suite.

    `served` gives the name a model is asked by, which for a tuned model its job knows; `how_to_record` the command that
    records a model's sample.
    """

    folder: Path
    suite: Suite
    served: Callable[[Model], str]
    how_to_record: Callable[[Model, Sample], str]
    _files: dict[Path, PredictionsFile] = field(default_factory=dict, init=False)

    def cassette(self, model: Model, sample: Sample, repeat: int = 1) -> Path:
        """The file of one recorded call; asked again for noise, `repeat` counts from 2."""
        name = sample.name if repeat == 1 else f"{sample.name}.repeat-{repeat}"
        return self.folder / model.key / f"{name}.yaml"

    def request(self, model: Model, sample: Sample) -> dict[str, Any]:
        """The JSON body a model is asked with. Raises `RecordingError` where its job has no tuned model."""
        return prompt.chat_request(self.served(model), model.prompt.render(sample), model.request)

    def prediction(self, model: Model, sample: Sample, repeat: int = 1) -> Prediction:
        """The recorded prediction, scored; a recording that can't be used is a failed prediction with the reason."""
        try:
            return self.valid_prediction(model, sample, repeat)
        except RecordingError as error:
            failure = f"{error}. Record it: {error.command or self.how_to_record(model, sample)}"
            return Prediction(model.key, sample.id, failure=failure)

    def valid_prediction(self, model: Model, sample: Sample, repeat: int = 1) -> Prediction:
        """As `prediction`, but raises `RecordingError` where there is no valid recording of exactly this call."""
        if model.predictions is not None:
            return self._from_file(model, model.predictions, sample)
        path = self.cassette(model, sample, repeat)
        body = cassettes.replay(path, ENDPOINT, self.request(model, sample))
        try:
            answer = read_completion(body)
        except ValueError as error:
            raise RecordingError(f"{shown(path)}: {error}") from None
        return Prediction(
            model=model.key,
            sample=sample.id,
            text=answer.text,
            failure=answer.failure,
            truncated=answer.truncated,
            served=answer.served,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
        )

    def read_files(self, samples: Iterable[Sample]) -> list[str]:
        """Read and check the predictions of models that are not called; return what a person should know of them."""
        samples, notes = list(samples), []
        for model in self.suite.models.values():
            if model.predictions is not None:
                file = self._files[model.predictions] = read_predictions(model.predictions)
                for sample in samples:
                    file.answer(sample)
                notes += file.notes(samples)
        return notes

    def _from_file(self, model: Model, path: Path, sample: Sample) -> Prediction:
        if path not in self._files:
            self._files[path] = read_predictions(path)
        text, failure = self._files[path].answer(sample)
        return Prediction(model.key, sample.id, text, failure)

    def orphans(self, samples: list[Sample], model: str = "*") -> list[Path]:
        """Cassettes of a model, or in the suite's whole folder, that belong to no model of it any more, or to no sample."""
        names = {*(sample.name for sample in samples), "job"}
        return [
            path
            for path in sorted(self.folder.glob(f"{model}/*.yaml"))
            if path.parent.name not in self.suite.models or names.isdisjoint((path.stem, path.stem.split(".repeat-")[0]))
        ]

    def repeats(self, model: Model) -> dict[str, list[int]]:
        """Which further answers of a model are recorded, by the name of their sample: 2 and up."""
        found: dict[str, list[int]] = {}
        for path in (self.folder / model.key).glob("*.repeat-*.yaml"):
            name, _, number = path.stem.rpartition(".repeat-")
            if number.isdecimal() and int(number) > 1:
                found.setdefault(name, []).append(int(number))
        return {name: sorted(numbers) for name, numbers in found.items()}
