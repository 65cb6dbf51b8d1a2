"""Searches a host's jobs for the same training file, base and settings.

A job is the same if the digest in its `metadata` is. Where metadata isn't kept, a job on our training file is the same if
nothing that the host states of base and settings differs; if something does, it is unclear whether it is ours. A file is
ours if we uploaded it, if its name says its content, or, where names aren't kept, if its content is the same.
"""

import hashlib
from collections.abc import Collection

import msgspec

from evaltape.finetuning.host import FileState, Host, RemoteJob
from evaltape.finetuning.intent import UnreadableIntent
from evaltape.finetuning.jobs import PreparedJob
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.tuning.told import is_same_model, is_told_alike, settings_differences

Doubtful = tuple[RemoteJob, tuple[str, ...]]
"""A job on our training file, and how it is stated otherwise than it would be ordered."""


class Found(msgspec.Struct, frozen=True):
    """The result of a look at a host's jobs."""

    jobs: tuple[RemoteJob, ...] = ()
    """The same jobs, the oldest first."""
    perhaps: tuple[Doubtful, ...] = ()
    """Jobs that may be ours, the oldest first."""
    unfinished: str | None = None
    """Why the listing couldn't be read to its end."""

    def beside(self, known: Collection[str]) -> list[RemoteJob]:
        """Return the same jobs that aren't among the known ones."""
        return [job for job in self.jobs if job.id not in known]

    def on_files_beside(self, files: Collection[str], known: Collection[str]) -> list[RemoteJob]:
        """Return the unknown jobs that are the same or train on one of these files, the oldest first."""
        jobs = [*self.jobs, *(job for job, _ in self.perhaps if job.training_file in files)]
        return sorted((job for job in jobs if job.id not in known), key=lambda job: job.age)

    @property
    def ids(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(job.id for job in [*self.jobs, *(job for job, _ in self.perhaps)])


class Search:
    """Finds jobs at a host with the same training data, base and settings as a prepared job."""

    def __init__(self, prepared: PreparedJob, host: Host, stale: bool = False) -> None:
        self._prepared = prepared
        self._host = host
        self._is_stale = stale
        self._files: dict[str, FileState] | None = None
        self._contents: dict[str, str | None] = {}

    async def find(self, own_files: Collection[str] = (), ours: RemoteJob | None = None) -> Found:
        """Look once. `own_files` are ids of the training file as it was uploaded for this job. Raises `CallFailed`.

        A job that is stated like `ours` is the same, though both be stated otherwise than they were ordered.
        """
        listing = await self._host.find(self._prepared.identity.digest)
        same, perhaps = list[RemoteJob](), list[Doubtful]()
        others = self._of_others()
        for job in listing.jobs:
            if job.digest is not None:
                if job.digest == self._prepared.identity.digest:
                    same.append(job)
            elif job.id not in others:
                is_ours, differs = await self._is_on_our_file(job, own_files), settings_differences(self._prepared.job, job)
                told_alike = ours is not None and is_told_alike(ours, job)
                if is_ours and (not differs or told_alike):
                    same.append(job)
                elif is_ours and not job.phase.has_ended:
                    perhaps.append((job, tuple(map(str, differs))))
                elif is_ours is None and not differs and not job.phase.has_ended:
                    perhaps.append((job, (f"{job.training_file}, a file of a name and content that the API doesn't tell",)))
        if self._is_stale:
            same = [await self._host.look(job.id) for job in same]
        by_age = sorted(same, key=lambda job: job.age)
        return Found(tuple(by_age), tuple(sorted(perhaps, key=lambda each: each[0].age)), listing.unfinished)

    def _of_others(self) -> set[str]:
        try:
            return self._prepared.of_others()
        except UnreadableIntent:  # Then nothing is known to be another's.
            return set()

    async def _is_on_our_file(self, job: RemoteJob, own_files: Collection[str]) -> bool | None:
        """Whether a job trains on our file; None if the host doesn't tell."""
        training = self._prepared.training
        if job.training_file is None:
            return False
        if job.training_file in own_files or job.training_file.endswith(training.name):
            return True
        file = await self._file(job.training_file)
        if file is None:
            return False
        if file.name is not None:
            return file.name.endswith(training.name)
        if file.size not in (None, *training.sizes) or (
            job.base and not is_same_model(self._prepared.job.base.served, job.base)
        ):
            return False
        content = await self._content(file.id)
        return None if content is None else content in training.digests

    async def _file(self, file_id: str) -> FileState | None:
        """Return a file; None if it is gone."""
        if self._files is None:
            self._files = {file.id: file for file in await self._listed_files()}
        if file_id not in self._files:
            try:
                self._files[file_id] = await self._host.file(file_id)
            except CallFailed as failure:
                if failure.status not in (400, 403, 404, 410):
                    raise
                return None
        return self._files[file_id]

    async def _listed_files(self) -> list[FileState]:
        try:
            return await self._host.files()
        except CallFailed:  # Then each file is asked for.
            return []

    async def _content(self, file_id: str) -> str | None:
        """Return the SHA-256 of a file's content; None if the host doesn't give it."""
        if file_id not in self._contents:
            text = await self._host.file_content(file_id)
            self._contents[file_id] = None if text is None else hashlib.sha256(text.encode()).hexdigest()
        return self._contents[file_id]


def preferred(jobs: Collection[RemoteJob]) -> RemoteJob | None:
    """Return the job that every session uses of several same ones; None if all have ended without a model.

    Of the latest retraining the oldest; where no metadata says which is a retraining, the newest that has succeeded, else the
    oldest.
    """
    usable = sorted((job for job in jobs if not job.phase.has_ended), key=lambda job: job.age)
    latest = [job for job in usable if job.run == max(one.run for one in usable)]
    succeeded = [job for job in latest if job.phase.value == "succeeded" and not job.run]
    return succeeded[-1] if succeeded else latest[0] if latest else None
