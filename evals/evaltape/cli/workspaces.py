"""The suites of a repository for commands beside pytest: read as a replay reads them, without pytest."""

from pathlib import Path

from evaltape.cli.init.place import find_place
from evaltape.errors import UserError
from evaltape.names import shown
from evaltape.settings import REPLAY, Settings
from evaltape.workspace import Workspace, read_suites


def replay_workspaces(here: Path, suite: str | None) -> list[Workspace]:
    """Return the workspaces of a suite file, or of the suites that the configuration names. Raises `UserError`."""
    place = find_place(here)
    configured = tuple(file for pattern in place.patterns for file in sorted(place.root.glob(pattern)))
    files = (here / suite,) if suite else configured
    if not files:
        named = f"eval_suite of {shown(place.config)}" if place.config else "no configuration of pytest"
        raise UserError(f"{named} names no suite; name one: --suite FILE")
    settings = Settings(
        mode=REPLAY,
        suites=files,
        configured_suites=configured,
        root=place.root,
        cassettes=place.cassettes,
        default_cassettes=place.cassettes,
        snapshots=None,
        args=(),
        concurrency=1,
        timeout_s=1.0,
        pack=1000,
        batch_wait_s=0.0,
        retrain=False,
        batch=False,
        requests_to=None,
        answers_from=(),
        estimate=False,
        retiring=False,
        suggest=False,
        history=None,
        runs_nothing=False,
        budget_usd=None,
        repeat=1,
        samples=None,
        against=None,
        mutate=False,
        results=None,
        report=None,
        comment=None,
    )
    return [Workspace(each, settings) for each in read_suites(files)]
