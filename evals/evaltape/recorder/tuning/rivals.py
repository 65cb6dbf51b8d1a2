"""Two sessions at once: which of several same jobs all of them use, and which of ours is cancelled.

Sessions on two machines can both find no job and both order a job. Each looks again afterwards. The oldest job wins in every
session; a session cancels its own younger job while its training hasn't begun, and never a job that isn't surely its own.
"""

import contextlib
import time
from collections.abc import Callable

from evaltape.finetuning.host import Host, RemoteJob
from evaltape.finetuning.intent import Intent
from evaltape.finetuning.services import Phase
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.tuning.asking import Patience
from evaltape.recorder.tuning.search import Found, Search


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

    def matter_to(self, job: RemoteJob) -> bool:
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
            rivals = self._rivals(job, found)
            winner = job if job.phase is Phase.SUCCEEDED else min(rivals, key=lambda one: one.age)
            for loser in rivals:
                if loser.id != winner.id:
                    await self._give_up(loser, winner)
            return winner
        return job

    def _rivals(self, job: RemoteJob, found: Found) -> list[RemoteJob]:
        """The job itself and the jobs that the others may use; --retrain passes over jobs that have succeeded."""
        listed = {one.id: one for one in [job, *found.beside(self._intent.known)]}
        retrains = self._intent.retrains
        return [
            one
            for one in listed.values()
            if one.id == job.id or not (one.phase.has_ended or (retrains and one.phase is Phase.SUCCEEDED))
        ]

    async def _give_up(self, loser: RemoteJob, winner: RemoteJob) -> None:
        """Cancel a job if it is ours and its training hasn't begun; say the outcome, once."""
        if loser.id in self._dealt_with:
            return
        self._dealt_with.add(loser.id)
        if not self._is_ours(loser):
            self._note(f"there is also {loser}, made of the same data, base and settings; this session uses {winner.id}")
            return
        outcome = await self._cancelled(loser)
        self._note(f"the same job was ordered twice: using {winner.id}; our {loser.id} {outcome}")

    def _is_ours(self, job: RemoteJob) -> bool:
        return job.id in self._intent.created or job.order == self._intent.order

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
