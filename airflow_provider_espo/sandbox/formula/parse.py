"""Reads a script into a tree.

EspoCRM's own reader is lenient: an operand that is missing is null, so that ``1 +`` is a script without a fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from airflow_provider_espo.sandbox.formula.failures import FormulaSyntaxError

TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*|/\*.*?\*/)
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<name>\$?[A-Za-z_][A-Za-z0-9_\\.]*)
    |(?P<sign>==|!=|>=|<=|&&|\|\||\?\?|[-+*/%<>=!(),;])""",
    re.VERBOSE | re.DOTALL,
)
#: Operators of two operands, those that bind least first.
LEVELS: tuple[tuple[str, ...], ...] = (
    ("??",),
    ("||",),
    ("&&",),
    ("==", "!=", ">", "<", ">=", "<="),
    ("+", "-"),
    ("*", "/", "%"),
)
WORDS = {"true": True, "false": False, "null": None}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


@dataclass(frozen=True, slots=True)
class Value:
    """A number, text, true, false or null."""

    value: Any


@dataclass(frozen=True, slots=True)
class Name:
    """A variable (with ``$``) or an attribute, with dots behind links."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function, an operator, or an assignment (``=``)."""

    name: str
    arguments: tuple[Node, ...]


Node = Value | Name | Call
Token = tuple[str, str]


def parse(text: str) -> list[Node]:
    """Read a script.

    :return: its statements
    :raises FormulaSyntaxError: if it makes no sense
    """
    tokens = tokens_of(text)
    check_parentheses(tokens)
    return Reader(tokens).statements()


def tokens_of(text: str) -> list[Token]:
    """Words of a script.

    :raises FormulaSyntaxError: for characters that have no meaning
    """
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise FormulaSyntaxError("Attribute name contains not allowed characters.")
        if match.lastgroup != "skip":
            found.append((str(match.lastgroup), match.group()))
        position = match.end()
    return found


def check_parentheses(tokens: list[Token]) -> None:
    """:raises FormulaSyntaxError: if one is not closed, or closed without having been opened"""
    depth = 0
    for token in tokens:
        depth += {"(": 1, ")": -1}.get(token[1], 0) if token[0] == "sign" else 0
        if depth < 0:
            break
    if depth:
        raise FormulaSyntaxError("Incorrect parentheses.")


class Reader:
    """Reads tokens one after the other."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0

    def statements(self) -> list[Node]:
        """All statements."""
        found = []
        while self._position < len(self._tokens):
            if self._take(";"):
                continue
            found.append(self._statement())
            if self._position < len(self._tokens) and not self._take(";"):
                raise FormulaSyntaxError("Attribute name contains not allowed characters.")
        return found

    def _statement(self) -> Node:
        target = self._level(0)
        if not self._take("="):
            return target
        if not isinstance(target, Name):
            raise FormulaSyntaxError("Attribute name contains not allowed characters.")
        return Call("=", (target, self._statement()))

    def _level(self, level: int) -> Node:
        if level == len(LEVELS):
            return self._operand()
        found = self._level(level + 1)
        while (sign := self._peek()) in LEVELS[level]:
            self._position += 1
            found = Call(sign, (found, self._level(level + 1)))
        return found

    def _operand(self) -> Node:
        if self._take("!"):
            return Call("!", (self._operand(),))
        if self._take("-"):
            return Call("-", (Value(0), self._operand()))
        if self._take("("):
            found = self._statement()
            self._close()
            return found
        kind, text = self._tokens[self._position] if self._position < len(self._tokens) else ("sign", "")
        if kind == "sign":
            return Value(None)
        self._position += 1
        match kind:
            case "number":
                return Value(float(text) if "." in text else int(text))
            case "string":
                return Value(re.sub(r"\\(.)", lambda m: ESCAPES.get(m[1], m[1]), text[1:-1], flags=re.DOTALL))
        if self._peek() == "(":
            return self._call(text)
        return Value(WORDS[text.lower()]) if text.lower() in WORDS else Name(text)

    def _call(self, name: str) -> Node:
        self._take("(")
        arguments: list[Node] = []
        while not self._take(")"):
            arguments.append(self._statement())
            while self._take(";"):  # several statements may stand in the place of one argument
                if self._peek() not in (")", ","):
                    arguments.append(Call(";", (arguments.pop(), self._statement())))
            if self._peek() != ")" and not self._take(","):
                raise FormulaSyntaxError("Attribute name contains not allowed characters.")
        return Call(name, tuple(arguments))

    def _close(self) -> None:
        if not self._take(")"):
            raise FormulaSyntaxError("Attribute name contains not allowed characters.")

    def _peek(self) -> str:
        """The next token, if it is a sign."""
        if self._position >= len(self._tokens) or self._tokens[self._position][0] != "sign":
            return ""
        return self._tokens[self._position][1]

    def _take(self, sign: str) -> bool:
        """Whether the next token is this sign; then it is passed."""
        taken = self._peek() == sign
        self._position += taken
        return taken
