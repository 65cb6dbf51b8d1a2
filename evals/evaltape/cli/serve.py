"""`evaltape serve`: reads the command line, checks it, and serves until it is interrupted."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from evaltape.cli import Parser
from evaltape.errors import UserError
from evaltape.local.settings import DEFAULT_KEY_ENV, DEFAULT_STATE, Settings, check
from evaltape.text import visible

DESCRIPTION = """\
Serves OpenAI's API (/v1/models, /v1/chat/completions, /v1/files, /v1/batches, /v1/fine_tuning/jobs) for an open-weights
model, and fine-tunes it with LoRA. Point the openai client at the printed address; nothing else changes.
It needs the extra: pip install 'evaltape[local]'; fine-tuning also 'evaltape[train]'."""
EPILOG = """\
examples:
  evaltape serve --model HuggingFaceTB/SmolLM2-135M-Instruct
  evaltape serve --model ./SmolLM2-135M-Instruct.Q4_1.gguf --port 0 --state ./state
  EVALTAPE_LOCAL_KEY=... evaltape serve --model ./model --host 0.0.0.0"""


def parser() -> Parser:
    """Return the command line's parser."""
    serve = Parser("serve", DESCRIPTION, EPILOG)
    add = serve.add_argument
    add("--model", required=True, metavar="NAME_OR_PATH", help="a Hub id, a local folder or a .gguf file")
    add("--name", default="", help="the model's name in requests (default: the last part of NAME_OR_PATH)")
    add("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1); beyond loopback a key is needed")
    add("--port", type=int, default=8000, help="port to listen on (default 8000); 0 takes a free one")
    state_help = "folder for files, jobs and tuned models (default: in your cache folder)"
    add("--state", type=Path, default=DEFAULT_STATE, metavar="DIR", help=state_help)
    add("--api-key-env", metavar="NAME", help=f"variable with the key that clients must send (default {DEFAULT_KEY_ENV})")
    add("--batch", type=int, default=16, metavar="N", help="answers generated at once (default 16)")
    add("--context", type=int, metavar="TOKENS", help="longest prompt and answer (default: the model's, at most 4096)")
    length_help = "longer training rows are cut to this length (default 512)"
    add("--train-length", type=int, default=512, metavar="TOKENS", help=length_help)
    launchers = "'accelerate launch --num_processes 2', 'torchrun ...' or 'srun python'"
    add("--train-command", metavar="CMD", help=f"starts a training in place of python, as {launchers}")
    inference_help = "vLLM servers that answer in place of this process; the word vllm starts one here"
    add("--inference", metavar="URL[,URL...]", help=inference_help)
    add("--max-upload-mb", type=int, default=200, metavar="MB", help="largest file taken (default 200)")
    add("--dtype", default="auto", choices=["auto", "float32", "bfloat16"], help="auto: float32, on a GPU bfloat16")
    return serve


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted; return the exit code."""
    options = parser().parse_args(argv)
    try:
        settings = check(Settings(**vars(options)), os.environ)
        from evaltape.local.server import serve

        return serve(settings)
    except UserError as error:
        print(f"evaltape serve: {visible(str(error))}", file=sys.stderr)
        return 4
    except KeyboardInterrupt:
        return 130
