from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from airflow_provider_espo.sandbox.formula import FormulaError, FormulaSyntaxError, Script, parse
from airflow_provider_espo.sandbox.formula.functions import functions


class Record:
    """A record that a script is run for."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def get(self, name: str) -> Any:
        return self.values.get(name)

    def set(self, name: str, value: Any) -> None:
        self.values[name] = value


def clock() -> dt.datetime:
    return dt.datetime(2030, 1, 31, 12, 0, tzinfo=dt.UTC)


def run(text: str, target: Record | None = None) -> Script:
    script = Script(functions(clock, {"userName": "ada"}, target), target)
    script.run(parse(text))
    return script


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 - 2 - 1", 4),
        ("7 / 2", 3.5),
        ("7 % 4", 3),
        ("-2 + 5", 3),
        ("2 > 1 && 1 >= 1", True),
        ("1 == 2 || !(1 != 1)", True),
        ("'a' == 'b'", False),
        ("1 == true", False),
        ("'10' + 1", 11),
        ("null ?? 'x'", "x"),
        ("'it\\'s'", "it's"),
        ("1 +", 1),
        ("ifThen(false, 1)", None),
        ("ifThen(true, 1)", 1),
        ("ifThenElse(1 > 2, 'a', 'b')", "b"),
        ("string\\concatenate('a', 1, null, 'b')", "a1b"),
        ("string\\upperCase(string\\substring('hello', 1, 3))", "ELL"),
        ("string\\substring('hello', -2)", "lo"),
        ("string\\contains('hello', 'ell')", True),
        ("string\\pos('hello', 'x')", False),
        ("number\\round(2.345, 2)", 2.35),
        ("number\\round(-2.5)", -3),
        ("array\\includes(list(1, 2), 2)", True),
        ("array\\length(array\\push(list(), 'a'))", 1),
        ("array\\join(list('a', 'b'), ', ')", "a, b"),
        ("datetime\\today()", "2030-01-31"),
        ("datetime\\addDays(datetime\\now(), 1)", "2030-02-01 12:00:00"),
        ("datetime\\addDays('2030-02-28', 1)", "2030-03-01"),
        ("env\\userAttribute('userName')", "ada"),
    ],
)
def test_value(text: str, value: Any) -> None:
    found = run(f"$x = {text};").variables["x"]
    assert found == value
    assert isinstance(found, bool) == isinstance(value, bool)


def test_statements_share_variables_and_comments_are_no_statements() -> None:
    script = run("// first\n$a = 1;\n/* then */ $b = $a + 1; output\\print($b)")
    assert script.output == "2"


def test_what_is_not_chosen_is_not_run() -> None:
    assert run("ifThenElse(false, output\\print('a'), output\\print('b'))").output == "b"
    assert run("false && output\\print('a')").output is None


def test_several_statements_stand_in_one_argument() -> None:
    script = run("ifThen(true, $a = 1; $b = $a + 1;)")
    assert script.variables == {"a": 1, "b": 2}


def test_lines_are_lines_of_their_own() -> None:
    assert run("output\\print('a'); output\\print('b'); output\\printLine('c')").output == "ab\nc"


def test_attributes_are_those_of_the_record() -> None:
    record = Record(status="New", amount=2)
    run("amount = amount * 2; entity\\setAttribute('status', 'Dead')", record)
    assert record.values == {"status": "Dead", "amount": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nope\\nope()", "Unknown function: nope\\nope"),
        ("1 / 0", "Division by zero."),
        ("status = 'x'", "Entity required but not passed."),
        ("ifThen(true)", "Function: ifThen; Too few arguments passed."),
        ("string\\length()", "Function: string\\length; Too few arguments passed."),
    ],
)
def test_failures_are_told(text: str, message: str) -> None:
    with pytest.raises(FormulaError) as failure:
        run(text)
    assert str(failure.value) == message
    assert not isinstance(failure.value, FormulaSyntaxError)


@pytest.mark.parametrize("text", ["ifThen(", ")", "(1", "1)) + ((1"])
def test_parentheses_have_to_match(text: str) -> None:
    with pytest.raises(FormulaSyntaxError, match=r"^Incorrect parentheses"):
        parse(text)


@pytest.mark.parametrize("text", ["a b", "1 = 2", "@", "f(1 2)", "if (1) { 2 }", "'open"])
def test_what_makes_no_sense_is_a_syntax_error(text: str) -> None:
    with pytest.raises(FormulaSyntaxError):
        parse(text)


def test_a_parenthesis_within_a_text_is_none() -> None:
    assert run("$x = '('").variables == {"x": "("}
