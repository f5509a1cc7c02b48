"""Names of attributes and links against the server's metadata."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from airflow_provider_espo.client.errors import EspoInputError, EspoUnknownNameError
from airflow_provider_espo.client.schema import (
    EntitySchema,
    check_link,
    check_readable,
    check_writable,
    entity_defs_from_metadata,
)


def schema(
    fields: dict[str, Any], links: dict[str, Any] | list[Any] | None = None, entity_type: str = "Deal"
) -> EntitySchema:
    return EntitySchema.from_entity_defs(entity_type, {"fields": fields, "links": links or {}})


def writable(of: EntitySchema) -> set[str]:
    return {it.name for it in of.attributes.values() if it.writable}


def read_only(of: EntitySchema, *fields: str) -> set[str]:
    return {it.name for it in of.attributes.values() if not it.writable and it.field in fields}


DEAL = schema(
    {
        "name": {"type": "varchar", "maxLength": 120},
        "stage": {"type": "enum", "options": ["Open", "Won"]},
        "account": {"type": "link"},
        "approvedBy": {"type": "link", "readOnly": True},
        "teams": {"type": "linkMultiple"},
        "contacts": {"type": "linkMultiple", "columns": {"role": "dealRole"}},
        "parent": {"type": "linkParent"},
        "amount": {"type": "currency"},
        "emailAddress": {"type": "email"},
        "phoneNumber": {"type": "phone"},
        "assignedUser": {"type": "link"},
        "billingAddress": {"type": "address"},
        "billingAddressMap": {"type": "map", "readOnly": True},
        "createdAt": {"type": "datetime"},
        "createdBy": {"type": "link"},
        "wonAt": {"type": "datetime", "readOnly": True},
        "externalKey": {"type": "varchar", "readOnlyAfterCreate": True},
        "accountIndustry": {"type": "foreign", "link": "account", "field": "industry"},
    },
    {
        "account": {"type": "belongsTo", "entity": "Account", "foreign": "deals"},
        "origin": {"type": "belongsTo", "entity": "Campaign"},
        "parent": {"type": "belongsToParent", "foreign": "deals"},
        "contacts": {
            "type": "hasMany",
            "entity": "Contact",
            "foreign": "deals",
            "additionalColumns": {"role": {"type": "varchar"}},
        },
        "meetings": {"type": "hasChildren", "entity": "Meeting", "foreign": "parent"},
        "contract": {"type": "hasOne", "entity": "Contract", "foreign": "deal"},
    },
)


class TestAttributesOfFields:
    @pytest.mark.parametrize(
        ("field_type", "takes", "only_shows"),
        [
            ("varchar", {"f"}, set()),
            ("text", {"f"}, set()),
            ("decimal", {"f"}, set()),
            ("jsonObject", {"f"}, set()),
            ("link", {"fId"}, {"fName"}),
            ("linkOne", {"fId"}, {"fName"}),
            ("file", {"fId"}, {"fName"}),
            ("image", {"fId"}, {"fName"}),
            ("linkParent", {"fId", "fType"}, {"fName"}),
            ("linkMultiple", {"fIds"}, {"fNames"}),
            ("attachmentMultiple", {"fIds"}, {"fNames", "fTypes"}),
            ("currency", {"f", "fCurrency"}, {"fConverted"}),
            ("currencyConverted", set(), {"f"}),
            ("email", {"f", "fData", "fIsOptedOut", "fIsInvalid"}, set()),
            ("phone", {"f", "fData", "fIsOptedOut", "fIsInvalid"}, set()),
            ("address", {"fStreet", "fCity", "fState", "fCountry", "fPostalCode"}, set()),
            ("personName", {"salutationF", "firstF", "middleF", "lastF"}, {"f"}),
            ("datetimeOptional", {"f", "fDate"}, set()),
            ("rangeInt", {"fromF", "toF"}, set()),
            (
                "rangeCurrency",
                {"fromF", "toF", "fromFCurrency", "toFCurrency"},
                {"fromFConverted", "toFConverted"},
            ),
            ("foreign", set(), {"f"}),
            ("map", set(), set()),
            ("autoincrement", {"f"}, set()),
            ("urlMultiple", {"f"}, set()),
        ],
    )
    def test_a_field_has_the_attributes_of_its_type(
        self, field_type: str, takes: set[str], only_shows: set[str]
    ) -> None:
        it = schema({"f": {"type": field_type}})
        assert writable(it) == takes
        assert read_only(it, "f") == only_shows

    def test_a_read_only_field_has_only_read_only_attributes(self) -> None:
        it = schema({"account": {"type": "link", "readOnly": True}})
        assert writable(it) == set()
        assert read_only(it, "account") == {"accountId", "accountName"}

    def test_link_multiple_fields_take_columns_only_where_the_link_has_some(self) -> None:
        assert "contactsColumns" in writable(DEAL)
        assert DEAL.attribute("teamsColumns") is None

    def test_a_currency_kept_as_decimal_has_its_number_of_digits(self) -> None:
        it = schema({"amount": {"type": "currency", "decimal": True, "scale": 2}, "rate": {"type": "decimal"}})
        assert (it.attributes["amount"].kind, it.attributes["amount"].scale) == ("decimal", 2)
        assert it.attributes["rate"].scale == 4

    def test_options_and_length_belong_to_the_fields_own_attribute(self) -> None:
        assert DEAL.attributes["stage"].options == ("Open", "Won")
        assert DEAL.attributes["name"].max_length == 120

    def test_a_part_with_a_definition_of_its_own_still_belongs_to_its_field(self) -> None:
        it = schema(
            {
                "fee": {"type": "currency"},
                "feeCurrency": {"type": "enum", "options": ["EUR"], "readOnly": True},
            }
        )
        currency = it.attributes["feeCurrency"]
        assert (currency.field, currency.field_type) == ("fee", "currency")
        assert currency.options == ("EUR",)
        assert not currency.writable

    def test_a_field_called_as_a_links_name_is_the_field(self) -> None:
        it = schema({"accountName": {"type": "varchar"}}, {"account": {"type": "belongsTo", "entity": "Account"}})
        check_writable(it, ["accountName"])

    def test_links_without_a_field_have_attributes_too(self) -> None:
        check_writable(DEAL, ["originId", "meetingsIds"])
        check_readable(DEAL, ["originName"], in_list=True)

    def test_every_type_has_the_attributes_that_no_field_names(self) -> None:
        names = [
            "id",
            "deleted",
            "versionNumber",
            "isFollowed",
            "followersIds",
            "followersNames",
            "isStarred",
        ]
        check_readable(schema({}), names)
        with pytest.raises(EspoUnknownNameError):
            check_writable(schema({}), ["versionNumber"])

    def test_an_empty_map_that_php_wrote_as_a_list_is_empty(self) -> None:
        it = schema({"name": {"type": "varchar"}}, [])
        assert dict(it.links) == {}

    def test_links_tell_what_they_link(self) -> None:
        link = DEAL.links["contacts"]
        assert (link.kind, link.entity_type, link.foreign, link.columns) == (
            "hasMany", "Contact", "deals", ("role",),
        )  # fmt: skip


class TestFieldTypesOfExtensions:
    SIGNED = schema({"sign": {"type": "signature"}, "seal": {"type": "signature", "readOnly": True}})

    def test_their_name_and_names_that_start_with_it_pass(self) -> None:
        check_writable(self.SIGNED, ["sign", "signDate", "signImageId"])
        check_readable(self.SIGNED, ["sealDate"])

    def test_names_that_only_look_alike_do_not(self) -> None:
        with pytest.raises(EspoUnknownNameError, match="'signature'"):
            check_writable(self.SIGNED, ["signature"])

    def test_read_only_ones_stay_read_only(self) -> None:
        with pytest.raises(EspoUnknownNameError, match=r"'sealDate'.*read-only"):
            check_writable(self.SIGNED, ["sealDate"])

    def test_a_foreign_field_may_show_several_attributes_but_takes_none(self) -> None:
        check_readable(DEAL, ["accountIndustryId"])
        with pytest.raises(EspoUnknownNameError):
            check_writable(DEAL, ["accountIndustryId"])


class TestWhatCannotBeWritten:
    def test_all_bad_names_are_named_at_once(self) -> None:
        with pytest.raises(EspoUnknownNameError) as caught:
            check_writable(DEAL, ["name", "nope", "id", "stage", "wonAt"])
        text = str(caught.value)
        assert all(repr(name) in text for name in ("nope", "id", "wonAt"))
        assert "'name'" not in text
        assert "'stage'" not in text

    @pytest.mark.parametrize(
        "name",
        [
            *("id", "deleted", "createdAt", "createdById", "createdByName", "accountName", "teamsNames"),
            *("amountConverted", "wonAt", "approvedById", "accountIndustry", "isFollowed"),
        ],
    )
    def test_what_the_server_drops_is_read_only(self, name: str) -> None:
        with pytest.raises(EspoUnknownNameError, match=f"in silence '{name}' .read-only"):
            check_writable(DEAL, [name])

    def test_the_name_of_a_person_is_written_through_its_parts(self) -> None:
        person = schema({"name": {"type": "personName"}, "lastName": {"type": "varchar"}})
        check_writable(person, ["lastName", "firstName"])
        with pytest.raises(EspoUnknownNameError, match=r"'name'.*firstName"):
            check_writable(person, ["name"])

    def test_what_is_read_only_after_creation_passes_on_creation_only(self) -> None:
        check_writable(DEAL, ["externalKey"])
        with pytest.raises(EspoUnknownNameError, match="once the record exists"):
            check_writable(DEAL, ["externalKey"], updating=True)

    def test_what_the_server_takes_beside_attributes_passes(self) -> None:
        check_writable(schema({}, entity_type="Attachment"), ["file"])
        check_writable(schema({"type": {"type": "enum", "readOnly": True}}, entity_type="Note"), ["type"])
        check_writable(DEAL, ["_skipDuplicateCheck"])
        with pytest.raises(EspoUnknownNameError):
            check_writable(DEAL, ["file"])

    def test_the_error_says_how_a_role_can_be_the_cause_and_how_to_go_on(self) -> None:
        with pytest.raises(EspoUnknownNameError, match=r"roles.*validate=False"):
            check_writable(DEAL, ["nope"])

    @pytest.mark.parametrize("name", ["", 5, None])
    def test_names_must_be_texts(self, name: Any) -> None:
        with pytest.raises(EspoInputError, match="not empty"):
            check_writable(DEAL, [name])

    def test_a_very_long_name_does_not_fill_the_log(self) -> None:
        with pytest.raises(EspoUnknownNameError) as caught:
            check_writable(DEAL, ["x" * 5000])
        assert len(str(caught.value)) < 500


class TestNearestNames:
    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("account_id", "accountId"),
            ("AccountID", "accountId"),
            ("account id", "accountId"),
            ("email", "emailAddress"),
            ("email_address", "emailAddress"),
            ("phone", "phoneNumber"),
            ("stagee", "stage"),
            ("billing_address_city", "billingAddressCity"),
            ("assigned_user", "assignedUserId"),
            ("owner", "assignedUserId"),
            ("company", "accountId"),
        ],
    )
    def test_the_name_that_was_meant_is_offered(self, written: str, meant: str) -> None:
        with pytest.raises(EspoUnknownNameError, match=f"perhaps {meant}"):
            check_writable(DEAL, [written])

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ("account", "accountId"),
            ("teams", "teamsIds"),
            ("parent", "parentId, parentType"),
            ("billingAddress", "billingAddressStreet, billingAddressCity"),
            ("meetings", "meetingsIds"),
        ],
    )
    def test_a_field_or_link_is_answered_with_its_attributes(self, written: str, meant: str) -> None:
        with pytest.raises(EspoUnknownNameError, match=f"its attributes are {meant}"):
            check_writable(DEAL, [written])

    def test_what_cannot_be_written_is_not_offered_for_writing(self) -> None:
        with pytest.raises(EspoUnknownNameError) as caught:
            check_writable(DEAL, ["wonAtt", "created_at"])
        assert "perhaps" not in str(caught.value)

    def test_nothing_is_offered_where_nothing_is_near(self) -> None:
        with pytest.raises(EspoUnknownNameError) as caught:
            check_writable(DEAL, ["zzzzzz"])
        assert "perhaps" not in str(caught.value)


class TestWhatCannotBeRead:
    def test_read_only_attributes_can_be_read(self) -> None:
        check_readable(DEAL, ["id", "createdAt", "accountName", "teamsNames", "amountConverted"], in_list=True)

    def test_unknown_names_are_refused_with_the_argument_they_stand_in(self) -> None:
        with pytest.raises(EspoUnknownNameError, match=r"Deal .*match_by.*'emial'"):
            check_readable(DEAL, ["emial"], "match_by")

    def test_a_single_name_may_be_given_as_a_text(self) -> None:
        check_readable(DEAL, "stage")
        with pytest.raises(EspoUnknownNameError, match="'nope'"):
            check_readable(DEAL, "nope")

    def test_the_name_of_a_link_field_selects_nothing(self) -> None:
        with pytest.raises(EspoUnknownNameError, match="teamsIds, teamsNames"):
            check_readable(DEAL, ["teams"])

    def test_lists_do_not_have_all_that_a_single_record_has(self) -> None:
        check_readable(DEAL, ["emailAddressData"])
        with pytest.raises(EspoUnknownNameError, match="read the record by its id"):
            check_readable(DEAL, ["emailAddressData"], in_list=True)

    def test_a_map_shows_nothing(self) -> None:
        with pytest.raises(EspoUnknownNameError, match="no attribute"):
            check_readable(DEAL, ["billingAddressMap"])

    def test_fields_can_be_sorted_by_and_links_filtered_by(self) -> None:
        check_readable(DEAL, ["account", "createdBy", "account.name"], "order_by")
        check_readable(DEAL, ["contacts", "stage", "account.name", "MONTH:(createdAt)"], "where")
        with pytest.raises(EspoUnknownNameError):
            check_readable(DEAL, ["meetings"], "order_by")
        with pytest.raises(EspoUnknownNameError):
            check_readable(DEAL, ["account.name"], "select")


class TestLinks:
    @pytest.mark.parametrize("link", ["contacts", "meetings"])
    def test_links_to_many_can_be_read_and_written(self, link: str) -> None:
        check_link(DEAL, link, for_write=True)
        check_link(DEAL, link, for_write=False)

    @pytest.mark.parametrize(
        ("link", "instead"),
        [("account", "accountId"), ("parent", "parentType and parentId"), ("contract", "dealId.*Contract")],
    )
    def test_links_to_one_are_read_but_set_by_an_attribute(self, link: str, instead: str) -> None:
        check_link(DEAL, link, for_write=False)
        with pytest.raises(EspoUnknownNameError, match=f"Set {instead}"):
            check_link(DEAL, link, for_write=True)

    @pytest.mark.parametrize("for_write", [True, False])
    def test_an_unknown_link_is_refused_with_the_nearest(self, for_write: bool) -> None:
        with pytest.raises(EspoUnknownNameError, match="no link 'contact', perhaps contacts"):
            check_link(DEAL, "contact", for_write=for_write)

    def test_followers_are_a_link_that_no_metadata_has(self) -> None:
        check_link(DEAL, "followers", for_write=True)
        check_link(DEAL, "followers", for_write=False)

    def test_some_types_list_more_than_their_links(self) -> None:
        check_link(schema({}, entity_type="TargetList"), "optedOut", for_write=False)
        with pytest.raises(EspoUnknownNameError):
            check_link(schema({}, entity_type="TargetList"), "optedOut", for_write=True)
        with pytest.raises(EspoUnknownNameError):
            check_link(DEAL, "optedOut", for_write=False)


class TestMetadataAnswers:
    DEFS: ClassVar[dict[str, Any]] = {"fields": {"name": {"type": "varchar"}}, "links": {}}

    def test_the_answer_for_one_type_is_its_definition(self) -> None:
        assert entity_defs_from_metadata(self.DEFS, "Deal") == self.DEFS

    def test_an_older_servers_answer_has_all_types(self) -> None:
        payload = {"entityDefs": {"Deal": self.DEFS, "Lead": {"fields": {}}}, "scopes": {"Deal": {}}}
        assert entity_defs_from_metadata(payload, "Deal") == self.DEFS
        assert entity_defs_from_metadata(payload, "Nope") is None

    @pytest.mark.parametrize("payload", [None, "", [], {}, False, {"scopes": {}}, {"fields": []}])
    def test_a_type_that_is_unknown_or_hidden_has_none(self, payload: Any) -> None:
        assert entity_defs_from_metadata(payload, "Deal") is None


def test_required_is_what_has_no_default_and_can_be_written() -> None:
    fields = {
        "name": {"type": "varchar", "required": True},
        "stage": {"type": "enum", "required": True, "default": "New", "options": ["New"]},
        "amount": {"type": "currency", "required": True},
        "account": {"type": "link", "required": True},
        "contacts": {"type": "linkMultiple", "required": True},
        "closeDate": {"type": "date", "required": True},
        "number": {"type": "autoincrement", "required": True, "readOnly": True},
        "description": {"type": "text"},
        "flag": {"type": "bool", "required": True, "default": False},
    }
    schema = EntitySchema.from_entity_defs("Deal", {"fields": fields})
    assert schema.required == ("name", "amount", "accountId", "contactsIds", "closeDate")
