"""Runs a script that was read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_provider_espo.sandbox.formula.failures import FormulaError
from airflow_provider_espo.sandbox.formula.parse import Call, Name, Node, Value
from airflow_provider_espo.sandbox.formula.values import compare, is_true, number, same, text_of


class Target(Protocol):
    """The record that a script is run for."""

    def get(self, name: str) -> Any:
        """An attribute; with dots one of a record that it points to."""

    def set(self, name: str, value: Any) -> None:
        """Set an attribute."""


#: Takes the values of the arguments.
Function = Callable[[Sequence[Any]], Any]


@dataclass
class Script:
    """A script that is run.

    :param functions: functions by name
    :param target: record for attributes; None for none
    :param output: what was printed; None if nothing was
    """

    functions: Mapping[str, Function]
    target: Target | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    output: str | None = None

    def run(self, statements: Sequence[Node]) -> None:
        """Run statements, in order.

        :raises FormulaError: if one cannot be run
        """
        for statement in statements:
            self.value(statement)

    def value(self, node: Node) -> Any:
        """Work out the value of a part.

        :raises FormulaError: if it cannot be
        """
        match node:
            case Value(value):
                return value
            case Name(name):
                return self._read(name)
            case Call(name, arguments):
                return self._call(name, arguments)

    def _read(self, name: str) -> Any:
        if name.startswith("$"):
            return self.variables.get(name[1:])
        if self.target is None:
            raise FormulaError("Entity required but not passed.")
        return self.target.get(name)

    def _write(self, name: str, value: Any) -> Any:
        if name.startswith("$"):
            self.variables[name[1:]] = value
        elif self.target is None:
            raise FormulaError("Entity required but not passed.")
        else:
            self.target.set(name, value)
        return value

    def _call(self, name: str, arguments: Sequence[Node]) -> Any:
        if name in LAZY:
            return LAZY[name](self, arguments)
        values = [self.value(argument) for argument in arguments]
        if name in OPERATORS:
            return OPERATORS[name](*values)
        if name in PRINTING:
            return self._print(values, is_line=PRINTING[name])
        function = self.functions.get(name)
        if function is None:
            raise FormulaError(f"Unknown function: {name}")
        try:
            return function(values)
        except IndexError:
            raise FormulaError(f"Function: {name}; Too few arguments passed.") from None
        except (ValueError, TypeError, OverflowError) as error:
            raise FormulaError(f"Function: {name}; Bad argument: {error}.") from None

    # --- what does not need the values of all its arguments ---

    def _assign(self, arguments: Sequence[Node]) -> Any:
        name, right = arguments
        assert isinstance(name, Name)  # noqa: S101 - the reader makes no other assignments
        return self._write(name.name, self.value(right))

    def _sequence(self, arguments: Sequence[Node]) -> Any:
        return [self.value(argument) for argument in arguments][-1]

    def _and(self, arguments: Sequence[Node]) -> bool:
        return all(is_true(self.value(argument)) for argument in arguments)

    def _or(self, arguments: Sequence[Node]) -> bool:
        return any(is_true(self.value(argument)) for argument in arguments)

    def _not(self, arguments: Sequence[Node]) -> bool:
        return not is_true(self.value(arguments[0]))

    def _coalesce(self, arguments: Sequence[Node]) -> Any:
        value = self.value(arguments[0])
        return self.value(arguments[1]) if value is None else value

    def _if_then(self, arguments: Sequence[Node]) -> Any:
        need("ifThen", arguments, 2)
        return self.value(arguments[1]) if is_true(self.value(arguments[0])) else None

    def _if_then_else(self, arguments: Sequence[Node]) -> Any:
        need("ifThenElse", arguments, 3)
        return self.value(arguments[1 if is_true(self.value(arguments[0])) else 2])

    def _print(self, values: Sequence[Any], *, is_line: bool) -> None:
        need("output\\print", values, 1)
        between = "\n" if is_line and self.output is not None else ""
        self.output = (self.output or "") + between + text_of(values[0])


def need(name: str, arguments: Sequence[Any], count: int) -> None:
    """:raises FormulaError: if a function has too few arguments"""
    if len(arguments) < count:
        raise FormulaError(f"Function: {name}; Too few arguments passed.")


def divide(left: Any, right: Any) -> float:
    """A quotient."""
    if number(right) == 0:
        raise FormulaError("Division by zero.")
    return number(left) / number(right)


def remainder(left: Any, right: Any) -> float:
    """What is left after a division of whole numbers."""
    if int(number(right)) == 0:
        raise FormulaError("Division by zero.")
    return int(number(left)) % int(number(right))


OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda left, right: number(left) + number(right),
    "-": lambda left, right: number(left) - number(right),
    "*": lambda left, right: number(left) * number(right),
    "/": divide,
    "%": remainder,
    "==": same,
    "!=": lambda left, right: not same(left, right),
    ">": lambda left, right: compare(left, right) > 0,
    "<": lambda left, right: compare(left, right) < 0,
    ">=": lambda left, right: compare(left, right) >= 0,
    "<=": lambda left, right: compare(left, right) <= 0,
}
#: Whether what is printed begins on a line of its own.
PRINTING: Mapping[str, bool] = {"output\\print": False, "output\\printLine": True}
#: What is not done by a function of all values.
LAZY: Mapping[str, Callable[[Script, Sequence[Node]], Any]] = {
    "=": Script._assign,
    ";": Script._sequence,
    "&&": Script._and,
    "||": Script._or,
    "!": Script._not,
    "??": Script._coalesce,
    "ifThen": Script._if_then,
    "ifThenElse": Script._if_then_else,
}
