"""JSON of any depth, of which what lies too deep is left out.

Python's parser gives up at some 1,000 levels, the API server at 10,000, and there is a place in which whoever
makes a pod may write as many: ``fieldsV1`` of ``metadata.managedFields``. One pod must not hide all others.
"""

from __future__ import annotations

import json
import re

MOST_LEVELS = 64
"""What we read of an object is 7 levels deep."""
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)
_decoder = json.JSONDecoder()


def decoded(text: str, at: int = 0) -> tuple[object, int]:
    """Return the value that begins at ``at`` and where it ends. Raises ValueError where it is none or cut."""
    try:
        return _decoder.raw_decode(text, at)
    except RecursionError:
        shallow, end = _shallow(text, at)
    try:
        return _decoder.raw_decode(shallow)[0], end
    except RecursionError:  # our own caller is too deep
        raise ValueError("no room to read it") from None


def document(content: bytes) -> object:
    """Return the value that is all of ``content``. Raises ValueError where it is none."""
    text = content.decode("utf-8", "replace").strip(" \t\r\n")
    found, end = decoded(text)
    if end != len(text):
        raise ValueError("there is more behind it")
    return found


def _shallow(text: str, at: int) -> tuple[str, int]:
    """The value with ``null`` for each one too deep in it."""
    kept: list[str] = []
    levels, begin = 0, at
    for token in _TOKEN.finditer(text, at):
        match text[token.start()]:
            case "{" | "[":
                levels += 1
                if levels == MOST_LEVELS:
                    kept += text[begin : token.start()], "null"
            case "}" | "]":
                if levels == MOST_LEVELS:
                    begin = token.end()
                levels -= 1
                if levels == 0:
                    return "".join((*kept, text[begin : token.end()])), token.end()
            case _ if token.end() - token.start() == 1:
                break  # a string without its end
    raise ValueError("it is cut")
