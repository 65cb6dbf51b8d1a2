"""The local service: OpenAI's API for chat, files and fine-tuning jobs, over an open-weights model that runs here.

Start it with `evaltape serve --model NAME_OR_PATH` (extra `local`).
"""
