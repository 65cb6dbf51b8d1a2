"""The models that are served: the base model, and what was tuned from it."""

from pathlib import Path

from evaltape.local.errors import ApiError, unknown_model
from evaltape.local.model.weights import Loaded
from evaltape.local.state.database import Row
from evaltape.local.state.disk import remove
from evaltape.local.state.store import Store


class Models:
    """The models by the id that requests name."""

    def __init__(self, store: Store, loaded: Loaded, name: str) -> None:
        self._store, self._fingerprint = store, loaded.fingerprint
        created = int((loaded.folder / "config.json").stat().st_mtime)
        self.base: Row = {"id": name, "object": "model", "created": created, "owned_by": "local"}

    def all(self) -> list[Row]:
        """Return the base model and all models tuned from these weights."""
        return [self.base, *(_public(row) for row in self._store.database.rows("models") if self._fits(row))]

    def get(self, name: str) -> Row:
        """Return one model. Raise `ApiError` if there is none of this id."""
        return self.base if name == self.base["id"] else _public(self._tuned(name))

    def adapter(self, name: str) -> Path | None:
        """Return the folder of a tuned model's adapter, or None for the base model."""
        if name == self.base["id"]:
            return None
        return self._store.model_folder(str(self._tuned(name)["folder"]))

    def delete(self, name: str) -> Row:
        """Remove a tuned model, on a full disk too."""
        if name == self.base["id"]:
            raise ApiError("The base model can't be deleted.", status=403, param="model")
        row = self._tuned(name)
        self._store.database.delete("models", name)
        remove(self._store.model_folder(str(row["folder"])))
        return {"id": name, "object": "model", "deleted": True}

    def _tuned(self, name: str) -> Row:
        row = self._store.database.get("models", name)
        if row is None or not self._fits(row):
            raise unknown_model(name)
        return row

    def _fits(self, row: Row) -> bool:
        """Return whether a tuned model was made from the weights that are served: it is of no use on others."""
        return bool(row["fingerprint"] == self._fingerprint)


def _public(row: Row) -> Row:
    return {key: row[key] for key in ("id", "object", "created", "owned_by")}
