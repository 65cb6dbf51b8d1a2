"""The local service: OpenAI's API for chat, files and fine-tuning jobs, over an open-weights model on this machine.

`evaltape serve --model NAME_OR_PATH` starts it (extra `local`). Imports point to the right:

    server → guard, routes → training, inference, batches → requests, model → state → settings, errors
"""
