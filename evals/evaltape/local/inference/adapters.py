"""Tuned models over one copy of the base weights: LoRA adapters, read on first use, mixed in one batch by PEFT."""

from collections.abc import Sequence, Set
from pathlib import Path
from typing import Any

from evaltape.local.model.weights import store_transposed

MOST = 8
"""Adapters kept in memory; of the unused ones the one unused for longest is dropped."""


class MissingAdapter(Exception):
    """An adapter whose model was deleted."""


class Adapters:
    """A model and the adapters over it. Used by the engine's thread only."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._names: dict[Path, str] = {}
        self._read_count = 0

    def load(self, folder: Path | None, in_use: Set[Path | None]) -> None:
        """Read an adapter, if it isn't there. Raise `MissingAdapter`."""
        if folder is None:
            return
        if folder not in self._names:
            if not (folder / "adapter_model.safetensors").is_file():
                raise MissingAdapter(str(folder))
            self._make_room(in_use)
            # Not the model's id: PyTorch takes no dot in a module's name.
            self._read_count += 1
            self._read(folder, f"tuned{self._read_count}")
        # The last in order is the one used last.
        self._names[folder] = self._names.pop(folder, f"tuned{self._read_count}")

    def names(self, folders: Sequence[Path | None]) -> dict[str, list[str]]:
        """Return the argument that tells PEFT the adapter of each row; nothing while no adapter is loaded."""
        if not self._read_count:
            return {}
        return {"adapter_names": [self._names[folder] if folder else "__base__" for folder in folders]}

    def _read(self, folder: Path, name: str) -> None:
        from peft import PeftModel

        if isinstance(self.model, PeftModel):
            self.model.load_adapter(folder, name)
        else:
            self.model = PeftModel.from_pretrained(self.model, folder, adapter_name=name)
        self.model.eval()
        if self.model.device.type == "cpu":
            store_transposed(self.model)

    def _make_room(self, in_use: Set[Path | None]) -> None:
        unused = [folder for folder in self._names if folder not in in_use]
        if len(self._names) >= MOST and unused:
            self.model.delete_adapter(self._names.pop(unused[0]))
