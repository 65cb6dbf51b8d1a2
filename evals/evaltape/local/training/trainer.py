"""The script that trains: `python -m evaltape.local.training.trainer CONFIG.json`, for a single job, in one or many processes.

TRL's SFTTrainer or DPOTrainer trains a LoRA adapter of PEFT's. Started by accelerate, torchrun or srun, each process takes its
share of every batch, and the first of them reports on standard output, a JSON object a line. A process ends as soon as its
standard input does, so it never outlives the service. Started again, it continues after its last checkpoint.
"""

import json
import math
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from peft import LoraConfig
from transformers import AutoTokenizer, TrainerCallback

from evaltape.local.model import load_model
from evaltape.local.state import is_full, remove

Report = Callable[[dict[str, Any]], None]
# Measured on SmolLM2-135M-Instruct with 300 dialogues: ROUGE-1 from 24.5 to 37.0 in one epoch; no other rate was tried.
LEARNING_RATES = {"supervised": 5e-4, "dpo": 5e-5}
LORA: dict[str, Any] = {
    "r": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.0,
    "target_modules": "all-linear",
    "task_type": "CAUSAL_LM",
}
WARM_UP = 0.1
SAVES = 10
"""Checkpoints of a training, besides the ends of its epochs."""
COMPLETE = "complete"
"""A file that says that its checkpoint is whole."""
LOGGED = {
    "loss": "train_loss",
    "mean_token_accuracy": "train_accuracy",
    "rewards/accuracies": "train_accuracy",
    "eval_loss": "valid_loss",
    "eval_mean_token_accuracy": "valid_mean_token_accuracy",
    "eval_rewards/accuracies": "valid_mean_token_accuracy",
}
"""Names of TRL's metrics, and of the API's result file; for preferences the accuracy is that of the rewards."""


class Stop(Exception):
    """A training that can't go on; its message is for people."""


class Reporter(TrainerCallback):  # type: ignore[misc]  # mypy doesn't read transformers
    """Reports each step and each checkpoint, and removes the checkpoints that are no longer needed."""

    def __init__(self, report: Report, config: dict[str, Any]) -> None:
        self._report, self._out, self._kept_epochs = report, Path(config["out"]), config["kept_epochs"]
        self._epochs = config["plan"]["n_epochs"]

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_others: Any) -> None:
        """Report where the training begins, and the steps and checkpoints of an earlier start."""
        self._tell(state, type="start", step=state.global_step, history=history(state.log_history))
        for step, folder in checkpoints(self._out):
            if self._ends_epoch(state, step):
                self._tell(state, type="checkpoint", step=step, folder=folder.name)

    def on_log(self, _args: Any, state: Any, _control: Any, logs: dict[str, Any], **_others: Any) -> None:
        """Report the metrics of a step. Raise `Stop` once the loss is no number."""
        for row in history([{**logs, "step": state.global_step}]):
            if not all(math.isfinite(value) for value in row.values()):
                raise Stop(f"The training diverged at step {state.global_step}: lower the learning_rate_multiplier")
            kind = "validation" if "valid_loss" in row else "step"
            self._tell(state, type=kind, steps=state.max_steps, tokens=int(state.num_input_tokens_seen), **row)

    def on_step_end(self, _args: Any, state: Any, control: Any, **_others: Any) -> None:
        """Ask for a checkpoint now and then within an epoch."""
        step = state.global_step
        control.should_save |= step % math.ceil(state.max_steps / SAVES) == 0 and not self._ends_epoch(state, step)

    def on_save(self, _args: Any, state: Any, _control: Any, **_others: Any) -> None:
        """Mark a checkpoint as whole, and keep the last ones only."""
        if not state.is_world_process_zero:
            return
        (self._out / f"checkpoint-{state.global_step}" / COMPLETE).touch()
        done = checkpoints(self._out)
        epochs = [step for step, _ in done if self._ends_epoch(state, step)][-self._kept_epochs :]
        for step, folder in done[:-1]:
            if step not in epochs:
                remove(folder)
        if state.global_step in epochs:
            self._tell(state, type="checkpoint", step=state.global_step, folder=done[-1][1].name)

    def _ends_epoch(self, state: Any, step: int) -> bool:
        return bool(step % (state.max_steps // self._epochs) == 0)

    def _tell(self, state: Any, **values: Any) -> None:
        if state.is_world_process_zero:
            self._report(values)


def history(logs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the metrics of a training's steps by the API's names."""
    rows = [{LOGGED[key]: value for key, value in log.items() if key in LOGGED} | {"step": log["step"]} for log in logs]
    return [row for row in rows if "train_loss" in row or "valid_loss" in row]


def checkpoints(out: Path) -> list[tuple[int, Path]]:
    """Return the whole checkpoints by their steps, the oldest first."""
    return sorted((int(path.parent.name.removeprefix("checkpoint-")), path.parent) for path in out.glob(f"*/{COMPLETE}"))


def train(config: dict[str, Any], report: Report) -> None:
    """Train to the end. Raise `Stop` if that can't be."""
    out = Path(config["out"])
    out.mkdir(exist_ok=True)
    torch.use_deterministic_algorithms(True, warn_only=True)
    trainer = make_trainer(config)
    trainer.add_callback(Reporter(report, config))
    weights = sum(weight.numel() for weight in trainer.model.parameters() if weight.requires_grad)
    # Of each weight a checkpoint has the value and two moments, four bytes each.
    check_disk(out, 12 * weights * 2)
    done = checkpoints(out)
    try:
        trainer.train(resume_from_checkpoint=str(done[-1][1]) if done else None)
    except Exception as error:
        if is_full(error):
            check_disk(out, 12 * weights * 2, is_full=True)
        raise


def check_disk(folder: Path, needed: int, *, is_full: bool = False) -> None:
    """Raise `Stop` where a disk has no room for two checkpoints."""
    free = shutil.disk_usage(folder).free
    if is_full or free < needed:
        sizes = f"{needed / 1e6:.1f} MB are needed in {folder}, {free / 1e6:.1f} MB are free"
        raise Stop(f"The disk of the service is full: {sizes}")


def make_trainer(config: dict[str, Any]) -> Any:
    """Return TRL's trainer for the method of the job."""
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    is_dpo = config["method"] == "dpo"
    model = load_model(Path(config["weights"]), "float32")
    files = [Path(config[name]) if config[name] else None for name in ("examples", "validation")]
    rows: list[Any] = [
        datasets.Dataset.from_list(list(map(json.loads, path.open(encoding="utf-8")))) if path else None for path in files
    ]
    settings = arguments(config, model.device.type, len(rows[0]))
    settings |= {"beta": config["plan"]["beta"], "max_length": config["train_length"]} if is_dpo else {"max_length": None}
    return (DPOTrainer if is_dpo else SFTTrainer)(
        model=model,
        args=(DPOConfig if is_dpo else SFTConfig)(**settings),
        train_dataset=rows[0],
        eval_dataset=rows[1],
        processing_class=AutoTokenizer.from_pretrained(config["weights"], local_files_only=True),
        peft_config=LoraConfig(**LORA),
    )


def arguments(config: dict[str, Any], device: str, rows: int) -> dict[str, Any]:
    """Return the arguments of TRL's trainers."""
    plan, is_cpu = config["plan"], device == "cpu"
    share = math.ceil(plan["batch_size"] / int(os.environ.get("WORLD_SIZE", "1")))
    # On a CPU one row at a time is as fast, and takes less memory.
    at_once = 1 if is_cpu else max(size for size in range(1, 9) if share % size == 0)
    return {
        "output_dir": config["out"],
        "num_train_epochs": plan["n_epochs"],
        "per_device_train_batch_size": at_once,
        "per_device_eval_batch_size": at_once,
        "gradient_accumulation_steps": share // at_once,
        "learning_rate": LEARNING_RATES[config["method"]] * plan["learning_rate_multiplier"],
        "lr_scheduler_type": "linear",
        # The first step of a warm-up has the rate 0, so a training of a few steps has none.
        "warmup_steps": int(WARM_UP * plan["n_epochs"] * math.ceil(rows / plan["batch_size"])),
        "max_grad_norm": 1.0,
        "weight_decay": 0.0,
        "seed": config["seed"],
        "data_seed": config["seed"],
        "bf16": computes_fast_in_bfloat16(device),
        "use_cpu": is_cpu,
        "gradient_checkpointing": not is_cpu,
        "dataloader_pin_memory": not is_cpu,
        "include_num_input_tokens_seen": "all",
        "eval_strategy": "epoch" if config["validation"] else "no",
        "save_strategy": "epoch",
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": "none",
    }


def computes_fast_in_bfloat16(kind: str) -> bool:
    """Return whether a kind of device does; a CPU that doesn't is three times slower in it than in float32."""
    if kind == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
    return kind == "cuda" and torch.cuda.is_bf16_supported()


def main(path: Path) -> None:
    """Train as the configuration says, and report how it ended."""
    threading.Thread(target=_end_with_service, daemon=True).start()
    # What a library prints goes to the log: standard output is for reports.
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    if hasattr(os, "nice"):  # chat answers come first, where the system can do that
        os.nice(10)
    transformers.utils.logging.disable_progress_bar()
    datasets.disable_progress_bars()

    def report(values: dict[str, Any]) -> None:
        print(json.dumps(values, allow_nan=False), file=reports, flush=True)

    try:
        train(json.loads(path.read_text(encoding="utf-8")), report)
    except Stop as stop:
        report({"type": "failed", "message": str(stop)})
        os._exit(1)
    if os.environ.get("RANK", "0") == "0":
        report({"type": "done"})


def _end_with_service() -> None:
    # Not through sys.stdin: its lock, held here, would end the interpreter's shutdown with an abort.
    while os.read(0, 1024):
        pass
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
