"""Words for error messages that are read at night."""

from __future__ import annotations


def a_kind(value: object) -> str:
    """Say of what kind a value is and never what it is: ``an int``, ``a list``, ``None``.

    :param value: anything.
    """
    if value is None:
        return "None"
    name = type(value).__name__
    if name == "bytes":
        return name
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
