"""Tuned models over one copy of the base weights: LoRA adapters, read on first use."""

from pathlib import Path
from typing import Any

from evaltape.local.model.weights import store_transposed

MOST = 8
"""Adapters kept in memory; the one unused for longest is dropped."""


class MissingAdapter(Exception):
    """An adapter whose model was deleted."""


class Adapters:
    """A model that switches between its base weights and its adapters. Used by the engine's thread only."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self._names: dict[Path, str] = {}
        self._read_count = 0
        self._active: Path | None = None

    def use(self, folder: Path | None) -> None:
        """Make the model answer as the adapter in `folder`, or as the base model for None. Raise `MissingAdapter`."""
        if folder == self._active:
            return
        if folder is None:
            self.model.base_model.disable_adapter_layers()
        else:
            name = self._load(folder)
            self.model.base_model.enable_adapter_layers()
            self.model.set_adapter(name)
            self.model.requires_grad_(False)
        self._active = folder

    def _load(self, folder: Path) -> str:
        name = self._names.pop(folder, None)
        if name is None:
            self._make_room()
            # Not the model's id: PyTorch takes no dot in a module's name.
            self._read_count += 1
            name = f"tuned{self._read_count}"
            self._read(folder, name)
        self._names[folder] = name
        return name

    def _read(self, folder: Path, name: str) -> None:
        from peft import PeftModel

        if not (folder / "adapter_model.safetensors").is_file():
            raise MissingAdapter(str(folder))
        if self._names or isinstance(self.model, PeftModel):
            self.model.load_adapter(folder, name)
        else:
            self.model = PeftModel.from_pretrained(self.model, folder, adapter_name=name)
        self.model.eval()
        if self.model.device.type == "cpu":
            store_transposed(self.model)

    def _make_room(self) -> None:
        if len(self._names) >= MOST:
            oldest = next(iter(self._names))
            if oldest == self._active:
                self.use(None)
            self.model.delete_adapter(self._names.pop(oldest))
