"""What holds for all values that can be sent."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.comparing import changed
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.values import to_wire
from tests.unit.client.deals import DEAL, points_in_time

texts = st.text(st.characters(codec="utf-8"), max_size=12)
ids = st.text("0123456789abcdef", min_size=1, max_size=6)
numbers = st.integers(-(10**12), 10**12) | st.floats(-1e12, 1e12) | st.decimals(-(10**9), 10**9, places=3)
jsons = st.recursive(
    st.none() | st.booleans() | numbers | texts | points_in_time,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
flags = st.fixed_dictionaries({}, optional={"primary": st.booleans(), "optOut": st.booleans()})
attributes = st.fixed_dictionaries(
    {},
    optional={
        "name": st.none() | texts | numbers | st.uuids() | points_in_time,
        "description": st.none() | texts,
        "stage": st.sampled_from(["", "Open", None, "Won"]),
        "count": st.none() | st.integers() | st.integers(-9, 9).map(str),
        "ratio": st.none() | numbers,
        "amount": st.none() | numbers | st.decimals(-99, 99, places=2).map(str),
        "price": st.none() | numbers,
        "urgent": st.none() | st.booleans() | st.sampled_from(["True", "0"]),
        "closeDate": st.none() | st.dates(),
        "sentAt": st.none() | points_in_time | points_in_time.map(datetime.isoformat),
        "dateEnd": st.none() | points_in_time,
        "dateEndDate": st.none() | st.dates(),
        "accountId": st.none() | ids,
        "parentType": st.sampled_from(["Account", "Lead"]),
        "parentId": ids,
        "contactsIds": st.none() | st.lists(ids, max_size=4),
        "contactsColumns": st.dictionaries(ids, st.dictionaries(st.just("role"), texts, max_size=1), max_size=3),
        "tags": st.none() | st.lists(texts, max_size=3),
        "settings": st.dictionaries(texts, jsons, max_size=3),
        "emailAddress": st.none() | st.emails(),
        "emailAddressData": st.lists(
            st.builds(lambda address, more: {"emailAddress": address, **more}, st.emails(), flags), max_size=3
        ),
        "phoneNumber": st.none() | st.from_regex(r"\+[0-9]{6,9}", fullmatch=True),
        "unknown": jsons,
    },
)


def stored(name: str, value: Any) -> Any:
    """What the server answers after it was sent a value: trimmed, empty texts as null, kinds as it keeps them."""
    if isinstance(value, str) and name in {"name", "stage", "accountId", "phoneNumber", "emailAddress"}:
        value = value.strip() or None
    if name == "name" and isinstance(value, float | int) and not isinstance(value, bool):
        return str(int(value)) if value == int(value) and abs(value) < 1e15 else str(value)
    if name in {"ratio", "amount"} and value is not None:
        return float(value)
    if name == "count" and value is not None:
        return int(value)
    if name == "price" and value is not None:
        return f"{Decimal(value):.4f}"
    if name == "contactsIds":
        return sorted(set(value or []))
    if name == "tags":
        return [item.strip() for item in value or []]
    if name == "emailAddressData":
        seen: dict[str, Any] = {}
        for item in value:
            lower = item["emailAddress"].lower()
            seen.setdefault(lower, {"lower": lower, "primary": False, "optOut": False, "invalid": False, **item})
        return list(reversed(seen.values()))
    return value


class TestForAllValues:
    @given(attributes)
    def test_doing_it_twice_is_doing_it_once(self, values: dict[str, Any]) -> None:
        for schema in (None, DEAL):
            once = to_wire(values, schema)
            assert json.dumps(to_wire(once, schema)) == json.dumps(once)

    @given(attributes)
    def test_what_is_there_already_is_not_sent(self, values: dict[str, Any]) -> None:
        for schema in (None, DEAL):
            wire = to_wire(values, schema)
            assert changed(schema, wire, wire) == {}

    @given(attributes)
    def test_what_was_written_last_night_is_not_written_again(self, values: dict[str, Any]) -> None:
        wire = to_wire(values, DEAL)
        assert changed(DEAL, wire, {name: stored(name, value) for name, value in wire.items()}) == {}

    @given(st.dictionaries(st.sampled_from(sorted(DEAL.attributes)), jsons | st.binary(min_size=1), max_size=4))
    def test_whatever_is_given_it_is_sent_as_json_or_refused(self, values: dict[str, Any]) -> None:
        try:
            wire = to_wire(values, DEAL)
        except EspoInputError:
            return
        assert json.loads(json.dumps(wire, allow_nan=False)) == wire

    @given(
        st.sampled_from(sorted(DEAL.attributes)),
        st.sampled_from([bytes, lambda it: [it], lambda it: {it}, lambda it: {it: it}, lambda it: [[{it: b""}]]]),
    )
    def test_no_error_shows_a_value(self, name: str, wrap: Any) -> None:
        secret = "Qz7-secret"
        value = secret.encode() if wrap is bytes else wrap(secret)
        error: EspoInputError | None = None
        try:
            to_wire({name: value}, DEAL)
        except EspoInputError as raised:
            error = raised
        assert secret not in f"{error} {error!r} {error.args if error else ''}"
        assert error is None or error.__context__ is None or error.__suppress_context__

    @given(attributes, attributes)
    def test_after_an_update_with_what_changed_nothing_is_left_to_change(
        self, first: dict[str, Any], second: dict[str, Any]
    ) -> None:
        current = {name: stored(name, value) for name, value in to_wire(first, DEAL).items()}
        wanted = to_wire(second, DEAL)
        update = changed(DEAL, wanted, current)
        after = current | {name: stored(name, value) for name, value in update.items()}
        assert changed(DEAL, wanted, after) == {}
