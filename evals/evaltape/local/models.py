"""The models that are served: the base model, and what has been tuned from it."""

from pathlib import Path

from evaltape.local.errors import ApiError, unknown_model
from evaltape.local.store import Row, Store, remove
from evaltape.local.weights import Loaded


class Models:
    """Finds models by the id that requests name."""

    def __init__(self, store: Store, loaded: Loaded, name: str) -> None:
        self._store, self._fingerprint = store, loaded.fingerprint
        created = int((loaded.folder / "config.json").stat().st_mtime)
        self.base: Row = {"id": name, "object": "model", "created": created, "owned_by": "local"}

    def all(self) -> list[Row]:
        """The base model and all models tuned from these weights."""
        return [self.base, *(_shown(row) for row in self._store.rows("models") if self._fits(row))]

    def get(self, name: str) -> Row:
        """One model. Raises `ApiError` where there is none of this id."""
        return self.base if name == self.base["id"] else _shown(self._tuned(name))

    def adapter(self, name: str) -> Path | None:
        """The folder of a tuned model's adapter; None for the base model."""
        if name == self.base["id"]:
            return None
        return self._store.folder / "models" / str(self._tuned(name)["folder"])

    def delete(self, name: str) -> Row:
        """Removes a tuned model."""
        if name == self.base["id"]:
            raise ApiError("The base model can't be deleted.", status=403, param="model")
        row = self._tuned(name)
        self._store.delete("models", name)
        remove(self._store.folder / "models" / str(row["folder"]))
        return {"id": name, "object": "model", "deleted": True}

    def _tuned(self, name: str) -> Row:
        row = self._store.get("models", name)
        if row is None or not self._fits(row):
            raise unknown_model(name)
        return row

    def _fits(self, row: Row) -> bool:
        """A tuned model is of no use on other weights than it was made from."""
        return bool(row["fingerprint"] == self._fingerprint)


def _shown(row: Row) -> Row:
    return {key: row[key] for key in ("id", "object", "created", "owned_by")}
