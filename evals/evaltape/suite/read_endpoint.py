"""Reads how models and judges are asked: address, key, price, request, and the part of an answer that counts."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from evaltape.names import is_safe_key
from evaltape.suite.address import address_problem
from evaltape.suite.definition import AnswerRule, AnswerRules, Price
from evaltape.suite.table import Table, value_shown

BESIDE = ("samples.jsonl", "dataset.json", "batches.json", "samples.jsonl.next", "dataset.json.next")
"""Files that lie beside the models' cassette folders."""


class Defaults(msgspec.Struct, frozen=True):
    """What the suite says for every model that doesn't say otherwise."""

    request: Mapping[str, Any]
    answer: AnswerRules
    base_url: str | None = None
    api_key_env: str | None = None
    price: Price | None = None
    gates: Table | None = None
    """The table whose key `gates` holds the bounds."""


def read_defaults(suite: Table) -> Defaults:
    """Return what `[defaults]`, `[request]` and `[answer]` say."""
    table = suite.table("defaults")
    request, answer = suite.entries("request"), read_answer(suite)
    if table is None:
        return Defaults(request, answer or ())
    own = read_answer(table)
    return Defaults(
        request={**request, **table.entries("request")},
        answer=(answer or ()) if own is None else own,
        base_url=read_base_url(table),
        api_key_env=read_variable(table),
        price=read_price(table),
        gates=table,
    )


def read_endpoint(table: Table, defaults: Defaults) -> tuple[str | None, str | None, Price | None]:
    """Return address, name of the key's variable, and price: the table's own, or the suite's."""
    return (
        read_base_url(table) or defaults.base_url,
        read_variable(table) or defaults.api_key_env,
        read_price(table) or defaults.price,
    )


def check_key(suite: Table, table: str, key: str) -> str:
    """Return a key that the user chose, if it can be part of a test id and name a folder."""
    if not is_safe_key(key):
        raise suite.error_in(table, key, "can't be a test id and a folder's name; use letters, digits, _, - and .")
    return key


def check_pattern(table: Table, key: str, pattern: str) -> re.Pattern[str]:
    """Return a regular expression, compiled."""
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise table.error(key, f"= {value_shown(pattern)}: not a regular expression: {error}") from None


def read_answer(table: Table) -> AnswerRules | None:
    """Return the steps of `answer` in the order of the file; None if the table has none."""
    answer = table.table("answer")
    if answer is None:
        return None
    rules = tuple(AnswerRule(key, answer.take(key)) for key in answer.values)
    for rule in rules:
        if rule.kind == "regex":
            check_pattern(answer, "regex", rule.value)
    return rules


def read_base_url(table: Table) -> str | None:
    """Return the address, if the table names one."""
    url: str | None = table.take("base_url")
    problem = address_problem(url) if url is not None else None
    if problem is not None:
        raise table.error("base_url", problem)
    return url


def read_variable(table: Table) -> str | None:
    """Return the name of the variable that holds the key, if the table names one."""
    name: str | None = table.take("api_key_env") if "api_key_env" in table else None
    if name is not None and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise table.error("api_key_env", "takes the name of an environment variable, never a key")
    return name


def read_price(table: Table) -> Price | None:
    """Return the price, if the table states one."""
    price = table.table("price")
    return None if price is None else Price(**{key: price.take(key) for key in price.section.keys})
