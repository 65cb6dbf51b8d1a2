"""The JSON Schema of suite files, which editors of TOML complete and check by. It is made of the declared tables."""

import json

from evaltape.suite.file.kinds import Schema, kind_of_table
from evaltape.suite.file.tables import SuiteTable


def suite_schema() -> Schema:
    """Return the schema as builtins; it is valid as draft 4, 6 and 7."""
    head = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Evaltape suite"}
    return {**head, **kind_of_table(SuiteTable).schema()}


def schema_text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(suite_schema(), indent=1, ensure_ascii=False) + "\n"
