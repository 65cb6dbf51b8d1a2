"""Statuses count by class: every word of every host, and words that no host has."""

import pytest
from evaltape.finetuning.services import FilePhase, Phase, file_phase_of, phase_of

WORDS = {
    Phase.WAITING: """
        validating_files queued pending notRunning Pending create created QUEUED VALIDATING VALIDATED JOB_STATE_CREATING
        JOB_STATE_VALIDATING JOB_STATE_PENDING Submitted Scheduled not_started initializing provisioning
    """,
    Phase.TRAINING: """
        running Running RUNNING STARTED InProgress compressing uploading JOB_STATE_RUNNING JOB_STATE_WRITING_RESULTS training
        cancel_requested CANCELLATION_REQUESTED cancelling Stopping pausing completing finalizing
    """,
    Phase.SUCCEEDED: "succeeded Succeeded SUCCESS completed Completed JOB_STATE_COMPLETED JOB_STATE_EARLY_STOPPED finished done",
    Phase.FAILED: "failed Failed error user_error FAILED_VALIDATION JOB_STATE_FAILED JOB_STATE_EXPIRED unsuccessful timed_out",
    Phase.CANCELLED: "cancelled canceled Canceled CANCELLED JOB_STATE_CANCELLED Stopped deleted aborted",
    Phase.PAUSED: "paused JOB_STATE_PAUSED suspended on_hold",
    Phase.UNDOCUMENTED: "hibernating 完成 - x",
}


@pytest.mark.parametrize(("word", "phase"), [(word, phase) for phase, words in WORDS.items() for word in words.split()])
def test_a_status_counts_by_its_class(word: str, phase: Phase) -> None:
    assert phase_of(word) is phase


def test_an_undocumented_word_neither_ends_a_job_nor_lets_it_be_cancelled() -> None:
    assert Phase.UNDOCUMENTED.is_under_way
    assert not Phase.UNDOCUMENTED.has_ended
    assert phase_of("") is Phase.UNDOCUMENTED


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        *((word, FilePhase.READY) for word in ("processed", "uploaded", "", "Succeeded", "VALIDATED", "available")),
        *(
            (word, FilePhase.PROCESSING)
            for word in ("pending", "running", "notRunning", "processing", "Importing", "uploading")
        ),
        *((word, FilePhase.FAILED) for word in ("error", "failed", "Deleted", "invalid", "expired")),
    ],
)
def test_a_file_is_ready_unless_its_status_says_otherwise(word: str, phase: FilePhase) -> None:
    assert file_phase_of(word) is phase
