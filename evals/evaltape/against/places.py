"""Where a suite lies on the other side, and what its file says there."""

import posixpath
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from evaltape.against.tree import Tree, Unreadable
from evaltape.names import shown
from evaltape.recording.model_calls import SUFFIX
from evaltape.text import visible
from evaltape.workspace import Workspace


class New(Unreadable):
    """The suite or the model isn't on the other side at all."""


@dataclass(frozen=True)
class Places:
    """What there is of a suite on the other side."""

    tree: Tree
    recordings: str | None
    """The folder of its recordings."""
    suite: str | None
    """Its file."""
    files: tuple[str, ...]
    """Its recordings, and its file."""

    @cached_property
    def models(self) -> Mapping[str, str | None]:
        """The models that the suite had: by key, each with its file of predictions if it has one.

        Nothing else of the suite file counts, so that those of earlier versions can be read. Without a file they are the
        folders of its recordings. Raises `Unreadable` if the file isn't a suite's.
        """
        if self.suite is None:
            return dict.fromkeys(model for model, path in self._recorded if path.endswith(SUFFIX))
        try:
            models = {key: table.get("predictions") for key, table in self._tables["models"].items()} | self._prompted
            jobs = dict.fromkeys(self._tables.get("finetune", {}))
            return {**{key: None if path is None else self.beside(path) for key, path in models.items()}, **jobs}
        except (KeyError, TypeError, AttributeError):
            raise self._not_a_suite("models") from None

    @property
    def _prompted(self) -> dict[str, None]:
        """The models with a further prompt: `MODEL-KEY` for each model without a prompt of its own, and each of `[prompts]`."""
        asked = [key for key, table in self._tables["models"].items() if not {"prompt", "predictions"} & set(table)]
        return dict.fromkeys(f"{key}-{prompt}" for key in asked for prompt in self._tables.get("prompts", {}))

    @cached_property
    def data(self) -> str:
        """Where its data set lies, if it is a local one. Raises `Unreadable` if the file isn't a suite's."""
        try:
            return self.beside(self._tables["dataset"]["path"])
        except (KeyError, TypeError):
            raise self._not_a_suite("dataset") from None

    def cassettes(self, model: str) -> list[str]:
        """Return the files of a model's recordings: a cassette for each call, and perhaps a pack."""
        return [path for recorded, path in self._recorded if recorded == model]

    def beside(self, path: str) -> str:
        """Return where a path lies that the suite file names relative to itself. Raises `Unreadable` if that is outside."""
        place = posixpath.normpath(posixpath.join(posixpath.dirname(self.suite or ""), path))
        if place.startswith(("/", "..")):
            raise Unreadable(f"{self.tree.name_of(self.suite or '')} names {visible(path)}, which leads out of {self.tree.ref}")
        return place

    @cached_property
    def _recorded(self) -> list[tuple[str, str]]:
        """The recordings, as (model, path): packs, and the files in the models' folders."""
        prefix = f"{self.recordings}/"
        inside = [(file.removeprefix(prefix).split("/"), file) for file in self.files if file.startswith(prefix)]
        packs = [(parts[0].removesuffix(SUFFIX), file) for parts, file in inside if len(parts) == 1 and file.endswith(SUFFIX)]
        return [*packs, *((parts[0], file) for parts, file in inside if len(parts) == 2)]

    @cached_property
    def _tables(self) -> Mapping[str, Any]:
        assert self.suite is not None
        try:
            with self.tree.copied([self.suite]) as root:
                return tomllib.loads((root / self.suite).read_bytes().decode("utf-8-sig"))
        except (OSError, ValueError, RecursionError) as error:
            raise Unreadable(f"{self.tree.name_of(self.suite)} is not a readable TOML file: {visible(str(error))}") from None

    def _not_a_suite(self, table: str) -> Unreadable:
        return Unreadable(f"{self.tree.name_of(self.suite or '')} has no [{table}] that can be read")


def find_places(tree: Tree, workspace: Workspace) -> Places:
    """Return where a suite lies on the other side.

    Its file and its recordings are looked for where they lie today; in a folder also right inside it, as `chats.toml` and
    `chats/`. Raises `New` if neither is there, and `Unreadable`.
    """
    name, settings = workspace.name, workspace.settings
    is_folder = tree.commit is None
    folders = [tree.place_of(workspace.folder), tree.place_of(settings.default_cassettes / name), name if is_folder else None]
    suites = [tree.place_of(workspace.suite.file), f"{name}.toml" if is_folder else None]
    wanted = [place for place in (*folders, *suites) if place is not None]
    files = tuple(tree.files(*wanted))
    recordings = next((place for place in folders if any(file.startswith(f"{place}/") for file in files)), None)
    suite = next((place for place in suites if place in files), None)
    if not wanted:
        raise Unreadable(f"neither {shown(workspace.suite.file)} nor {shown(workspace.folder)} lies in this git repository")
    if recordings is None and suite is None:
        raise New(f"{tree.ref} has no suite {name}")
    return Places(tree, recordings, suite, files)
