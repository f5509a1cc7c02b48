"""The where functions: which operators are offered, and what the items look like."""

from __future__ import annotations

import datetime as dt
import enum
import inspect
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest

from airflow_provider_espo import where
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.where_build import function_name
from airflow_provider_espo.client.where_check import check_where
from airflow_provider_espo.client.where_operators import FORBIDDEN, OPERATORS

# The enum of EspoCRM 10.0's own OpenAPI description, written down by hand.
_OPENAPI = """
and or not subQueryNotIn subQueryIn expression
in notIn equals notEquals on notOn like notLike startsWith endsWith contains notContains
greaterThan lessThan greaterThanOrEquals lessThanOrEquals after before between
ever any none isNull isNotNull isTrue isFalse
today past future lastSevenDays lastXDays nextXDays olderThanXDays afterXDays
currentMonth nextMonth lastMonth currentQuarter lastQuarter currentYear lastYear
currentFiscalYear lastFiscalYear currentFiscalQuarter lastFiscalQuarter
arrayAnyOf arrayNoneOf arrayAllOf arrayIsEmpty arrayIsNotEmpty
linkedWith notLinkedWith linkedWithAll isLinked isNotLinked
"""

# Accepted by the server too, but not in its OpenAPI description.
_OTHER = """
inCategory isUserFromTeams
columnEquals columnNotEquals columnIn columnNotIn columnLike columnIsNull columnIsNotNull
"""

OPENAPI_TYPES = _OPENAPI.split()
OTHER_TYPES = _OTHER.split()

NOT_OFFERED = {
    "not": "refused over the API",
    "subQueryIn": "refused over the API",
    "subQueryNotIn": "refused over the API",
    "expression": "refused over the API",
    "any": "matches every record: leave the filter out instead",
}

# Operator, call, and the item that is sent for it.
CALLS: list[tuple[str, Callable[[], Any], dict[str, Any]]] = [
    (
        "and",
        lambda: where.and_(where.is_true("doNotCall"), where.is_null("accountId")),
        {
            "type": "and",
            "value": [
                {"type": "isTrue", "attribute": "doNotCall"},
                {"type": "isNull", "attribute": "accountId"},
            ],
        },
    ),
    (
        "or",
        lambda: where.or_(where.equals("status", "New")),
        {"type": "or", "value": [{"type": "equals", "attribute": "status", "value": "New"}]},
    ),
    (
        "in",
        lambda: where.in_("source", ("Call", "Email")),
        {"attribute": "source", "value": ["Call", "Email"]},
    ),
    ("notIn", lambda: where.not_in("source", ["Call"]), {"attribute": "source", "value": ["Call"]}),
    ("equals", lambda: where.equals("status", "New"), {"attribute": "status", "value": "New"}),
    ("notEquals", lambda: where.not_equals("amount", 0), {"attribute": "amount", "value": 0}),
    (
        "on",
        lambda: where.on("createdAt", "2026-01-05", time_zone="Europe/Kyiv"),
        {"attribute": "createdAt", "value": "2026-01-05", "dateTime": True, "timeZone": "Europe/Kyiv"},
    ),
    (
        "notOn",
        lambda: where.not_on("closeDate", "2026-01-05"),
        {"attribute": "closeDate", "value": "2026-01-05"},
    ),
    ("like", lambda: where.like("name", "A%h"), {"attribute": "name", "value": "A%h"}),
    ("notLike", lambda: where.not_like("name", "A%h"), {"attribute": "name", "value": "A%h"}),
    ("startsWith", lambda: where.starts_with("name", "A"), {"attribute": "name", "value": "A"}),
    ("endsWith", lambda: where.ends_with("name", "A"), {"attribute": "name", "value": "A"}),
    ("contains", lambda: where.contains("name", "A"), {"attribute": "name", "value": "A"}),
    ("notContains", lambda: where.not_contains("name", "A"), {"attribute": "name", "value": "A"}),
    ("greaterThan", lambda: where.greater_than("amount", 1.5), {"attribute": "amount", "value": 1.5}),
    ("lessThan", lambda: where.less_than("amount", 1), {"attribute": "amount", "value": 1}),
    (
        "greaterThanOrEquals",
        lambda: where.greater_than_or_equals("id", "a"),
        {"attribute": "id", "value": "a"},
    ),
    ("lessThanOrEquals", lambda: where.less_than_or_equals("id", "a"), {"attribute": "id", "value": "a"}),
    (
        "after",
        lambda: where.after("createdAt", "2026-01-05", date_time=True),
        {"attribute": "createdAt", "value": "2026-01-05", "dateTime": True},
    ),
    (
        "before",
        lambda: where.before("closeDate", "2026-01-05"),
        {"attribute": "closeDate", "value": "2026-01-05"},
    ),
    ("between", lambda: where.between("amount", 1, 2), {"attribute": "amount", "value": [1, 2]}),
    ("ever", lambda: where.ever("closeDate"), {"attribute": "closeDate"}),
    ("none", where.none, {"attribute": "id"}),
    ("isNull", lambda: where.is_null("accountId"), {"attribute": "accountId"}),
    ("isNotNull", lambda: where.is_not_null("accountId"), {"attribute": "accountId"}),
    ("isTrue", lambda: where.is_true("doNotCall"), {"attribute": "doNotCall"}),
    ("isFalse", lambda: where.is_false("doNotCall"), {"attribute": "doNotCall"}),
    ("today", lambda: where.today("closeDate"), {"attribute": "closeDate"}),
    (
        "past",
        lambda: where.past("closeDate", time_zone="UTC", date=True),
        {"attribute": "closeDate", "date": True, "timeZone": "UTC"},
    ),
    (
        "future",
        lambda: where.future("dateStart", date_time=True),
        {"attribute": "dateStart", "dateTime": True},
    ),
    ("lastSevenDays", lambda: where.last_seven_days("closeDate"), {"attribute": "closeDate"}),
    (
        "lastXDays",
        lambda: where.last_x_days("createdAt", 7, time_zone="UTC"),
        {"attribute": "createdAt", "value": 7, "dateTime": True, "timeZone": "UTC"},
    ),
    ("nextXDays", lambda: where.next_x_days("closeDate", 0), {"attribute": "closeDate", "value": 0}),
    (
        "olderThanXDays",
        lambda: where.older_than_x_days("closeDate", 3),
        {"attribute": "closeDate", "value": 3},
    ),
    ("afterXDays", lambda: where.after_x_days("closeDate", 3), {"attribute": "closeDate", "value": 3}),
    ("currentMonth", lambda: where.current_month("closeDate"), {"attribute": "closeDate"}),
    ("nextMonth", lambda: where.next_month("closeDate"), {"attribute": "closeDate"}),
    ("lastMonth", lambda: where.last_month("closeDate"), {"attribute": "closeDate"}),
    ("currentQuarter", lambda: where.current_quarter("closeDate"), {"attribute": "closeDate"}),
    ("lastQuarter", lambda: where.last_quarter("closeDate"), {"attribute": "closeDate"}),
    ("currentYear", lambda: where.current_year("closeDate"), {"attribute": "closeDate"}),
    ("lastYear", lambda: where.last_year("closeDate"), {"attribute": "closeDate"}),
    ("currentFiscalYear", lambda: where.current_fiscal_year("closeDate"), {"attribute": "closeDate"}),
    ("lastFiscalYear", lambda: where.last_fiscal_year("closeDate"), {"attribute": "closeDate"}),
    ("currentFiscalQuarter", lambda: where.current_fiscal_quarter("closeDate"), {"attribute": "closeDate"}),
    (
        "lastFiscalQuarter",
        lambda: where.last_fiscal_quarter("createdAt", time_zone="UTC"),
        {"attribute": "createdAt", "dateTime": True, "timeZone": "UTC"},
    ),
    (
        "arrayAnyOf",
        lambda: where.array_any_of("tags", ["A", "B"]),
        {"attribute": "tags", "value": ["A", "B"]},
    ),
    ("arrayNoneOf", lambda: where.array_none_of("tags", ["A"]), {"attribute": "tags", "value": ["A"]}),
    ("arrayAllOf", lambda: where.array_all_of("tags", "A"), {"attribute": "tags", "value": "A"}),
    ("arrayIsEmpty", lambda: where.array_is_empty("tags"), {"attribute": "tags"}),
    ("arrayIsNotEmpty", lambda: where.array_is_not_empty("tags"), {"attribute": "tags"}),
    (
        "linkedWith",
        lambda: where.linked_with("teams", ["t1", "t2"]),
        {"attribute": "teams", "value": ["t1", "t2"]},
    ),
    ("notLinkedWith", lambda: where.not_linked_with("teams", "t1"), {"attribute": "teams", "value": ["t1"]}),
    (
        "linkedWithAll",
        lambda: where.linked_with_all("teams", ["t1"]),
        {"attribute": "teams", "value": ["t1"]},
    ),
    ("isLinked", lambda: where.is_linked("account"), {"attribute": "account"}),
    ("isNotLinked", lambda: where.is_not_linked("account"), {"attribute": "account"}),
    ("inCategory", lambda: where.in_category("folder", "f1"), {"attribute": "folder", "value": "f1"}),
    (
        "isUserFromTeams",
        lambda: where.is_user_from_teams("assignedUser", ["t1"]),
        {"attribute": "assignedUser", "value": ["t1"]},
    ),
    ("columnEquals", lambda: where.column_equals("role", "CEO"), {"attribute": "role", "value": "CEO"}),
    (
        "columnNotEquals",
        lambda: where.column_not_equals("role", "CEO"),
        {"attribute": "role", "value": "CEO"},
    ),
    ("columnIn", lambda: where.column_in("role", ["CEO"]), {"attribute": "role", "value": ["CEO"]}),
    ("columnNotIn", lambda: where.column_not_in("role", ["CEO"]), {"attribute": "role", "value": ["CEO"]}),
    ("columnLike", lambda: where.column_like("role", "C%"), {"attribute": "role", "value": "C%"}),
    ("columnIsNull", lambda: where.column_is_null("role"), {"attribute": "role"}),
    ("columnIsNotNull", lambda: where.column_is_not_null("role"), {"attribute": "role"}),
]


class Source(enum.Enum):
    CALL = "Call"


class Status(enum.StrEnum):
    NEW = "New"


def test_every_operator_of_espocrm_is_offered_or_left_out_for_a_reason() -> None:
    assert len(OPENAPI_TYPES) == 61
    offered = {operator for operator, _, _ in CALLS}
    assert offered | set(NOT_OFFERED) == set(OPENAPI_TYPES) | set(OTHER_TYPES)
    assert not offered & set(NOT_OFFERED)


def test_each_offered_operator_has_one_function_and_each_function_one_operator() -> None:
    functions = {name for name, thing in vars(where).items() if inspect.isfunction(thing)}
    assert functions == {function_name(operator) for operator, _, _ in CALLS}
    assert functions == set(where.__all__)


def test_the_table_of_operators_knows_what_the_server_knows() -> None:
    folded_into_parameters = {"bool", "primary", "textFilter"}
    assert set(OPERATORS) | set(FORBIDDEN) == set(OPENAPI_TYPES) | set(OTHER_TYPES) | folded_into_parameters


@pytest.mark.parametrize(("operator", "call", "expected"), CALLS, ids=[operator for operator, _, _ in CALLS])
def test_function_makes_the_item_of_its_operator(
    operator: str, call: Callable[[], Any], expected: dict[str, Any]
) -> None:
    item = call()
    assert item == {"type": operator, **expected}
    assert type(item) is dict
    assert check_where([item], rendered=True) == [item]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (True, True),
        (0, 0),
        (1.5, 1.5),
        (Decimal("200.50"), 200.5),
        (Decimal("3.00"), 3),
        (Decimal("0.12345678901234567890"), "0.12345678901234567890"),
        (Source.CALL, "Call"),
        (Status.NEW, "New"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (dt.date(2026, 1, 5), "2026-01-05"),
        (pendulum.date(2026, 1, 5), "2026-01-05"),
        (dt.datetime(2026, 1, 5, 10, 0, 0, 999999), "2026-01-05 10:00:00"),  # noqa: DTZ001
        (dt.datetime(2026, 1, 5, 10, tzinfo=ZoneInfo("Europe/Kyiv")), "2026-01-05 08:00:00"),
        (pendulum.datetime(2026, 7, 5, 10, tz="Europe/Kyiv"), "2026-07-05 07:00:00"),
        ("2026-01-05T10:00:00+02:00", "2026-01-05 08:00:00"),
        ("2026-01-05 10:00:00+00:00", "2026-01-05 10:00:00"),
        ("2026-01-05T10:00:00.123456Z", "2026-01-05 10:00:00"),
        ("2026-01-05T10:00:00", "2026-01-05 10:00:00"),
        ("2026-01-05 10:00:00", "2026-01-05 10:00:00"),
        ("2026-01-05 10:00", "2026-01-05 10:00"),
        ("2026-13-45T10:00:00Z", "2026-13-45T10:00:00Z"),
        ("Zoë, 株式会社", "Zoë, 株式会社"),
        ("{{ data_interval_start }}", "{{ data_interval_start }}"),
    ],
)
def test_values_become_plain_json_at_once(given: object, sent: object) -> None:
    value = where.greater_than("modifiedAt", given)["value"]
    assert value == sent
    assert type(value) is type(sent)
    assert where.in_("modifiedAt", [given])["value"] == [sent]


def test_a_float_zero_is_sent_as_an_integer_which_php_does_not_take_for_empty() -> None:
    value = where.equals("amount", -0.0)["value"]
    assert value == 0
    assert isinstance(value, int)


def test_text_operators_leave_iso_times_as_they_are() -> None:
    assert where.like("externalStamp", "2026-01-05T10:00:00Z")["value"] == "2026-01-05T10:00:00Z"
    assert where.contains("name", "2026-01-05T10:00:00Z")["value"] == "2026-01-05T10:00:00Z"


@pytest.mark.parametrize("function", [where.on, where.before, where.after])
def test_with_a_zone_an_instant_becomes_local_time_there(function: Callable[..., Any]) -> None:
    instant = dt.datetime(2026, 1, 5, 22, 30, tzinfo=dt.UTC)
    for given in (instant, pendulum.instance(instant), "2026-01-05T22:30:00Z"):
        item = function("createdAt", given, time_zone="Europe/Kyiv")
        assert item["value"] == "2026-01-06 00:30:00"
        assert (item["dateTime"], item["timeZone"]) == (True, "Europe/Kyiv")


def test_with_a_zone_a_time_without_one_is_local_already() -> None:
    naive = dt.datetime(2026, 1, 5, 22, 30)  # noqa: DTZ001
    assert where.after("createdAt", naive, time_zone="Europe/Kyiv")["value"] == "2026-01-05 22:30:00"


def test_date_time_without_a_zone_reads_an_instant_as_utc_and_not_in_the_servers_zone() -> None:
    item = where.before("createdAt", "2026-01-05T22:30:00+02:00", date_time=True)
    assert (item["value"], item["timeZone"]) == ("2026-01-05 20:30:00", "UTC")
    low, high = dt.datetime(2026, 1, 5, tzinfo=dt.UTC), dt.datetime(2026, 1, 6, tzinfo=dt.UTC)
    assert where.between("createdAt", low, high, date_time=True)["timeZone"] == "UTC"


def test_date_time_without_a_zone_refuses_an_instant_beside_a_local_date() -> None:
    with pytest.raises(EspoInputError, match="Give the time zone"):
        where.between("createdAt", dt.datetime(2026, 1, 5, tzinfo=dt.UTC), "2026-01-06", date_time=True)


def test_the_zone_may_be_an_object() -> None:
    assert where.today("createdAt", time_zone=ZoneInfo("Asia/Tokyo"))["timeZone"] == "Asia/Tokyo"  # type: ignore[arg-type]


def test_not_on_of_a_date_time_is_made_of_before_or_after() -> None:
    rest = {"attribute": "createdAt", "value": "2026-01-05", "dateTime": True, "timeZone": "UTC"}
    assert where.not_on("createdAt", "2026-01-05", time_zone="UTC") == {
        "type": "or",
        "value": [{"type": "before", **rest}, {"type": "after", **rest}],
    }


def test_text_zero_in_a_group_is_sent_as_a_list_which_espocrm_does_not_drop() -> None:
    item = where.or_(where.equals("a", "0"), where.not_equals("b", "0"), where.like("c", "0"))
    assert [(inner["type"], inner["value"]) for inner in item["value"]] == [
        ("in", ["0"]),
        ("notIn", ["0"]),
        ("in", ["0"]),
    ]
    assert where.equals("a", "0")["value"] == "0"
    with pytest.raises(EspoInputError, match="Give the number 0"):
        where.or_(where.greater_than("a", "0"))


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"a", "b"}, "fixed order"),
        (frozenset("a"), "fixed order"),
        ({"a": 1}.keys(), "list"),
        ({"a": 1}.values(), "list"),
        ((letter for letter in "ab"), "list"),
        (iter(["a"]), "list"),
        (b"a", "text"),
        (bytearray(b"a"), "text"),
        (dt.time(1), "text"),
        (dt.timedelta(days=1), "text"),
        (lambda: "a", "Call the task"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (Decimal("NaN"), "NaN"),
        ("\ud800", "surrogate"),
    ],
)
def test_what_cannot_be_sent_is_refused_where_it_is_written(value: object, hint: str) -> None:
    with pytest.raises(EspoInputError, match=hint):
        where.equals("name", value)
    with pytest.raises(EspoInputError, match=hint):
        where.in_("name", [value])


@pytest.mark.parametrize("value", [{"a", "b"}, (letter for letter in "ab"), {"a": 1}.keys()])
def test_a_list_argument_says_why_a_set_or_generator_will_not_do(value: object) -> None:
    with pytest.raises(EspoInputError, match=r"(?i)give a list"):
        where.in_("id", value)
    with pytest.raises(EspoInputError, match=r"(?i)give a list"):
        where.linked_with("teams", value)


@pytest.mark.parametrize(
    "call",
    [
        where.and_,
        where.or_,
        lambda: where.or_([where.is_true("a")]),
        lambda: where.equals("", 1),
        lambda: where.equals("a", None),
        lambda: where.equals("a", {"b": 1}),
        lambda: where.equals("account.name", "x"),
        lambda: where.equals("MONTH:(createdAt)", 1),
        lambda: where.equals("first name", "x"),
        lambda: where.in_("id", []),
        lambda: where.in_("id", "abc"),
        lambda: where.in_("id", ["a", None]),
        lambda: where.greater_than("a", [1]),
        lambda: where.contains("a", ""),
        lambda: where.contains("a", 5),  # type: ignore[arg-type]
        lambda: where.contains("a", ["b"]),  # type: ignore[arg-type]
        lambda: where.on("closeDate", "5.1.2026"),
        lambda: where.on("closeDate", "2026-02-30"),
        lambda: where.on("closeDate", 20260105),
        lambda: where.on("closeDate", ["2026-01-05"]),
        lambda: where.between("createdAt", "x", "y", time_zone="UTC"),
        lambda: where.between("amount", 1, None),
        lambda: where.today("createdAt", time_zone="Europe/Kiev2"),
        lambda: where.today("createdAt", time_zone="../etc"),
        lambda: where.today("createdAt", date_time=True, date=True),
        lambda: where.last_x_days("createdAt", -1),
        lambda: where.last_x_days("createdAt", True),
        lambda: where.last_x_days("createdAt", "seven"),
        lambda: where.last_x_days("createdAt", None),
        lambda: where.linked_with("teams", []),
        lambda: where.linked_with("teams", [""]),
        lambda: where.linked_with("teams", 5),
        lambda: where.in_category("folder", None),
        lambda: where.is_user_from_teams("assignedUser", None),
        lambda: where.array_all_of("tags", []),
        lambda: where.column_in("role", "CEO"),
    ],
)
def test_what_espocrm_would_refuse_or_misread_is_an_error_at_once(call: Callable[[], Any]) -> None:
    with pytest.raises(EspoInputError):
        call()


def test_a_number_of_days_may_be_text_as_a_template_renders_it() -> None:
    assert where.last_x_days("createdAt", "7")["value"] == 7
    assert where.last_x_days("createdAt", "{{ params.days }}")["value"] == "{{ params.days }}"


def test_items_are_the_same_in_every_process() -> None:
    code = (
        "import json; from airflow_provider_espo.where import *; "
        "print(json.dumps([or_(in_('a', ['x', 'y']), last_x_days('b', 3, time_zone='UTC')), not_on('c', "
        "'2026-01-05', date_time=True), linked_with('teams', ('t', 'u'))]))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert json.loads(outputs.pop())


@pytest.mark.parametrize(
    ("item", "counts_moments"),
    [
        (lambda: where.last_x_days("createdAt", 7), True),
        (lambda: where.today("modifiedAt"), True),
        (lambda: where.last_month("convertedAt"), True),
        (lambda: where.older_than_x_days("streamUpdatedAt", "{{ params.days }}"), True),
        (lambda: where.last_x_days("closeDate", 7), False),
        (lambda: where.last_x_days("dateStart", 7), False),
        (lambda: where.today("createdAt", date=True), False),
        (lambda: where.on("createdAt", "2026-01-05"), False),
        (lambda: where.is_null("createdAt"), False),
    ],
)
def test_days_counted_from_now_take_an_attribute_named_at_for_a_date_with_time(item: Any, counts_moments: bool) -> None:
    assert item().get("dateTime", False) is counts_moments
