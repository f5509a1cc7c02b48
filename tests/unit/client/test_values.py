"""Attribute values on their way to the server."""

from __future__ import annotations

import enum
import uuid
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from hypothesis import given

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.values import to_wire
from tests.unit.client.deals import DEAL, clock, points_in_time

if TYPE_CHECKING:
    from airflow_provider_espo.client.schema import EntitySchema


class Stage(enum.StrEnum):
    OPEN = "Open"


class Level(enum.Enum):
    HIGH = 3


def sent(name: str, value: Any) -> Any:
    return to_wire({name: value}, DEAL)[name]


class NumpyScalar:
    """As NumPy's scalars look from outside; NumPy itself is nothing that this provider brings."""

    shape = ()

    def __init__(self, kind: str, value: Any) -> None:
        self.dtype = SimpleNamespace(kind=kind)
        self.value = value

    def item(self) -> Any:
        return self.value


class TestWithoutSchema:
    @pytest.mark.parametrize(
        ("value", "wire"),
        [
            (None, None),
            (True, True),
            (5, 5),
            (2.5, 2.5),
            ("x", "x"),
            (clock(2031, 5, 10, 10, 0, 0, 999_999), "2031-05-10 10:00:00"),
            (datetime(2031, 5, 10, 10, tzinfo=timezone(timedelta(hours=2))), "2031-05-10 08:00:00"),
            (pendulum.datetime(2031, 1, 1, 0, 30, tz="Europe/Berlin"), "2030-12-31 23:30:00"),
            (date(2031, 5, 10), "2031-05-10"),
            (pendulum.date(2031, 5, 10), "2031-05-10"),
            (date(31, 1, 2), "0031-01-02"),
            (Decimal("10"), 10),
            (Decimal("10.50"), 10.5),
            (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
            (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            (Stage.OPEN, "Open"),
            (Level.HIGH, 3),
            (("a", Stage.OPEN), ["a", "Open"]),
            ({"a": (date(2031, 1, 1), {"b": None})}, {"a": ["2031-01-01", {"b": None}]}),
        ],
    )
    def test_values_become_what_json_has(self, value: Any, wire: Any) -> None:
        result = to_wire({"x": value})["x"]
        assert result == wire
        assert type(result) is type(wire)

    def test_texts_stay_as_they_are(self) -> None:
        assert to_wire({"sentAt": "2031-05-10T10:00:00+02:00"}) == {"sentAt": "2031-05-10T10:00:00+02:00"}

    def test_what_is_given_is_not_changed(self) -> None:
        given_values = {"tags": [Level.HIGH]}
        to_wire(given_values)
        assert given_values == {"tags": [Level.HIGH]}

    @pytest.mark.parametrize(
        "value",
        [
            float("nan"),
            float("inf"),
            Decimal("NaN"),
            Decimal("-Infinity"),
            Decimal("1e9000"),
            b"secret",
            {"secret"},
            object(),
            timedelta(days=1),
            time(10),
            {5: "secret"},
            {"secret": {None: 1}},
            [{"secret": [b"secret"]}],
            (character for character in "secret"),
            "\ud800secret",
            datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
        ],
    )
    @pytest.mark.parametrize("schema", [None, DEAL])
    def test_what_json_does_not_have_is_refused_without_showing_it(
        self, value: Any, schema: EntitySchema | None
    ) -> None:
        with pytest.raises(EspoInputError) as caught:
            to_wire({"name": "ok", "settings": value}, schema)
        assert str(caught.value).startswith("settings")
        assert "secret" not in str(caught.value)

    def test_the_path_leads_to_the_bad_value(self) -> None:
        with pytest.raises(EspoInputError, match=r"emailAddressData\[1\]\.optOut: "):
            to_wire({"emailAddressData": [{"emailAddress": "a@b.c"}, {"optOut": b""}]}, DEAL)

    def test_a_value_within_itself_is_refused(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        with pytest.raises(EspoInputError, match=r"^tags: nested"):
            to_wire({"tags": loop})

    @pytest.mark.parametrize("attributes", [None, "name", ["name"], [("name", "x")], 5])
    def test_attributes_must_be_a_mapping(self, attributes: Any) -> None:
        with pytest.raises(EspoInputError, match="mapping"):
            to_wire(attributes)

    @pytest.mark.parametrize("name", [5, None, "", b"name"])
    def test_names_must_be_texts(self, name: Any) -> None:
        with pytest.raises(EspoInputError, match="name"):
            to_wire({name: 1})

    def test_scalars_of_numpy_are_taken_and_its_missing_times_are_not(self) -> None:
        wire = to_wire({"a": NumpyScalar("i", 5), "b": NumpyScalar("b", True), "c": [NumpyScalar("f", 0.5)]})
        assert wire == {"a": 5, "b": True, "c": [0.5]}
        for refused in (NumpyScalar("M", 1_900_000_000), NumpyScalar("f", float("nan"))):
            with pytest.raises(EspoInputError):
                to_wire({"a": refused})


class TestDatesAndTimes:
    @pytest.mark.parametrize(
        "text",
        [
            "2031-05-10 10:00:00",
            "2031-05-10 10:00",
            "2031-05-10T10:00:00",
            "2031-05-10T10:00:00Z",
            "2031-05-10 10:00:00Z",
            "2031-05-10T12:00:00+02:00",
            "2031-05-10T12:00:00.000+0200",
            "2031-05-10T10:00:00.123456",
            "2031-05-10t05:00-05",
            " 2031-05-10 10:00:00 ",
        ],
    )
    @pytest.mark.parametrize("name", ["sentAt", "dateEnd"])
    def test_iso_texts_become_the_utc_form(self, name: str, text: str) -> None:
        assert sent(name, text) == "2031-05-10 10:00:00"

    @pytest.mark.parametrize("text", ["soon", "", "10.05.2031 10:00", "2031-13-10 10:00:00", "2031-05-10 25:00"])
    def test_other_texts_are_left_for_the_server_to_refuse(self, text: str) -> None:
        assert sent("sentAt", text) == text

    @pytest.mark.parametrize("day", [date(2031, 5, 10), "2031-05-10", pendulum.date(2031, 5, 10)])
    def test_a_bare_date_is_no_point_in_time(self, day: Any) -> None:
        with pytest.raises(EspoInputError, match=r"sentAt.*time of day") as caught:
            sent("sentAt", day)
        assert "2031" not in str(caught.value)
        with pytest.raises(EspoInputError, match="set dateEndDate instead"):
            sent("dateEnd", day)
        assert sent("dateEndDate", day) == "2031-05-10"

    @pytest.mark.parametrize(
        "value",
        [
            date(2031, 5, 10),
            "2031-05-10",
            clock(2031, 5, 10),
            datetime(2031, 5, 10, tzinfo=timezone(timedelta(hours=9))),
            pendulum.datetime(2031, 5, 10, tz="America/New_York"),
            "2031-05-10T00:00:00+02:00",
            "2031-05-10 00:00:00",
        ],
    )
    def test_a_date_is_the_day_on_the_clock_of_what_is_given(self, value: Any) -> None:
        assert sent("closeDate", value) == "2031-05-10"

    @pytest.mark.parametrize(
        "value", [datetime(2031, 5, 9, 22, tzinfo=UTC), "2031-05-09T22:00:00Z", "2031-05-09 22:00:00"]
    )
    def test_a_time_of_day_is_refused_for_a_date_because_the_day_is_doubtful(self, value: Any) -> None:
        with pytest.raises(EspoInputError, match=r"closeDate.*zone") as caught:
            sent("closeDate", value)
        assert "2031" not in str(caught.value)

    @given(points_in_time)
    def test_a_point_in_time_stays_the_same_instant(self, moment: datetime) -> None:
        read = datetime.fromisoformat(sent("sentAt", moment)).replace(tzinfo=UTC)
        meant = moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment.astimezone(UTC)
        assert read == meant.replace(microsecond=0)
        assert sent("sentAt", moment.isoformat()) == sent("sentAt", moment)


class TestWhatTheServerWouldStoreOtherwise:
    @pytest.mark.parametrize("name", ["name", "description", "stage", "accountId", "emailAddress"])
    @pytest.mark.parametrize("value", [["secret"], {"secret": 1}, ("secret",)])
    def test_a_list_or_map_is_no_text(self, name: str, value: Any) -> None:
        with pytest.raises(EspoInputError, match=name) as caught:
            sent(name, value)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("value", ["secret", {"a": "b"}, 5, [5], [""], [None]])
    def test_ids_must_be_a_list_of_ids(self, value: Any) -> None:
        with pytest.raises(EspoInputError, match="contactsIds must be a list"):
            sent("contactsIds", value)

    def test_ids_may_be_uuids_and_an_empty_list(self) -> None:
        assert sent("contactsIds", (uuid.UUID(int=1),)) == ["00000000-0000-0000-0000-000000000001"]
        assert sent("contactsIds", []) == []

    @pytest.mark.parametrize(
        ("value", "wire"),
        [
            (True, True),
            (1, True),
            (0.0, False),
            ("TRUE", True),
            (" false ", False),
            ("0", False),
            (None, None),
        ],
    )
    def test_a_bool_may_come_from_a_template(self, value: Any, wire: bool | None) -> None:
        assert sent("urgent", value) is wire

    @pytest.mark.parametrize("value", ["yes", "", 2, [], "None"])
    def test_what_reads_as_the_wrong_bool_is_refused(self, value: Any) -> None:
        with pytest.raises(EspoInputError, match="urgent is a bool"):
            sent("urgent", value)

    @pytest.mark.parametrize("value", [10.5, Decimal("10.5"), "10.5"])
    def test_a_fraction_is_no_integer(self, value: Any) -> None:
        with pytest.raises(EspoInputError, match="count is an integer"):
            sent("count", value)

    @pytest.mark.parametrize(("value", "wire"), [(10.0, 10), (Decimal("10.00"), 10), ("10", 10), ("ten", "ten")])
    def test_a_whole_number_is_an_integer_however_it_comes(self, value: Any, wire: Any) -> None:
        result = sent("count", value)
        assert (result, type(result)) == (wire, type(wire))

    @pytest.mark.parametrize(
        ("value", "wire"),
        [(Decimal("2000.250"), "2000.250"), (5, "5"), (0.1, "0.1"), (1e-7, "0.0000001"), ("3.10", "3.10")],
    )
    def test_a_decimal_is_sent_as_text_without_an_exponent(self, value: Any, wire: str) -> None:
        assert sent("price", value) == wire

    @pytest.mark.parametrize("name", ["contactsColumns", "emailAddressData", "phoneNumberData"])
    @pytest.mark.parametrize("value", ["secret", 5, ["secret"], {"a": "secret"}])
    def test_compound_values_must_have_their_shape(self, name: str, value: Any) -> None:
        with pytest.raises(EspoInputError, match=f"{name} must be a") as caught:
            sent(name, value)
        assert "secret" not in str(caught.value)
