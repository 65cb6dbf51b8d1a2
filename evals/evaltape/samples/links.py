"""Links in a repository that lead out of it: what they point to would stand in recordings and reports."""

import os
from pathlib import Path

from evaltape.errors import UserError
from evaltape.names import shown
from evaltape.samples.dataset import split_file
from evaltape.suite.definition import Suite
from evaltape.text import visible


def refuse_links(suite: Suite, root: Path) -> None:
    """Raise `UserError` for a data set or predictions inside `root` that are links to a file outside of it.

    A path that the suite itself names outside of `root` is the suite's to name: it is read in a review.
    """
    jobs = [model.job for model in suite.models.values() if model.job]
    splits = {suite.dataset.split.name, *(split.name for job in jobs for split in (job.train, job.validation) if split)}
    files = {f"[dataset] path, split {name!r}": split_file(suite.dataset, suite.file, name) for name in sorted(splits)}
    files |= {f"[models.{key}] predictions": model.predictions for key, model in suite.models.items()}
    for place, file in files.items():
        if file is not None and _leads_out(file, root):
            raise UserError(
                f"{shown(suite.file)}: {place}: {shown(file)} is a link out of {shown(root)}, "
                f"to {visible(str(file.resolve()))}. Name that file itself, or put a copy in its place"
            )


def _leads_out(file: Path, root: Path) -> bool:
    try:
        plain = Path(os.path.normpath(file.absolute()))
        is_inside = plain.is_relative_to(root) or plain.is_relative_to(root.resolve())
        return is_inside and not file.resolve().is_relative_to(root.resolve())
    except (OSError, ValueError, RuntimeError):
        return False  # No possible path, as its reader says.
