"""The JSON Schema of suite files, which editors of TOML complete and check by. It is made of the very keys that are read."""

import json

from evaltape.suite.keys import SUITE
from evaltape.suite.kinds import Schema


def suite_schema() -> Schema:
    """Return the schema as builtins; it is valid as draft 4, 6 and 7."""
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Evaltape suite", **SUITE.schema()}


def schema_text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(suite_schema(), indent=1, ensure_ascii=False) + "\n"
