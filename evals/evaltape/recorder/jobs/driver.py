"""Drives one fine-tuning job through the states of `states.TABLE`: it is found or ordered, waited for and recorded.

Whatever ends a session midway, the next goes on: an order is on disk before it is sent, and its job is found by what the
order says, by the digest in its metadata or by its training file.
"""

import asyncio
import contextlib

from evaltape.errors import RecordingError
from evaltape.finetuning.intent import UnreadableIntent
from evaltape.names import shown
from evaltape.recorder.budget import OverBudget
from evaltape.recorder.failures import CallFailed
from evaltape.recorder.jobs.drive import Assignment, Drive
from evaltape.recorder.jobs.looking import find_ordered, look
from evaltape.recorder.jobs.result import Result, advice
from evaltape.recorder.jobs.states import State, advance
from evaltape.recorder.jobs.waiting import order, record, wait
from evaltape.suite.pricing import training_usd
from evaltape.text import visible

Failure = (CallFailed, OverBudget, RecordingError, UnreadableIntent, OSError)


class JobDriver:
    """One job at one endpoint, in the recorder's loop."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._drive = Drive(assignment)
        self.state = State.LOOKING

    async def drive(self) -> Result:
        """Bring the job to its end and record it, or return why that can't be."""
        try:
            while not self.state.ends:
                self.state = advance(self.state, await self._step())
        except Failure as failure:
            self._drive.error = self._stopped(failure)
            self.state = advance(self.state, State.STOPPED)
        except asyncio.CancelledError:
            self._say_what_goes_on()
            raise
        finally:
            self._settle()
        return self._result()

    async def _step(self) -> State:
        drive = self._drive
        match self.state:
            case State.LOOKING:
                return await look(drive)
            case State.ORDERING:
                return await order(drive, self.state)
            case State.SENT:
                return await find_ordered(drive)
            case State.WAITING:
                return await wait(drive)
            case _:
                return await record(drive)

    def _result(self) -> Result:
        drive = self._drive
        error = None if drive.error is None else visible(f"[finetune.{drive.prepared.job.key}] {drive.error}")
        return Result(self.state, error, drive.job.id if drive.job else None)

    def _stopped(self, failure: Exception) -> str:
        """Return the message for a failure that no state is about, with what goes on at the API meanwhile."""
        drive, job = self._drive, self._drive.job
        if isinstance(failure, CallFailed):
            is_refusal = self.state in (State.LOOKING, State.ORDERING)
            text = failure.message + (advice(failure, drive.prepared.job.base) if is_refusal else "")
        elif isinstance(failure, OSError):
            text = f"{shown(drive.prepared.cassette.parent)} can't be written: {failure.strerror or failure}"
        else:
            text = str(failure)
        return text if job is None else f"{text}. {drive.messages.goes_on(job)}"

    def _say_what_goes_on(self) -> None:
        """Say what an interrupt leaves at the API."""
        drive = self._drive
        with contextlib.suppress(UnreadableIntent):
            if drive.job is not None and not drive.job.has_ended:
                drive.note(drive.messages.goes_on(drive.job))
            elif drive.intents.read(drive.digest) is not None:
                drive.note(drive.messages.may_go_on())

    def _settle(self) -> None:
        """Tell the budget what this session's order has cost, or may yet."""
        drive, job, hold = self._drive, self._drive.job, self._drive.hold
        if hold is None:
            return
        if drive.ordered is None:
            hold.release()
        elif job is not None and drive.owns(job) and (job.has_ended or job.has_succeeded):
            hold.settle(training_usd(drive.prepared.job.price, job.trained_tokens) or 0.0)
        elif job is not None and not drive.owns(job) and not (drive.rivals and drive.rivals.may_cost):
            hold.release()
        else:
            hold.doubt()
