"""A delivery is believed if its signature is right, and read if it is what EspoCRM would send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from airflow_provider_espo.client.webhook_delivery import (
    MAX_CHANGES,
    MAX_DEPTH,
    Claim,
    NotADelivery,
    read_changes,
    read_claim,
    repeat_key,
)
from tests.webhook_signing import header, signed

ID = "6b02a8856c38fff9f"
SECRET = "74d005ebff0d2cd07cea3ee19b955eb2"
BODY = b'[{"id":"6b02a885946bdb2f4","status":"New"}]'

bodies = st.binary(max_size=200)
secrets = st.text(min_size=1, max_size=40)


def claim_of(headers: dict[str, str]) -> Claim | None:
    return read_claim(
        [headers["Signature"]] if "Signature" in headers else [],
        [headers["X-Signature"]] if "X-Signature" in headers else [],
    )


class TestSignature:
    @given(secret=secrets, body=bodies, names=st.sampled_from([("Signature",), ("X-Signature",), None]))
    def test_what_is_signed_with_the_key_holds_by_either_header_and_by_both(
        self, secret: str, body: bytes, names: tuple[str, ...] | None
    ) -> None:
        headers = signed(ID, secret, body)
        claim = claim_of({name: headers[name] for name in names or headers})
        assert claim is not None
        assert claim.webhook_id == ID
        assert claim.holds(secret, body)

    @given(secret=secrets, other=secrets, body=bodies)
    def test_another_key_does_not_do(self, secret: str, other: str, body: bytes) -> None:
        # HMAC fills short keys with zeros.
        assume(secret.rstrip("\0") != other.rstrip("\0"))
        claim = claim_of(signed(ID, secret, body))
        assert claim is not None
        assert not claim.holds(other, body)

    @given(body=bodies, position=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
    def test_a_body_with_one_bit_changed_does_not_do(self, body: bytes, position: int, bit: int) -> None:
        assume(body)
        changed = bytearray(body)
        changed[position % len(body)] ^= 1 << bit
        claim = claim_of(signed(ID, SECRET, body))
        assert claim is not None
        assert not claim.holds(SECRET, bytes(changed))

    @pytest.mark.parametrize("wrong", ["Signature", "X-Signature"])
    def test_of_two_headers_one_that_is_right_is_not_enough(self, wrong: str) -> None:
        headers = signed(ID, SECRET, BODY) | {wrong: signed(ID, "another", BODY)[wrong]}
        claim = claim_of(headers)
        assert claim is not None
        assert not claim.holds(SECRET, BODY)

    def test_a_claim_without_a_digest_never_holds(self) -> None:
        assert not Claim(ID).holds(SECRET, BODY)

    def test_neither_digest_is_in_what_a_claim_shows_of_itself(self) -> None:
        claim = claim_of(signed(ID, SECRET, BODY))
        assert claim is not None
        assert claim.hex_digest is not None
        assert claim.hex_digest.decode() not in repr(claim)
        assert repr(claim.raw_digest) not in repr(claim)

    @given(st.binary(min_size=32, max_size=32))
    @example(b":" * 32)
    def test_colons_in_a_raw_digest_belong_to_it(self, digest: bytes) -> None:
        claim = read_claim([], [header(ID, digest)])
        assert claim is not None
        assert (claim.webhook_id, claim.raw_digest) == (ID, digest)

    @pytest.mark.parametrize(
        ("signature", "x_signature"),
        [
            ([], []),
            ([""], []),
            (["not base64"], []),
            (["ünï"], []),
            ([header(ID, b"a" * 63)], []),
            ([header(ID, b"a" * 65)], []),
            ([], [header(ID, b"a" * 31)]),
            ([header("", b"a" * 64)], []),
            ([header("../x", b"a" * 64)], []),
            ([header("a b", b"a" * 64)], []),
            ([header("ä", b"a" * 64)], []),
            ([header(ID, b"a" * 64)], ["broken"]),
            ([header(ID, b"a" * 64)], [header("6b02a87e2ea5c9bcd", b"a" * 32)]),
            ([header(ID, b"a" * 64)] * 2, []),
            ([], [header(ID, b"a" * 32)] * 2),
            (["A" * 100_000], []),
        ],
    )
    def test_headers_that_espocrm_does_not_send_are_no_claim(
        self, signature: list[str], x_signature: list[str]
    ) -> None:
        assert read_claim(signature, x_signature) is None

    @given(st.lists(st.text(), max_size=2), st.lists(st.text(), max_size=2))
    def test_whatever_the_headers_hold_reading_them_does_not_fail(
        self, signature: list[str], x_signature: list[str]
    ) -> None:
        assert read_claim(signature, x_signature) is None


class TestRepeatKey:
    def test_it_is_the_same_for_the_same_delivery_and_another_for_any_other(self) -> None:
        keys = {
            repeat_key(SECRET, ID, BODY),
            repeat_key(SECRET, ID, BODY + b" "),
            repeat_key(SECRET, "6b02a87e2ea5c9bcd", BODY),
            repeat_key("another", ID, BODY),
        }
        assert len(keys) == 4
        assert repeat_key(SECRET, ID, BODY) in keys

    @given(secret=secrets, body=bodies)
    def test_it_is_no_part_of_a_signature(self, secret: str, body: bytes) -> None:
        claim = claim_of(signed(ID, secret, body))
        assert claim is not None
        assert claim.hex_digest is not None
        assert repeat_key(secret, ID, body).encode() not in claim.hex_digest


record_ids = st.text("0123456789abcdef", min_size=17, max_size=17)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def depth_of(value: Any) -> int:
    """How deep a value is nested."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth_of, inner), default=0)


class TestChanges:
    @given(st.lists(st.tuples(record_ids, st.dictionaries(st.text(), values, max_size=4)), min_size=1, max_size=6))
    def test_ids_are_read_in_order_whatever_else_is_in_the_records(
        self, records: list[tuple[str, dict[str, Any]]]
    ) -> None:
        changes = [{**attributes, "id": record_id} for record_id, attributes in records]
        assume(depth_of(changes) <= MAX_DEPTH)
        for ascii_only in (True, False):
            assert read_changes(json.dumps(changes, ensure_ascii=ascii_only).encode("utf-8", "replace")) == [
                record_id for record_id, _ in records
            ]

    def test_a_record_that_changed_twice_is_there_twice(self) -> None:
        assert read_changes(b'[{"id":"a1"},{"id":"a1"},{"id":"b2"}]') == ["a1", "a1", "b2"]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"{}",
            b"[]",
            b"[1]",
            b'["a1"]',
            b"[{}]",
            b'[{"id":null}]',
            b'[{"id":1}]',
            b'[{"id":""}]',
            b'[{"id":"../x"}]',
            b'[{"id":"a b"}]',
            b'[{"id":"a1"},null]',
            b'{"id":"a1"}',
            b'[{"id":"a1"}',
            b'[{"id":"a1"}]]',
            b'[{"id":"a1"}] x',
            b'[{"id":"a1","x":NaN}]',
            b'[{"id":"a1","x":01}]',
            b'[{"id":"a1","x":"\xff"}]',
            b'[{"id":"a1","x":"\x00"}]',
            b'\xef\xbb\xbf[{"id":"a1"}]',
            b"[{'id':'a1'}]",
            b'[{"id":"a1',
            b'"' + b'\\"' * 50_000,
            b"\\" * 50_000,
            json.dumps([{"id": "a1"}]).encode("utf-16"),
        ],
    )
    def test_what_is_no_list_of_records_with_ids_is_refused_without_its_words(self, body: bytes) -> None:
        with pytest.raises(NotADelivery) as caught:
            read_changes(body)
        assert caught.value.__cause__ is None
        assert "a1" not in str(caught.value)

    @given(st.binary(max_size=300))
    def test_any_bytes_are_read_or_refused(self, body: bytes) -> None:
        try:
            ids = read_changes(body)
        except NotADelivery:
            return
        assert ids

    @pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"id":"a1","x":'])
    @pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 10_000, 1_000_000])
    def test_a_body_that_is_nested_deeply_is_refused(self, opening: bytes, levels: int) -> None:
        closing = opening[::-1].translate(bytes.maketrans(b"[{", b"]}"), b'"aidx1:,')
        with pytest.raises(NotADelivery, match=f"nested more than {MAX_DEPTH} deep"):
            read_changes(opening * levels + b"1" + closing * levels)

    def test_a_body_that_is_nested_as_deeply_as_may_be_is_read(self) -> None:
        inner = b"[" * (MAX_DEPTH - 2) + b"]" * (MAX_DEPTH - 2)
        assert read_changes(b'[{"id":"a1","x":%b}]' % inner) == ["a1"]

    def test_brackets_within_strings_are_text(self) -> None:
        text = json.dumps('[{"' * 5000 + "\\")
        assert read_changes(b'[{"id":"a1","x":%b,"y":"\\\\","z":[]}]' % text.encode()) == ["a1"]

    def test_a_list_beside_a_list_is_not_deeper(self) -> None:
        assert read_changes(b'[{"id":"a1","x":[%b1]}]' % (b"[]," * 1000)) == ["a1"]

    def test_more_changes_than_may_be_are_refused(self) -> None:
        change = b'{"id":"a1"}'
        assert len(read_changes(b"[" + b",".join([change] * MAX_CHANGES) + b"]")) == MAX_CHANGES
        with pytest.raises(NotADelivery, match=f"{MAX_CHANGES + 1} changes"):
            read_changes(b"[" + b",".join([change] * (MAX_CHANGES + 1)) + b"]")
