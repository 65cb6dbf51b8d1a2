"""One suite of a session, as reports look at it."""

from collections.abc import Mapping
from functools import cached_property
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from evaltape.against.findings import ModelAgainst
from evaltape.recorder.process import RecorderProcess
from evaltape.samples.sample import Sample
from evaltape.scoring.scores import ModelScores
from evaltape.session import Session
from evaltape.suite.definition import Model
from evaltape.workspace import Workspace

if TYPE_CHECKING:
    from evaltape.mutation.model_mutants import ModelMutants


class SuiteRun:
    """A suite with what the session found out about it."""

    def __init__(self, session: Session, workspace: Workspace, recorder: RecorderProcess | None) -> None:
        self._session, self._workspace, self.recorder = session, workspace, recorder
        self.results: dict[str, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._workspace, name)

    @property
    def workspace(self) -> Workspace:
        """What is on disk for the suite."""
        return self._workspace

    @cached_property
    def evidence(self) -> Any:
        """What was found out about this suite alone."""
        findings = self._session.findings
        return SimpleNamespace(
            predictions=self._mine(findings.predictions),
            gates=self._mine(findings.gates),
            comparisons=self._mine(findings.comparisons),
            against=self._mine(findings.against),
        )

    def _mine(self, table: Mapping[Any, Any]) -> dict[Any, Any]:
        return {key[1:]: value for key, value in table.items() if key[0] == self._workspace.name}

    @property
    def mutants(self) -> "dict[str, ModelMutants]":
        """With `--mutate`, what each model's gates notice, by model."""
        return {key: found for (key,), found in self._mine(self._session.findings.mutants).items()}

    @property
    def snapshots(self) -> Any:
        """The accepted scores of the suite's models."""
        return (self.settings.snapshots or self.settings.root / "evals/__snapshots__") / self._workspace.name

    def lead(self, sample: Sample) -> Mapping[str, float]:
        """Return the scores of the first lines of a sample's input."""
        return self._session.lead(self._workspace.name, sample)

    @cached_property
    def against(self) -> dict[str, ModelAgainst]:
        """The models that were looked at beside the other side, by key; empty without `--against`."""
        return self._session.looked_at_against(self._workspace.name)

    def of_model(self, model: Model) -> ModelScores:
        """Return the scores of a model on the samples that the session has looked at."""
        known = self.evidence.predictions
        found = (known.get((model.key, sample.id)) for sample in self.samples)
        return ModelScores(model, self._workspace.metrics, [one for one in found if one is not None], self._workspace.clusters)
