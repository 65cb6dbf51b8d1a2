"""Looks through an API's jobs for those made of the same training file, base and settings.

A job is the same if the digest in its `metadata` is. Some APIs keep no metadata; there it is the same if its training file is:
the very file that was uploaded, or one of the name that says its content, with the same base and settings.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from evaltape.finetuning.jobs import PreparedJob
from evaltape.recorder.failures import CallFailed
from evaltape.recorder.jobs.api import JobApi
from evaltape.recorder.jobs.remote import RemoteJob


@dataclass(frozen=True)
class Found:
    """The same jobs, the oldest first, and why the listing couldn't be read to its end, if so."""

    jobs: tuple[RemoteJob, ...]
    unfinished: str | None = None

    def beside(self, known: Collection[str]) -> list[RemoteJob]:
        """Return the jobs that aren't among the known ones."""
        return [job for job in self.jobs if job.id not in known]


class Search:
    """Finds jobs at the API with the same training data, base and settings as a prepared job."""

    def __init__(self, prepared: PreparedJob, api: JobApi) -> None:
        self._prepared = prepared
        self._api = api
        self._names: dict[str, str | None] | None = None

    async def find(self, own_files: Collection[str] = ()) -> Found:
        """Look once. `own_files` are ids of the training file as it was uploaded for this job. Raises `CallFailed`."""
        jobs, unfinished = await self._filtered() or await self._all()
        same = [job for job in jobs if await self._is_same(job, own_files)]
        return Found(tuple(sorted(same, key=lambda job: job.age)), unfinished)

    async def _filtered(self) -> tuple[list[RemoteJob], str | None] | None:
        """Return the jobs with our digest; None if there is none, or the API knows no such filter."""
        try:
            jobs, listing = await self._api.jobs({"evaltape_digest": self._prepared.identity.digest})
        except CallFailed as failure:
            if failure.status in (400, 404, 405, 422, 501):  # The plain listing will say whether it is the filter's fault.
                return None
            raise
        return (jobs, listing.unfinished) if jobs else None

    async def _all(self) -> tuple[list[RemoteJob], str | None]:
        jobs, listing = await self._api.jobs()
        return jobs, listing.unfinished

    async def _is_same(self, job: RemoteJob, own_files: Collection[str]) -> bool:
        if job.digest is not None:
            return job.digest == self._prepared.identity.digest
        if job.training_file is None or not self._has_same_settings(job):
            return False
        return job.training_file in own_files or await self._name(job.training_file) == self._prepared.training.name

    def _has_same_settings(self, job: RemoteJob) -> bool:
        """Whether nothing that the job says of base, hyperparameters and seed differs from what would be ordered."""
        asked = self._prepared.job
        base = asked.base.served
        if re.fullmatch(re.escape(base) + r"(-[\d-]+)?", job.base) is None:  # An alias comes back as the dated name.
            return False
        if asked.seed is not None and job.seed not in (None, asked.seed):
            return False
        return all(_agree(value, job.hyperparameters.get(key)) for key, value in asked.hyperparameters.items())

    async def _name(self, file_id: str) -> str | None:
        if self._names is None:
            self._names = await self._listed_names()
        if file_id not in self._names:
            self._names[file_id] = await self._api.file_name(file_id)
        return self._names[file_id]

    async def _listed_names(self) -> dict[str, str | None]:
        try:
            return {key: str(file.get("filename")) for key, file in (await self._api.files()).items()}
        except CallFailed:  # Then each file is asked for.
            return {}


def _agree(asked: Any, stated: Any) -> bool:
    """Whether a stated hyperparameter may be what was asked for: `auto` is stated as the number it became."""
    if stated is None or "auto" in (asked, stated):
        return True
    try:
        return float(asked) == float(stated)
    except (TypeError, ValueError):
        return bool(asked == stated)


def preferred(jobs: Collection[RemoteJob]) -> RemoteJob | None:
    """Return the one of several same jobs that every session uses, or None if all have ended without a model.

    Of the latest retraining the oldest; where no metadata says which is a retraining, the newest that has succeeded, else the
    oldest.
    """
    usable = sorted((job for job in jobs if not job.has_ended), key=lambda job: job.age)
    latest = [job for job in usable if job.run == max(one.run for one in usable)]
    succeeded = [job for job in latest if job.has_succeeded and not job.run]
    return succeeded[-1] if succeeded else latest[0] if latest else None
