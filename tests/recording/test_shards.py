"""Shards: machines of a CI matrix record parts, whose cassettes are copied together and gated as a whole."""

import shutil

from tests.support.tuning import TuningProject

SHARD = ("evals", "-m", "sample", "--splits", "2", "-p", "no:xdist", "--record-missing")


def test_parts_recorded_by_two_machines_are_gated_together(tuning: TuningProject) -> None:
    # One shard owns the job, before the samples of its tuned model are split.
    run = tuning.run("evals", "-k", "test_job", "--record", "-p", "no:xdist")
    run.assert_outcomes(passed=1, deselected=run.outcomes["deselected"])
    shards = [tuning.copy(f"shard{number}") for number in (1, 2)]
    for number, shard in enumerate(shards, 1):
        shutil.copytree(tuning.cassettes / "tuned", shard.cassettes / "tuned")
        run = shard.run(*SHARD, "--group", str(number))
        assert run.exit_code == 0, run.output
        run.assert_outcomes(passed=6, deselected=run.outcomes["deselected"])
        assert not list(shard.cassettes.rglob("unfinished.json"))
    parts = [{path.stem for path in shard.cassettes.glob("*/t*.yaml")} for shard in shards]
    recorded = sorted(path.relative_to(shard.cassettes) for shard in shards for path in shard.cassettes.glob("*/t*.yaml"))
    assert len(recorded) == len(set(recorded)) == 12, parts
    assert (tuning.api.calls, len(tuning.job_ids)) == (12, 1)

    first, second = shards
    # What a shard alone has is not enough for a gate.
    run = first.run("evals", "-m", "gate and baseline", "-p", "no:xdist")
    assert run.exit_code == 1
    shutil.copytree(second.cassettes, first.cassettes, dirs_exist_ok=True)
    run = first.run("evals", "-p", "no:xdist", "--snapshot-update")
    assert run.exit_code == 0, run.output
    assert "2 gates hold" in " ".join(run.output.split())
    assert tuning.api.calls == 12
