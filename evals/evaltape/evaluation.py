"""An evaluation, as a process of a pytest session knows it: its suites, its findings, and the calls that have ended.

Each process that runs tests has its own: the controller, which gets the findings of all and starts the recorder, and
xdist's workers. The same `prediction` serves tests and gates, in recording and in replay.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from evaltape.errors import RecordingError, UserError
from evaltape.findings import Answered, Finding, Findings
from evaltape.finetuning.recorded_job import Job
from evaltape.metrics import rouge
from evaltape.metrics.metric import plain_name, score_answer
from evaltape.names import nearest
from evaltape.recorder.wire import CallKey, Outcomes, Selection, verdicts_key
from evaltape.samples.checks import check_ids
from evaltape.samples.sample import REMEDIES, Answer, Failure, Sample
from evaltape.scoring import bounds
from evaltape.scoring.bounds import Bound, Decision
from evaltape.scoring.paired_scores import AgainstScores, PairedScores
from evaltape.scoring.prediction import Prediction
from evaltape.scoring.scores import ModelScores
from evaltape.scoring.slices import SliceScores
from evaltape.settings import RECORD, Settings
from evaltape.suite.commands import Advice
from evaltape.suite.definition import Comparison, Judge, Model
from evaltape.suite.reader import read_suites
from evaltape.text import counted
from evaltape.workspace import Workspace

if TYPE_CHECKING:
    from evaltape.against.history import Histories
    from evaltape.against.other_side import OtherSide
    from evaltape.judging.exam import Examined
    from evaltape.mutation.model_mutants import ModelMutants
    from evaltape.mutation.study import Assertions

KEY_HELD = "Asking again ends the same: change the prompt, the data or the key"
"""What helps where an answer holds a key, and a recording may hold none."""


class Evaluation:
    """The state that the tests of a process share. It knows no suite until `open_suites` is called."""

    def __init__(self, settings: Settings, is_controller: bool) -> None:
        self.settings = settings
        self.is_controller = is_controller
        self.findings = Findings()
        self.outcomes = Outcomes()
        self.workspaces: dict[str, Workspace] = {}
        """The suites of the session, by name."""
        self.other_side: OtherSide | None = None
        """The other side that `--against` names, in the controller alone."""
        self.histories: Histories | None = None
        """The commits that `--history` reads, in the controller alone."""
        self._awaited: set[CallKey] | None = None if settings.records and not is_controller else set()

    def open_suites(self) -> None:
        """Read the suite files. Raises `UserError`."""
        suites = read_suites(self.settings.suites)
        self.workspaces = {suite.name: Workspace(suite, self.settings) for suite in suites}

    def check_samples(self) -> None:
        """Raise `UserError` if a suite's samples can't be read, or no test can be made of each of them."""
        for workspace in self.workspaces.values():
            workspace.notes  # noqa: B018  # Reading them checks references and files of predictions.
        if self.is_controller:
            check_ids([(workspace.suite, workspace.samples) for workspace in self.workspaces.values()])
            for exam in (exam for workspace in self.workspaces.values() for exam in workspace.exams.values()):
                exam.questions  # noqa: B018  # Making them checks operators and labels.

    def find_past(self) -> None:
        """Find the other side of `--against` and the repository of `--history`, before anything is run or paid.

        Raises `UserError` if it isn't there, or only a part of it.
        """
        settings = self.settings
        if settings.against is not None:
            from evaltape.against.other_side import OtherSide
            from evaltape.against.tree import find_tree

            self.other_side = OtherSide(find_tree(settings.against, settings.root))
        if settings.history is not None:
            from evaltape.against.history import Histories

            self.histories = Histories(settings.root, settings.history)

    def models(self) -> list[Model]:
        """Return the models under test of all suites, in the order of the files."""
        return [model for workspace in self.workspaces.values() for model in workspace.suite.models.values()]

    def expect(self, selection: Selection) -> None:
        """From now on wait for these calls and jobs before reading their recordings: they are being made."""
        calls = {(suite, model, sample) for suite, model, samples in selection for sample in samples}
        self._awaited = calls | {(suite, model, "") for suite, model, _ in selection}

    # ------------------------------------------------------------ what tests ask for

    def prediction(self, model: Model, sample: Sample) -> Prediction:
        """Return a model's prediction for a sample; if it is being recorded, once its call has ended.

        Raises `RecordingStopped` if the recording ended before.
        """
        key = (model.suite, model.key, sample.id)
        known = self.findings.predictions.get(key)
        if known is not None:
            return known
        workspace = self.workspaces[model.suite]
        is_asked = model.predictions is None or bool(workspace.judges)
        is_awaited = is_asked and (self._awaited is None or key in self._awaited)
        failure = self.outcomes.wait(key) if is_awaited else None
        if failure is None:
            prediction = self._with_errors(workspace.recorded(model, sample), workspace)
        else:
            prediction = Prediction(model, sample, Answer(failure=self._with_command(failure, model)))
        self.findings.add(prediction)
        return prediction

    def _with_errors(self, prediction: Prediction, workspace: Workspace) -> Prediction:
        """Return a prediction; its missing verdicts say why the judge's call failed in this session."""
        model, errors = prediction.model, {}
        for metric, judge in workspace.suite.judged_by.items() if prediction.unscored else ():
            failure = self.outcomes.failure_of((workspace.name, verdicts_key(model.key, judge.key), prediction.sample.id))
            if failure is not None and metric in prediction.unscored:
                missing = Advice(workspace.commands.record_missing(model.kind), 1)
                errors[metric] = f"the judge {judge.key} gave no verdict: {failure}. Not recorded. Record the rest: {missing}"
        return msgspec.structs.replace(prediction, unscored={**prediction.unscored, **errors}) if errors else prediction

    def _with_command(self, failure: Failure, model: Model) -> Failure:
        """Return why a call, or the job before it, failed in this session, with the command that helps."""
        if failure.command is not None:
            return failure
        if failure.kind == "holds a key":
            return msgspec.structs.replace(failure, reason=f"{failure.reason}. {KEY_HELD}")
        missing = self.workspaces[model.suite].to_record(model.kind)
        return msgspec.structs.replace(failure, command=missing.command, cost=missing.cost, remedy=REMEDIES["call"])

    def receive(self, finding: Finding, test_id: str, outcome: str) -> None:
        """Keep a test's findings; `outcome` is pytest's: passed, failed or skipped."""
        if outcome not in ("passed", "failed", "skipped"):
            return  # pytest-rerunfailures runs it again, and that counts.
        if isinstance(finding, Answered):
            suite, key, sample_id = finding.key
            workspace = self.workspaces[suite]
            model, sample = workspace.suite.models[key], workspace.samples_by_id[sample_id]
            self.findings.add(Prediction(model, sample, finding.answer, finding.scores, finding.unscored, finding.unread))
        self.findings.receive(finding, test_id, {"passed": True, "failed": False}.get(outcome))

    def lead(self, suite: str, sample: Sample) -> Mapping[str, float]:
        """Return the scores of the first lines of a sample's input: computed, not recorded."""
        known = self.findings.leads
        if (suite, sample.id) not in known:
            metrics = self.workspaces[suite].text_metrics
            known[suite, sample.id], _ = score_answer(metrics, sample, Answer(rouge.lead(sample.input)))
        return known[suite, sample.id]

    def job(self, key: str) -> Job:
        """Return a fine-tuning job; if it is being driven, once it has ended.

        Raises `RecordingStopped` if the recording ended before, `RecordingError` with the API's reason, and `UserError` for
        a key that no suite has.
        """
        tuned = [model for model in self.models() if model.job]
        model = next((model for model in tuned if model.key == key), None)
        if model is None:
            keys = [model.key for model in tuned]
            raise UserError(f"job({key!r}): no such fine-tuning job.{nearest(key, keys)} Jobs: {', '.join(keys) or 'none'}")
        call = (model.suite, model.key, "")
        failure = self.outcomes.wait(call) if self._awaited is None or call in self._awaited else None
        if failure is not None:
            raise RecordingError(str(failure))
        return self.workspaces[model.suite].jobs.job(key)

    def scores(self, model: Model) -> ModelScores:
        """Return the scores of a model on every sample of its suite."""
        workspace = self.workspaces[model.suite]
        return workspace.scores(model, [self.prediction(model, sample) for sample in workspace.samples])

    def examined(self, judge: Judge) -> "Examined":
        """Return how a judge did in its exam; if it is being recorded, once that has ended."""
        failure = self.outcomes.failure_of((judge.suite, judge.key, ""))
        found = self.workspaces[judge.suite].exams[judge.key].examined
        return msgspec.structs.replace(found, not_examined=f"{found.not_examined}: {failure}") if failure else found

    def judge_of(self, bound: Bound) -> Judge | None:
        """Return the judge of the metric that a bound is on; None for any other metric."""
        workspace = self.workspaces[bound.suite]
        return workspace.suite.judged_by.get(plain_name(bound.metric, workspace.metrics))

    def unfinished(self, model: Model) -> str | None:
        """Return why a model's fresh recording isn't whole: the calls still to come, or why its job failed; None if it is.

        Until it is finished, old and new answers lie side by side, and no gate may judge them together.
        """
        workspace = self.workspaces[model.suite]
        left = workspace.to_come(model)
        if left is None:
            return None
        job_failed = self.outcomes.failure_of((model.suite, model.key, "")) if model.job else None
        if job_failed is not None:  # Its samples can't come before another job is paid for, as the reason says.
            return f"{model.key}: {job_failed}"
        failures = [self.outcomes.failure_of((model.suite, model.key, sample.id)) for sample in workspace.samples]
        holding = sum(failure is not None and failure.kind == "holds a key" for failure in failures)
        advice = KEY_HELD if holding == left.to_come else f"Finish it: {workspace.to_record(model.kind)}"
        to_come = f"{left.to_come} of {counted(left.selected, 'sample')} still to come"
        return f"{model.key}: recording unfinished: {to_come}. {advice}"

    def recorded_in_part(self, model: Model) -> str | None:
        """Return why this session's recording can't be judged: it asks some samples anew and leaves the others as they were."""
        asked = {key for key in self._awaited or () if key[:2] == (model.suite, model.key) and key[2]}
        samples = self.workspaces[model.suite].samples
        if self.settings.mode != RECORD or not 0 < len(asked) < len(samples):
            return None
        return (
            f"this session asks {model.key} for {len(asked):,} of {counted(len(samples), 'sample')} anew, and a bound would "
            "judge new and old answers together. A replay then judges the recording; --record without -k asks for all"
        )

    def slices(self, model: Model) -> SliceScores:
        """Return the scores of a model by the values of the suite's slice columns."""
        return SliceScores(self.scores(model), self.workspaces[model.suite].suite.dataset.slice_min)

    def against(self, model: Model) -> AgainstScores:
        """Return a model on every sample of its suite beside its recording on the other side."""
        assert self.other_side is not None
        return self.other_side.compare(self.workspaces[model.suite], self.scores(model))

    def paired_scores(self, comparison: Comparison) -> PairedScores:
        """Return the scores of a comparison's two models on every sample of their suite."""
        workspace = self.workspaces[comparison.suite]
        keys = (comparison.baseline, comparison.candidate)
        baseline, candidate = (self.scores(workspace.suite.models[key]) for key in keys)
        return PairedScores(comparison=comparison, baseline=baseline, candidate=candidate)

    def decide(self, bound: Bound) -> Decision:
        """Decide a bound on every sample of its suite."""
        suite, subject = self.workspaces[bound.suite].suite, bound.subject
        match bound.kind:
            case bounds.GATE:
                return self.scores(suite.models[subject]).decide(bound)
            case bounds.SLICE_GATE:
                return self.slices(suite.models[subject]).decide(bound)
            case bounds.AGAINST:
                return self.against(suite.models[subject]).decide(bound)
            case bounds.MIN_NOTICED | bounds.MAX_ALARMS | bounds.MIN_KAPPA:
                return self.examined(suite.judges[subject]).decide(bound)
        return self.paired_scores(suite.comparisons[subject]).decide(bound)

    def mutants(self, model: Model) -> "ModelMutants":
        """Return how the gates of a model notice damage to its recorded answers; computed once.

        Raises `UserError` for an operator of the user's that can't be loaded, or that fails.
        """
        from evaltape.mutation.model_mutants import assertions_of

        known, key, suite = self.findings.mutants, (model.suite, model.key), self.workspaces[model.suite].suite
        if key not in known:
            slices = self.slices(model)
            pairs = [self.paired_scores(it) for it in suite.comparisons.values() if it.candidate == model.key]
            known[key] = self.mutated(slices.scores, assertions_of(slices, pairs, suite))
        return known[key]

    def mutated(self, scores: ModelScores, assertions: "Assertions") -> "ModelMutants":
        """Return how some assertions notice damage to a model's recorded answers. Raises as `mutants` does."""
        from evaltape.mutation.model_mutants import mutate_model
        from evaltape.mutation.study import NOTICED_AT

        model, workspace = scores.model, self.workspaces[scores.model.suite]
        names = {bound.metric for bound in assertions}
        for judge in workspace.judges if self.settings.records else ():
            self.outcomes.wait((workspace.name, verdicts_key(model.key, judge.key), ""))

        def scored(sample: Sample, text: str) -> Prediction:
            return workspace.scored(model, sample, Answer(text), is_mutant=True, names=names)

        asked = workspace.suite.mutants
        noticed_at = NOTICED_AT if asked is None or asked.noticed_at is None else asked.noticed_at
        return mutate_model(scores, assertions, workspace.operators, scored, noticed_at)
