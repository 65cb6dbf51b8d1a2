"""The text of a cassette: vcrpy's YAML, with a literal block for every body.

The fast path: a regular expression reads a cassette that this module wrote, which is faster by far and needs no import of
vcrpy. A cassette that vcrpy wrote, or that was edited by hand, is read by vcrpy's own safe reader.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

# A literal block of YAML can't hold these; in JSON each has an escape.
_NOT_IN_YAML = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]")
HEAD = "version: 1\ninteractions:\n"
_REQUEST_INDENT, _RESPONSE_INDENT = " " * 6, " " * 8
_BODY = r'(?: (?P<%s>null|".*")\n| \|-\n(?P<%s_block>(?:%s.*\n)+))'
_INTERACTION = re.compile(
    r'- request:\n    method: (?P<method>GET|POST)\n    uri: (?P<uri>".*")\n'
    r'    headers: \{(?:"content-type": \["application/json"\])?\}\n'
    rf"    body:{_BODY % ('asked', 'asked', _REQUEST_INDENT)}"
    r"  response:\n    status: (?P<status>\{.*\})\n    headers: (?P<headers>\{.*\})\n"
    rf"    body:\n      string:{_BODY % ('answered', 'answered', _RESPONSE_INDENT)}"
)
DEEPEST = 16
"""Levels of YAML; vcrpy's format needs six, and the parser takes hours over a million."""
MOST_NODES = 100_000
"""A recorded call takes about 40."""


Interaction = tuple[str, str, bytes | None, dict[str, Any]]
"""Method, URI and body of a request, and vcrpy's response: `{"status": {...}, "headers": {...}, "body": {"string": bytes}}`."""


def interactions_of(text: str) -> list[Interaction]:
    """Return the calls of a cassette's text. Raises the readers' errors if it is no cassette."""
    return _as_written(text) or _by_vcrpy(text)


def _as_written(text: str) -> list[Interaction] | None:
    """Return the calls if the text is as `text_of` writes it, down to the spacing; else None."""
    interactions: list[Interaction] = []
    end = len(HEAD)
    if not text.startswith(HEAD) or "\t" in text or _NOT_IN_YAML.search(text):
        return None
    while end < len(text):
        match = _INTERACTION.match(text, end)
        if match is None:
            return None
        try:
            interactions.append(_interaction(match))
        except ValueError:
            return None
        end = match.end()
    return interactions


def _interaction(match: re.Match[str]) -> Interaction:
    answered = {"string": _body(match, "answered", _RESPONSE_INDENT)}
    response = {"status": json.loads(match["status"]), "headers": json.loads(match["headers"]), "body": answered}
    return match["method"], json.loads(match["uri"]), _body(match, "asked", _REQUEST_INDENT), response


def _body(match: re.Match[str], name: str, indent: str) -> bytes | None:
    block = match[f"{name}_block"]
    if block is None:
        text = json.loads(match[name])
        return None if text is None else str(text).encode()
    text = block[len(indent) : -1].replace("\n" + indent, "\n")
    if text != text.strip():
        raise ValueError("YAML may take this indentation for another one")
    return str(text).encode()


def _by_vcrpy(text: str) -> list[Interaction]:
    import yaml
    from vcr.serialize import deserialize

    try:
        requests, responses = deserialize(text, _Reader)[:2]
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    return [(it.method, it.uri, it.body, response) for it, response in zip(requests, responses, strict=True)]


class _Reader:
    """vcrpy's own YAML reader, without tags and aliases."""

    @staticmethod
    def deserialize(text: str) -> Any:
        import yaml
        from vcr.serializers import yamlserializer

        depth = 0
        for number, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
            if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) or getattr(event, "tag", None):
                raise ValueError("YAML tags, anchors and aliases have no place in a cassette")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:
                raise ValueError(f"nested more than {DEEPEST} levels deep")
            if number > MOST_NODES:
                raise ValueError(f"more than {MOST_NODES:,} nodes of YAML")
        return yamlserializer.deserialize(text)


def text_of(
    method: str, uri: str, asked: str | None, status: Mapping[str, Any], headers: Mapping[str, Any], answered: str
) -> str:
    """Return the text of a call in a cassette, with or without a JSON body in its request."""
    asked_headers = {} if asked is None else {"content-type": ["application/json"]}
    return (
        f"- request:\n    method: {method}\n    uri: {json_text(uri)}\n"
        f"    headers: {json_text(asked_headers)}\n"
        f"    body:{_block(asked, _REQUEST_INDENT)}"
        f"  response:\n    status: {json_text(status)}\n"
        f"    headers: {json_text(headers)}\n"
        f"    body:\n      string:{_block(answered, _RESPONSE_INDENT)}"
    )


def _block(text: str | None, indent: str) -> str:
    """Return a literal block of exactly `text`, or, where a block can't hold it, a JSON string, which is also YAML."""
    if text is None:
        return " null\n"
    if _NOT_IN_YAML.search(text) or text != text.strip() or "\t" in text or not text:
        return f" {json_text(text)}\n"
    return " |-\n" + "".join(f"{indent}{line}\n" for line in text.split("\n"))


def json_text(value: Any) -> str:
    """Return JSON in a line that is also YAML."""
    return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))
