"""`--batch`: calls are answered through the Batch API. Each model or judge has a drive, which submits, waits and collects.

Verdicts need answers: a judge's calls come as its models' batches are collected, and are submitted once that is done.
"""

import asyncio
import time
from collections.abc import Mapping
from functools import partial

from evaltape.errors import UserError
from evaltape.recorder.api.failures import CallFailed
from evaltape.recorder.batches.drive import Drive
from evaltape.recorder.lane import Call, Lane
from evaltape.recorder.loop import Recorder
from evaltape.settings import Settings
from evaltape.workspace import Workspace

SETTLED_S = 0.2
"""How long no call has come for a lane when it is submitted."""


class BatchEngine:
    """Answers the calls of a recorder's lanes through the Batch API."""

    def __init__(self, settings: Settings, workspaces: Mapping[str, Workspace], recorder: Recorder) -> None:
        self._settings = settings
        self._workspaces = workspaces
        self._recorder = recorder
        self._until = time.monotonic() + settings.batch_wait_s
        self._waiting: dict[int, list[Call]] = {}
        """By the lane's id; a lane that has a drive is in it."""
        self._collecting = asyncio.Semaphore(1)

    def take_up(self, lane: Lane, calls: list[Call]) -> None:
        """Let these calls be in the lane's next batch."""
        if id(lane) in self._waiting:
            self._waiting[id(lane)] += calls
        else:
            self._waiting[id(lane)] = calls
            self._recorder.add_job(partial(self._drive, lane))

    async def _drive(self, lane: Lane, recorder: Recorder) -> None:
        while calls := await self._settled(lane):
            workspace = self._workspaces[lane.model.suite]
            model = workspace.suite.models.get(lane.model.key)
            drive = Drive(
                lane=lane,
                recorder=recorder,
                workspace=workspace,
                collecting=self._collecting,
                until=self._until,
                wait_s=self._settings.batch_wait_s,
                command=workspace.commands.record_missing(model.kind if model else None),
            )
            try:
                await drive.run(calls)
            except CallFailed as failure:
                drive.end_all(lane.endpoint.shown(failure.message))
            except UserError as error:
                drive.end_all(str(error))
            finally:
                recorder.show_batch(lane.model.key, None)
        del self._waiting[id(lane)]

    async def _settled(self, lane: Lane) -> list[Call]:
        """Return the calls that have come, once no more come."""
        while True:
            number = len(self._waiting[id(lane)])
            async with self._collecting:  # Answers that are collected bring calls for judges.
                pass
            await asyncio.sleep(SETTLED_S)
            if number == len(self._waiting[id(lane)]):
                break
        calls, self._waiting[id(lane)] = self._waiting[id(lane)], []
        return calls
