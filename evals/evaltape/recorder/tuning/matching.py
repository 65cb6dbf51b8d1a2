"""Which of a host's jobs is the same as ours: training file, base and settings.

A job is the same if the digest in its `metadata` is. Where metadata isn't kept, a job on our training file is the same if
nothing that the host states of base and settings differs; if something does, it is unclear whether it is ours. A file is
ours if we uploaded it, if its name says its content, or, where names aren't kept, if its content is the same.

Sessions on two machines can both find no job and both order a job. Each looks again afterwards. The oldest job wins in every
session; a session cancels its own younger job while its training hasn't begun, and never a job that isn't surely its own.
"""

import codecs
import contextlib
import re
import time
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from evaltape.finetuning.host import FileState, Host, RemoteJob
from evaltape.finetuning.intent import Intent, UnreadableIntent
from evaltape.finetuning.jobs import PreparedJob, epochs_of
from evaltape.finetuning.services import Phase, service_of
from evaltape.recorder.api.asking import Patience
from evaltape.recorder.api.failures import CallFailed
from evaltape.suite.definition import Finetune


class Difference(msgspec.Struct, frozen=True):
    """A value that a host states otherwise than it was asked for."""

    key: str
    asked: Any
    told: Any
    may_cost_more: bool = False

    def __str__(self) -> str:
        return f"{self.key} {self.told!r}, asked for {self.asked!r}"


def differences(job: Finetune, told: RemoteJob) -> tuple[Difference, ...]:
    """Return how a host's description differs from the order. A key that isn't stated is no difference."""
    found = settings_differences(job, told)
    suffix = job.suffix if service_of(job.service).takes_suffix else None
    if suffix and told.suffix and suffix.casefold() != told.suffix.casefold():
        found.append(Difference("suffix", suffix, told.suffix))
    if told.method not in (None, "supervised"):
        found.append(Difference("method", "supervised", told.method, may_cost_more=True))
    return tuple(found)


def settings_differences(job: Finetune, told: RemoteJob) -> list[Difference]:
    """Return the differences in base, hyperparameters and seed: two jobs are the same if these and the training file are."""
    found = list[Difference]()
    if told.base and not is_same_model(job.base.served, told.base):
        found.append(Difference("base", job.base.served, told.base, may_cost_more=True))
    epochs, told_epochs = epochs_of(job.hyperparameters), epochs_of(told.hyperparameters)
    may_be_more = told_epochs is None or epochs is None or told_epochs > epochs
    for key, asked in job.hyperparameters.items():
        stated = told.hyperparameters.get(key)
        if not _agree(asked, stated):
            found.append(Difference(key, asked, stated, may_cost_more=key == "n_epochs" and may_be_more))
    seed = job.seed if service_of(job.service).takes_seed else None
    if seed is not None and told.seed not in (None, seed):
        found.append(Difference("seed", seed, told.seed))
    return found


def told_settings(told: RemoteJob) -> dict[str, Any]:
    """Return the settings that a host says it trains by, for the recording."""
    stated = {**told.hyperparameters, "seed": told.seed, "method": told.method}
    return {key: value for key, value in stated.items() if value is not None}


def is_same_model(asked: str, told: str) -> bool:
    """Return whether two names may be of one model.

    Case and punctuation may differ, and a name may stand under a path (`accounts/acme/models/`), with a version (`@001`) or a
    date behind it, or without the date that was asked for.
    """
    (one, one_undated), (other, other_undated) = _letters(asked), _letters(told)
    return one in (other, other_undated) or one_undated == other


def _letters(name: str) -> tuple[str, str]:
    """Return a model's name in letters and digits alone, and the same without the date behind it."""
    last = name.rstrip("/").rpartition("/")[2].lower().partition("@")[0]
    undated = re.sub(r"(?<=.)[-_.](?:20\d\d[-_.]?\d\d[-_.]?\d\d|\d{4})$", "", last)
    return re.sub(r"[^a-z0-9]", "", last), re.sub(r"[^a-z0-9]", "", undated)


def _agree(asked: Any, stated: Any) -> bool:
    """Whether a stated hyperparameter may be the value that was asked for: `auto`, or -1, is stated as the number it became."""
    if stated is None or "auto" in (asked, stated) or stated == -1:
        return True
    try:
        return float(asked) == float(stated)
    except (TypeError, ValueError):
        return bool(asked == stated)


def _stated(job: RemoteJob) -> tuple[dict[str, Any], int | None]:
    return dict(job.hyperparameters), job.seed


Doubtful = tuple[RemoteJob, tuple[str, ...]]
"""A job on our training file, and how the host's statement of it differs from our order."""


class Found(msgspec.Struct, frozen=True):
    """The result of a look at a host's jobs."""

    jobs: tuple[RemoteJob, ...] = ()
    """The same jobs, the oldest first."""
    perhaps: tuple[Doubtful, ...] = ()
    """Jobs that may be ours, the oldest first."""
    unfinished: str | None = None
    """Why the listing couldn't be read to its end."""

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
        self._are_ours: dict[str, bool | None] = {}

    async def find(self, own_files: Collection[str] = (), ours: RemoteJob | None = None) -> Found:
        """Look once. `own_files` are ids of the training file as it was uploaded for this job. Raises `CallFailed`.

        A job that the host states like `ours` is the same, even if both statements differ from the order.
        """
        listing = await self._host.find(self._prepared.identity.digest)
        same, perhaps, others = list[RemoteJob](), list[Doubtful](), set[str]()
        with contextlib.suppress(UnreadableIntent):  # Nothing is then known to belong to others.
            others = self._prepared.of_others()
        for job in listing.jobs:
            doubts = None if job.id in others and job.digest is None else await self._doubts(job, own_files, ours)
            if doubts:
                perhaps.append((job, doubts))
            elif doubts is not None:
                same.append(job)
        if self._is_stale:
            same = [await self._host.look(job.id) for job in same]
        by_age = sorted(same, key=lambda job: job.age)
        return Found(tuple(by_age), tuple(sorted(perhaps, key=lambda each: each[0].age)), listing.unfinished)

    async def _doubts(self, job: RemoteJob, own_files: Collection[str], ours: RemoteJob | None) -> tuple[str, ...] | None:
        """Return how a job differs from the order as far as can be known; empty for the same job, None for another job."""
        if job.digest is not None:
            return () if job.digest == self._prepared.identity.digest else None
        is_ours, differs = await self._is_on_our_file(job, own_files), settings_differences(self._prepared.job, job)
        is_like_ours = ours is not None and is_same_model(ours.base, job.base) and _stated(ours) == _stated(job)
        if is_ours and (is_like_ours or not differs):
            return ()
        if is_ours is False or job.phase.has_ended:
            return None
        if is_ours:
            return tuple(map(str, differs))
        return None if differs else (f"{job.training_file}, a file of a name and content that the API doesn't tell",)

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
        size = len(training.content)
        if file.size not in (None, size, size + len(codecs.BOM_UTF8)) or (
            job.base and not is_same_model(self._prepared.job.base.served, job.base)
        ):
            return False
        return await self._has_our_content(file.id)

    async def _file(self, file_id: str) -> FileState | None:
        if self._files is None:
            listed = list[FileState]()
            with contextlib.suppress(CallFailed):  # Each file is then asked for by itself.
                listed = await self._host.files()
            self._files = {file.id: file for file in listed}
        if file_id not in self._files:
            try:
                self._files[file_id] = await self._host.file(file_id)
            except CallFailed as failure:
                if failure.status not in (400, 403, 404, 410):
                    raise
                return None
        return self._files[file_id]

    async def _has_our_content(self, file_id: str) -> bool | None:
        """Whether a file is our training file, with a byte order mark or without; None if the host doesn't tell."""
        if file_id not in self._are_ours:
            text = await self._host.file_content(file_id)
            self._are_ours[file_id] = None if text is None else text.removeprefix("\ufeff") == self._prepared.training.text
        return self._are_ours[file_id]


def preferred(jobs: Collection[RemoteJob]) -> RemoteJob | None:
    """Return the job that every session uses of several same ones; None if all have ended without a model.

    Of the latest retraining the oldest; where no metadata says which is a retraining, the newest that has succeeded, else the
    oldest.
    """
    usable = sorted((job for job in jobs if not job.phase.has_ended), key=lambda job: job.age)
    latest = [job for job in usable if job.run == max(one.run for one in usable)]
    succeeded = [job for job in latest if job.phase is Phase.SUCCEEDED and not job.run]
    return succeeded[-1] if succeeded else latest[0] if latest else None


class Rivals:
    """Watches for jobs of other sessions while a job that this folder ordered isn't training yet."""

    def __init__(self, intent: Intent, search: Search, host: Host, patience: Patience, note: Callable[[str], None]) -> None:
        self._intent, self._search, self._host = intent, search, host
        self._patience, self._note = patience, note
        self._started = time.monotonic()
        self._shown_at: float | None = None
        self._looked_at: float | None = None
        self._dealt_with: set[str] = set()
        self.may_cost = False
        """Whether a job of ours that isn't used goes on all the same."""

    def is_look_due(self, job: RemoteJob) -> bool:
        """Return whether a look at other sessions' jobs is due. The first is always: a job of ours may have to be cancelled.

        After a look that comes a while after the listing showed ours, no older job can show up any more.
        """
        if self._looked_at is None:
            return True
        settled = self._shown_at is not None and self._looked_at - self._shown_at > self._patience.settle_s
        is_late = settled or self._looked_at - self._started > self._patience.rivals_s
        return job.phase.is_under_way and (job.is_untrained or job.phase is not Phase.TRAINING) and not is_late

    async def winner(self, job: RemoteJob) -> RemoteJob:
        """Look once; return the job to use, `job` itself or an older job, after cancelling ours if it lost.

        A failure to look is not an error: the next poll looks again.
        """
        with contextlib.suppress(CallFailed):
            # A listing may take long, and a job ordered meanwhile may be missing from it: it counts as of its beginning.
            begun = time.monotonic()
            found = await self._search.find(self._intent.files, ours=job)
            self._looked_at = begun
            if self._shown_at is None and any(one.id == job.id for one in found.jobs):
                self._shown_at = time.monotonic()
            rivals = [one for one in found.jobs if one.id not in (job.id, *self._intent.known) and not one.phase.has_ended]
            if self._intent.retrains:  # --retrain passes over jobs that have succeeded.
                rivals = [one for one in rivals if one.phase is not Phase.SUCCEEDED]
            winner = job if job.phase is Phase.SUCCEEDED else min([job, *rivals], key=lambda one: one.age)
            for loser in [job, *rivals]:
                if loser.id != winner.id:
                    await self._give_up(loser, winner)
            return winner
        return job

    async def _give_up(self, loser: RemoteJob, winner: RemoteJob) -> None:
        """Cancel a job if it is ours and its training hasn't begun; say the outcome, once."""
        if loser.id in self._dealt_with:
            return
        self._dealt_with.add(loser.id)
        if loser.id not in self._intent.created and loser.order != self._intent.order:
            self._note(f"there is also {loser}, made of the same data, base and settings; this session uses {winner.id}")
            return
        outcome = await self._cancelled(loser)
        self._note(f"the same job was ordered twice: using {winner.id}; our {loser.id} {outcome}")

    async def _cancelled(self, loser: RemoteJob) -> str:
        try:
            job = await cancel_untrained(self._host, loser.id)
        except CallFailed as failure:
            self.may_cost = True
            return f"couldn't be cancelled ({failure.message}): cancel it at the API"
        if job.phase.has_ended:
            return "was cancelled before its training"
        self.may_cost = True
        return f"is {job.status} already and goes on: cancel it at the API if you don't need it"


async def cancel_untrained(host: Host, job_id: str) -> RemoteJob:
    """Cancel a job if its training hasn't begun; return it as it then stands. Raises `CallFailed`."""
    job = await host.look(job_id)
    if not job.is_untrained:
        return job
    await host.cancel(job_id)
    return await host.look(job_id)
