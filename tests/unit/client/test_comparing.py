"""Wanted values against those a record has."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.comparing import changed, differs, match_key, same_key
from tests.unit.client.deals import DEAL


class TestWhetherValuesDiffer:
    @pytest.mark.parametrize(
        ("name", "wanted", "current"),
        [
            ("name", "Ada", "Ada"),
            ("name", "  Ada ", "Ada"),
            ("name", "", None),
            ("name", "   ", None),
            ("name", None, ""),
            ("name", 123, "123"),
            ("name", 10.0, "10"),
            ("name", True, "1"),
            ("description", "a\nb\n", "a\nb"),
            ("stage", "", None),
            ("accountId", None, ""),
            ("emailAddress", "Ada@Example.com", "ada@example.COM"),
            ("phoneNumber", "+49 30 (123)-456", "+4930123456"),
            ("count", "10", 10),
            ("ratio", "10.00", 10),
            ("ratio", 0.1, "0.1000"),
            ("amount", 2000.25, "2000.25"),
            ("amount", "10.00", 10.0),
            ("price", "10.004", "10.00"),
            ("urgent", False, None),
            ("sentAt", "2031-05-10 10:00:00", "2031-05-10 10:00"),
            ("contactsIds", ["a", "b"], ["b", "a"]),
            ("contactsIds", [], None),
            ("contactsIds", None, []),
            (
                "contactsColumns",
                {"a": {"role": "Boss"}},
                {"a": {"role": "Boss", "x": 1}, "b": {"role": "No"}},
            ),
            ("contactsColumns", {"a": {"isInactive": False}}, {"a": {"isInactive": None}}),
            ("contactsColumns", {}, []),
            ("tags", None, []),
            ("tags", ["a", " b"], ["a", "b"]),
            ("settings", {}, []),
            ("settings", {"a": [1, {"b": {}}]}, {"a": [1.0, {"b": []}]}),
            (
                "emailAddressData",
                [{"emailAddress": "A@b.c", "primary": True}],
                [
                    {
                        "emailAddress": "a@B.c",
                        "lower": "a@b.c",
                        "primary": True,
                        "optOut": False,
                        "invalid": False,
                    }
                ],
            ),
            (
                "phoneNumberData",
                [{"phoneNumber": "+49 30 1"}, {"phoneNumber": "+49 30 2", "optOut": False}],
                [
                    {"phoneNumber": "+49302", "type": "Home", "optOut": None},
                    {"phoneNumber": "+49301", "type": "Office", "primary": True},
                ],
            ),
        ],
    )
    def test_what_the_server_gives_back_in_another_form_is_the_same(self, name: str, wanted: Any, current: Any) -> None:
        assert not differs(DEAL, name, wanted, current)

    @pytest.mark.parametrize(
        ("name", "wanted", "current"),
        [
            ("name", "Ada", "ada"),
            ("name", "José", "Jose"),
            ("name", "Ada", None),
            ("name", None, "Ada"),
            ("name", 10, "10.0"),
            ("description", "a\nb", "a\r\nb"),
            ("accountId", "a", "b"),
            ("emailAddress", "ada@example.com", "ada@example.org"),
            ("phoneNumber", "+4930123456", "+4930123457"),
            ("phoneNumber", "+4930123456", "4930123456"),
            ("count", 0, None),
            ("amount", 0, None),
            ("amount", 10, 10.01),
            ("amount", "1e1", "abc"),
            ("price", "10.01", "10.00"),
            ("urgent", True, False),
            ("urgent", True, None),
            ("sentAt", "2031-05-10 10:00:00", "2031-05-10 10:00:01"),
            ("closeDate", "2031-05-10", "2031-05-11"),
            ("contactsIds", ["a"], ["a", "b"]),
            ("contactsIds", [], ["a"]),
            ("contactsColumns", {"a": {"role": "Boss"}}, {"a": {"role": "Clerk"}}),
            ("contactsColumns", {"a": {"role": "Boss"}}, {"b": {"role": "Boss"}}),
            ("contactsColumns", {"a": {"isInactive": True}}, {"a": {"isInactive": False}}),
            ("tags", ["a", "b"], ["b", "a"]),
            ("tags", ["a"], "a"),
            ("settings", {"a": True}, {"a": 1}),
            ("settings", {"a": 1}, {"a": 1, "b": 2}),
            (
                "emailAddressData",
                [{"emailAddress": "a@b.c"}],
                [{"emailAddress": "a@b.c"}, {"emailAddress": "d@e.f"}],
            ),
            ("emailAddressData", [{"emailAddress": "a@b.c", "optOut": True}], [{"emailAddress": "a@b.c"}]),
            ("emailAddressData", [{"optOut": True}], [{"optOut": False}]),
            (
                "phoneNumberData",
                [{"phoneNumber": "+491", "type": "Home"}],
                [{"phoneNumber": "+491", "type": "Fax"}],
            ),
        ],
    )
    def test_what_is_another_value_differs(self, name: str, wanted: Any, current: Any) -> None:
        assert differs(DEAL, name, wanted, current)

    @pytest.mark.parametrize(
        ("name", "wanted", "current", "different"),
        [
            ("x", 10, "10.00", False),
            ("x", 10.0, 10, False),
            ("x", "10", "10.0", True),
            ("x", True, 1, True),
            ("x", "a ", "a", False),
            ("x", "a", "A", True),
            ("x", [1], [2], True),
            ("x", 5, [5], True),
            ("emailAddress", "A@b.c", "a@b.c", False),
            ("contactsIds", ["a", "b"], ["b", "a"], False),
        ],
    )
    def test_without_a_schema_the_values_and_the_name_tell(
        self, name: str, wanted: Any, current: Any, different: bool
    ) -> None:
        assert differs(None, name, wanted, current) is different


class TestWhatAnUpdateHasToSend:
    def test_only_what_differs_is_sent(self) -> None:
        wanted = {"name": "Ada", "stage": "Won", "count": 5, "urgent": False}
        assert changed(DEAL, wanted, {"name": "Ada", "stage": "Open", "count": "5"}) == {"stage": "Won"}

    def test_a_value_that_the_answer_lacks_counts_as_none_but_a_list_as_unknown(self) -> None:
        assert changed(DEAL, {"name": None, "contactsIds": [], "tags": []}, {}) == {
            "contactsIds": [],
            "tags": [],
        }

    def test_null_is_sent_where_there_is_a_value(self) -> None:
        assert changed(DEAL, {"name": None}, {"name": "Ada"}) == {"name": None}

    def test_type_and_id_of_a_parent_go_together(self) -> None:
        wanted = {"parentType": "Account", "parentId": "b"}
        assert changed(DEAL, wanted, {"parentType": "Account", "parentId": "a"}) == wanted

    def test_columns_go_with_their_ids(self) -> None:
        wanted = {"contactsIds": ["a"], "contactsColumns": {"a": {"role": "Boss"}}}
        current = {"contactsIds": ["a"], "contactsColumns": {"a": {"role": ""}}}
        assert changed(DEAL, wanted, current) == wanted

    def test_parts_of_an_amount_go_together(self) -> None:
        wanted = {"amount": 5, "amountCurrency": "EUR", "name": "Ada"}
        current = {"amount": 5, "amountCurrency": "USD", "name": "Ada"}
        assert changed(DEAL, wanted, current) == {"amount": 5, "amountCurrency": "EUR"}

    def test_a_whole_day_that_is_set_already_is_not_set_again(self) -> None:
        # The server fills the time in itself when a whole day is set.
        current = {"dateEnd": "2031-05-12 00:00:00", "dateEndDate": "2031-05-11"}
        assert changed(DEAL, {"dateEnd": None, "dateEndDate": "2031-05-11"}, current) == {}
        other = {"dateEnd": None, "dateEndDate": "2031-05-12"}
        assert changed(DEAL, other, current) == other
        assert changed(DEAL, {"dateEnd": None}, current) == {"dateEnd": None}

    def test_what_is_taken_on_creation_only_is_left_out(self) -> None:
        assert changed(DEAL, {"externalKey": "b", "name": "x"}, {"externalKey": "a"}) == {"name": "x"}


class TestKeys:
    @pytest.mark.parametrize(
        ("name", "a", "b"),
        [
            ("name", "Ada", "ADA "),
            ("name", "Straße", "STRASSE"),
            ("name", "Cafe\u0301", "caf\u00e9"),
            ("emailAddress", "Ada@Example.com", "ada@example.com"),
            ("phoneNumber", "+49 30 123", "+4930123"),
            ("count", 5, "5"),
            ("price", "5", "5.00"),
            ("sentAt", "2031-05-10 10:00", "2031-05-10 10:00:00"),
            ("urgent", True, True),
        ],
    )
    def test_the_same_key_in_another_form(self, name: str, a: Any, b: Any) -> None:
        assert same_key(DEAL, name, a, b)
        assert match_key(DEAL, name, a) == match_key(DEAL, name, b)
        assert hash(match_key(DEAL, name, a)) == hash(match_key(DEAL, name, b))

    @pytest.mark.parametrize(
        ("name", "a", "b"),
        [
            ("name", "Müller", "Muller"),
            ("name", "Ada", "Adam"),
            ("accountId", "a", "A"),
            ("emailAddress", "ada@example.com", "ada@example.org"),
            ("count", 5, 6),
            ("urgent", True, False),
        ],
    )
    def test_other_keys(self, name: str, a: Any, b: Any) -> None:
        assert not same_key(DEAL, name, a, b)

    @pytest.mark.parametrize("nothing", [None, "", "  ", [], {}])
    def test_no_value_matches_nothing_not_even_no_value(self, nothing: Any) -> None:
        assert match_key(DEAL, "emailAddress", nothing) is None
        assert not same_key(DEAL, "emailAddress", nothing, nothing)

    def test_without_a_schema_letter_case_is_ignored_too(self) -> None:
        assert same_key(None, "externalKey", "AB-1", "ab-1")
        assert same_key(None, "count", 5, 5.0)
