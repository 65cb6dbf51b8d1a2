"""Reads how models and judges are asked: address, key and price, and the part of an answer that counts."""

import re

from evaltape.names import is_safe_key
from evaltape.suite.address import address_problem
from evaltape.suite.definition import AnswerRule, AnswerRules, Price
from evaltape.suite.file.call_tables import AnswerTable
from evaltape.suite.file.place import Place, value_shown
from evaltape.suite.file.tables import DefaultsTable, JudgeTable, ModelTable

BESIDE = ("samples.jsonl", "dataset.json", "batches.json", "samples.jsonl.next", "dataset.json.next")
"""Files that lie beside the models' cassette folders."""


def read_endpoint(
    table: ModelTable | JudgeTable, place: Place, defaults: DefaultsTable
) -> tuple[str | None, str | None, Price | None]:
    """Return address, name of the key's variable, and price: the table's own, or the suite's."""
    check_endpoint(table, place)
    return table.base_url or defaults.base_url, table.api_key_env or defaults.api_key_env, table.price or defaults.price


def check_endpoint(table: ModelTable | JudgeTable | DefaultsTable, place: Place) -> None:
    """Refuse an address that nothing can be asked at, and a key in the place of a variable's name."""
    problem = None if table.base_url is None else address_problem(table.base_url)
    if problem is not None:
        raise place.error("base_url", problem)
    if table.api_key_env is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", table.api_key_env):
        raise place.error("api_key_env", "takes the name of an environment variable, never a key")


def check_key(place: Place, key: str) -> str:
    """Return a key that the user chose, if it can be part of a test id and name a folder."""
    if not is_safe_key(key):
        raise place.error(key, "can't be a test id and a folder's name; use letters, digits, _, - and .")
    return key


def check_pattern(pattern: str, place: Place) -> None:
    """Refuse the value of a key `regex` that is no regular expression."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise place.error("regex", f"= {value_shown(pattern)}: not a regular expression: {error}") from None


def read_answer(table: AnswerTable | None, place: Place) -> AnswerRules | None:
    """Return the steps in the order of the file; None without the table."""
    if table is None:
        return None
    if table.regex is not None:
        check_pattern(table.regex, place)
    return tuple(AnswerRule(step, getattr(table, step)) for step in table.written)
