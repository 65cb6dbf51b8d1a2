"""A suite on disk: the suite itself, its samples, its recordings and its fine-tuning jobs.

Everything is loaded on first use. A workspace knows nothing of the run that looks at it: every process of a session has
workspaces of its own, and reads the same from them.
"""

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from evaltape.errors import NotFetched, RecordingError, UserError
from evaltape.files import FETCH
from evaltape.finetuning.jobs import Jobs
from evaltape.metrics.extraction import Step, load_steps
from evaltape.metrics.metric import Metric, Metrics, build_metrics, check_bound, plain_name, score_answer
from evaltape.metrics.reference_check import check_references
from evaltape.names import shown
from evaltape.recording.folder import Recordings, free_way, locked, unwritable
from evaltape.recording.model_calls import call_of
from evaltape.recording.unfinished import Submissions, ToCome, read_unfinished
from evaltape.samples.dataset import Loaded, refuse_links, split_file
from evaltape.samples.frozen import discard, is_staged
from evaltape.samples.sample import Answer, Sample
from evaltape.samples.suite_samples import preview_samples, replay_samples, stage_samples
from evaltape.scoring.bounds import AGAINST, bounds_of
from evaltape.scoring.ground import Ground
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.settings import RECORD, RECORD_MISSING, Settings
from evaltape.suite.commands import Advice, Commands, advise, called_models
from evaltape.suite.cost import batch_price
from evaltape.suite.definition import Judge, Model, Suite
from evaltape.suite.metric_tables import OwnMetric

if TYPE_CHECKING:
    from evaltape.mutation.operators import Operator
    from evaltape.recording.verdicts import Asked, JudgeExam, RecordedVerdict, Verdicts
    from evaltape.scoring.noise import Noise


class Workspace:
    """A suite with all that lies on disk for it."""

    def __init__(self, suite: Suite, settings: Settings) -> None:
        self.suite = suite
        self.settings = settings
        self._steps: dict[str, tuple[Step, ...]] = {}
        self._advice: dict[str | None, Advice] = {}

    def __repr__(self) -> str:
        return f"<workspace of {self.suite.name}>"

    @property
    def name(self) -> str:
        """The suite's name."""
        return self.suite.name

    @property
    def folder(self) -> Path:
        """The suite's recordings."""
        return self.settings.cassettes / self.suite.name

    @cached_property
    def commands(self) -> Commands:
        """Writes the commands that messages end with."""
        asked = self.settings
        suite = None if self.suite.file in asked.configured_suites else self.suite.file
        cassettes = None if asked.cassettes == asked.default_cassettes else asked.cassettes
        return Commands(asked.args, suite, cassettes, asked.budget_usd, asked.batch or self.submissions.path.exists())

    @cached_property
    def submissions(self) -> Submissions:
        """The suite's batches that are submitted and not yet collected."""
        return Submissions(self.folder)

    def priced(self, model: Model) -> Model:
        """Return a model with the price at which this session asks it."""
        return msgspec.structs.replace(model, price=batch_price(model.price)) if self.settings.batch else model

    # ------------------------------------------------------------ samples

    @property
    def samples(self) -> list[Sample]:
        """The suite's samples, in their order. Raises `UserError` if they can't be read."""
        return self._loaded[0]

    @cached_property
    def notes(self) -> list[str]:
        """Notes for the user of the data. Raises `UserError` for references or files of predictions that are wrong."""
        samples, notes = self._loaded
        return [*notes, *check_references(self.metrics, samples), *self.recordings.read_files(samples)]

    def freeze_samples(self) -> None:
        """Stage the samples of a recording, for this process and all others of the session. Raises `UserError`."""
        refuse_links(self.suite, self.settings.root)
        try:
            self._loaded = stage_samples(self.suite, self.folder, fresh=self.settings.mode == RECORD)
        except OSError as error:
            raise unwritable(self.folder, error) from None

    def discard_samples(self) -> None:
        """Remove staged samples that no answer was recorded to, unless another session is recording by now.

        For the end of the session: until then a worker that is started late reads them, also after the recording's end.
        """
        if is_staged(self.folder):
            lock = locked(self.folder, self.settings.cassettes, self.suite.models, self.suite.file)
            with contextlib.suppress(UserError, OSError), lock:
                discard(self.folder)

    @cached_property
    def _loaded(self) -> Loaded:
        refuse_links(self.suite, self.settings.root)
        if self.settings.previews:
            return preview_samples(self.suite, self.folder)
        return replay_samples(self.suite, self.folder, self.commands.record_missing(), staged=self.settings.records)

    @property
    def selected_samples(self) -> list[Sample]:
        """The samples that this session runs tests on: all, or the first of them with `--samples`."""
        return self.samples[: self.settings.samples]

    @cached_property
    def samples_by_id(self) -> dict[str, Sample]:
        """The suite's samples by id."""
        return {sample.id: sample for sample in self.samples}

    @cached_property
    def clusters(self) -> dict[str, str] | None:
        """By sample the value of the suite's cluster column; None without such a column."""
        column = self.suite.dataset.cluster
        return None if column is None else {sample.id: str(sample.columns.get(column)) for sample in self.samples}

    @cached_property
    def slice_values(self) -> dict[str, dict[str, str]]:
        """By slice column the value of each sample that has a value."""
        return {
            column: {it.id: value for it in self.samples if (value := it.slice_of(column)) is not None}
            for column in self.suite.dataset.slices
        }

    # ------------------------------------------------------------ metrics

    @cached_property
    def metrics(self) -> Metrics:
        """The suite's metrics by name. Raises `UserError` for a metric that can't be computed, or a bound out of its range."""
        suite, file = self.suite, shown(self.suite.file)
        metrics = build_metrics(suite.metrics, f"{file}: [metrics]", self.settings.root)
        for bound in bounds_of(suite):
            problem = check_bound(metrics[plain_name(bound.metric, metrics)], bound.limit, difference=bound.is_paired)
            if problem:
                table = f"compare.{bound.subject}" if bound.is_paired else suite.models[bound.subject].place
                table = "against" if bound.kind == AGAINST else table
                raise UserError(f"{file}: [{table}] {bound.suite_key}.{bound.metric} {problem}")
        return metrics

    @cached_property
    def text_metrics(self) -> dict[str, Metric]:
        """The metrics that need nothing but a text, and cost nothing."""
        return {name: it for name, it in self.metrics.items() if not (it.is_of_call or isinstance(it.table, OwnMetric))}

    @property
    def judges(self) -> list[Judge]:
        """The judges that score a metric, each once."""
        return list({judge.key: judge for judge in self.suite.judged_by.values()}.values())

    @cached_property
    def operators(self) -> "list[Operator]":
        """The operators that damage recorded answers. Raises `UserError` for an operator that can't be loaded."""
        from evaltape.mutation.operators import load_operators

        asked, place = self.suite.mutants, f"{shown(self.suite.file)}: [mutants] operators"
        return load_operators(asked.operators or None if asked else None, place, self.settings.root)

    def scored(
        self,
        model: Model,
        sample: Sample,
        answer: Answer,
        repeat: int = 1,
        *,
        is_mutant: bool = False,
        names: Collection[str] | None = None,
        verdicts: "Mapping[tuple[str, str], RecordedVerdict] | None" = None,
    ) -> Prediction:
        """Return a model's answer, or a mutant of it, with its scores by all metrics or some, and the reasons of the others.

        `verdicts` has the verdicts on it by judge and sample; by default they are the recorded ones.
        """
        if answer.failure is not None:
            return Prediction(model, sample, answer)
        asked = {name: metric for name, metric in self.metrics.items() if names is None or name in names}
        computed = {name: metric for name, metric in asked.items() if not metric.is_judged}
        scores, unscored = score_answer(computed, sample, answer)
        faults = {name: reason for name, reason in unscored.items() if not self.metrics[name].is_of_call}
        unread: list[str] = []
        for name, judge in ((name, judge) for name, judge in self.suite.judged_by.items() if name in asked):
            of = (model, judge, sample, answer.text, repeat, is_mutant)
            found = self._verdict(*of) if verdicts is None else verdicts[judge.key, sample.id]
            if isinstance(found, str):
                faults[name] = found
            elif found.score is None:
                faults[name] = found.unscored
                unread.append(name)
            else:
                scores[name] = found.score
        return Prediction(model, sample, answer, scores, faults, tuple(unread))

    def _verdict(
        self, model: Model, judge: Judge, sample: Sample, text: str, repeat: int, is_mutant: bool
    ) -> "RecordedVerdict | str":
        """Return a recorded verdict, or why it is missing."""
        from evaltape.recording.verdicts import Asked

        try:
            return self.verdicts.read(Asked(judge, sample, text, model.key, repeat, is_mutant=is_mutant))
        except NotFetched as error:
            return f"{error}. Fetch it: {FETCH}"
        except RecordingError as error:
            return f"{error}. Record it: {Advice(self.commands.record_missing(model.kind))}"

    def scores(self, model: Model, predictions: Sequence[Prediction]) -> ModelScores:
        """Return the scores of some predictions of a model."""
        return ModelScores(model, self.metrics, predictions, self.clusters, self.slice_values, self.grounds)

    def recorded(self, model: Model, sample: Sample, repeat: int = 1) -> Prediction:
        """Return the recorded answer, scored; if there is no valid recording, a failed prediction with the reason."""
        return self.scored(model, sample, self.recordings.answer(model, sample, repeat), repeat=repeat)

    def noise(self, scores: ModelScores) -> "dict[str, Noise]":
        """Return the noise of each metric's mean, from the repeats that are recorded of a model; empty without repeats."""
        from evaltape.scoring.noise import noise_of

        repeats, found, answers = self.recordings.repeats(scores.model), {}, []
        for first in scores.answered if repeats else ():
            numbers = repeats.get(first.sample.name, ())
            further = (self.recorded(scores.model, first.sample, repeat) for repeat in numbers)
            answers.append([first, *(one for one in further if one.answered)])
        for name, metric in self.metrics.items():
            columns = [[one.scores[name] for one in again if name in one.scores] for again in answers]
            noise = noise_of([column for column in columns if column], metric.higher_is_better, metric.bounds)
            if noise is not None:
                found[name] = noise
        return found

    # ------------------------------------------------------------ recordings

    @cached_property
    def jobs(self) -> Jobs:
        """The suite's fine-tuning jobs and their tuned models."""
        return Jobs(self.suite, self.folder, lambda: self.samples, self.commands)

    @cached_property
    def recordings(self) -> Recordings:
        """The suite's recorded answers."""
        return Recordings(self.folder, self.suite, self.jobs.served, lambda model: self.to_record(model.kind), self.steps)

    def to_record(self, kind: str | None = None) -> Advice:
        """Return how to record the missing calls of the models of a kind, or of all: command, cost, and the free way."""
        if kind not in self._advice:
            self._advice[kind] = self._to_record(kind)
        return self._advice[kind]

    def _to_record(self, kind: str | None) -> Advice:
        missing, jobs, free = [], 0, None
        for model in called_models(self.suite, kind):
            if model.job is not None and not self.jobs.is_recorded(model.job.key):
                jobs += 1
                missing += [(model, sample) for sample in self.samples]
                continue
            with contextlib.suppress(RecordingError):  # Not fetched, say: a recording is refused.
                calls = self.recordings.calls(model, self.samples, 1, fresh=False)
                if self.submissions.calls(model.key) < len(calls):  # Submitted calls are collected, not made again.
                    asked = self.priced(model)
                    missing += [(asked, sample) for sample, _ in calls]
        if missing and missing[0][0].job is None:
            model, data = missing[0][0], split_file(self.suite)
            some = [sample for it, sample in missing if it is model][:3]
            requests = [(sample.name, self.recordings.request(model, sample)) for sample in some]
            sources = [self.suite.file, *([data] if data is not None else [])]
            free = free_way(self.folder, model.key, self.suite.models, requests, sources)
        advice = advise(self.commands.record_missing(kind), missing, free)
        return msgspec.structs.replace(advice, jobs=jobs, most_usd=None if jobs else advice.most_usd)

    def steps(self, model: Model) -> tuple[Step, ...]:
        """Return the steps from a model's recorded text to the text that is scored. Raises `UserError`."""
        if model.key not in self._steps:
            place = f"{shown(self.suite.file)}: [{model.place}] answer"
            self._steps[model.key] = load_steps(model.answer, place, self.settings.root)
        return self._steps[model.key]

    @cached_property
    def verdicts(self) -> "Verdicts":
        """The recorded verdicts of the suite's judges."""
        from evaltape.recording.verdicts import Verdicts

        return Verdicts(self.folder)

    @cached_property
    def exams(self) -> "dict[str, JudgeExam]":
        """The exams of the suite's judges, by the judge's key."""
        if not self.suite.judges:
            return {}
        from evaltape.recording.verdicts import JudgeExam

        root, command = self.settings.root, str(Advice(self.commands.record_missing()))
        return {
            key: JudgeExam(judge, self.suite.file, root, self.samples_by_id, self.verdicts, command)
            for key, judge in self.suite.judges.items()
        }

    @cached_property
    def grounds(self) -> dict[str, Ground]:
        """The ground of bounds, by judge's metric."""
        return {metric: self.exams[judge.key].ground for metric, judge in self.suite.judged_by.items()}

    def arrange(self, key: str) -> None:
        """Put the recorded calls of a model into a pack, or out of it, by the number of the suite's samples.

        A recording that isn't whole stays, and so does a recording in a folder that can't be written.
        """
        calls = self.recordings.of(key)
        with contextlib.suppress(OSError, RecordingError):
            if read_unfinished(self.folder, key) is None:
                calls.arrange([sample.name for sample in self.samples], self.settings.pack)

    def is_recorded(self, model: Model, sample: Sample, repeat: int = 1) -> bool:
        """Return whether there is a valid recording of a model's answer."""
        try:
            self.recordings.valid_answer(model, sample, repeat)
        except RecordingError:
            return False
        return True

    def to_come(self, model: Model) -> ToCome | None:
        """Return how many samples an interrupted fresh recording of a model has still to ask for; None for a whole one."""
        begun = [read_unfinished(self.folder, key) for key in (model.key, *(f"{model.key}/{it.key}" for it in self.judges))]
        left = {call_of(name)[0] for unfinished in begun if unfinished for name in unfinished.still_to_come()}
        return ToCome(len(left), len(self.samples)) if left else None

    def unjudged_mutants(self, judge: Judge, model: Model) -> "list[Asked]":
        """Return the mutants of a model's recorded answers without a judge's recorded verdict, each text once.

        Raises `RecordingError` if nobody can know whether there is a verdict.
        """
        from evaltape.recording.verdicts import Asked

        answers = [(sample, self.recordings.answer(model, sample)) for sample in self.samples]
        answered = [(sample, answer.text) for sample, answer in answers if answer.failure is None]
        mutants: dict[tuple[str, str], Asked] = {}
        for operator in self.operators:
            for (sample, _), text in zip(answered, operator.texts(answered), strict=True):
                if text is not None:
                    mutants[sample.id, text] = Asked(judge, sample, text, model.key, is_mutant=True)
        return [asked for asked in mutants.values() if not self.verdicts.is_recorded(asked)]

    def calls_of(self, model: Model, samples: Iterable[Sample]) -> list[tuple[Sample, int]]:
        """Return the calls of a recording, as (sample, repeat): all of them, or all without a valid recording."""
        fresh = self.settings.mode != RECORD_MISSING
        return self.recordings.calls(model, list(samples), self.settings.repeat, fresh=fresh)
