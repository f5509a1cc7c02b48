from __future__ import annotations

import pytest

from airflow_provider_espo.sandbox.definition_lines import DefinitionError, parse_field, parse_link, parts_of


def test_field_line_says_type_length_flags_and_values() -> None:
    field = parse_field("size", "int required audited min=1 max=9 default=3")
    assert (field.type, field.min, field.max, field.default, field.has_default) == ("int", 1, 9, 3, True)
    assert field.required
    assert "audited" in field.flags


def test_bare_number_is_the_length() -> None:
    assert parse_field("name", "varchar 100 clean").max_length == 100


def test_star_marks_the_default_among_the_choices() -> None:
    field = parse_field("status", "enum", " | Open | *In Work | Done")
    assert field.options == ("", "Open", "In Work", "Done")
    assert field.default == "In Work"


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("a", "", "one line of text"),
        ("a", "varchr 10", "unknown type 'varchr'"),
        ("a", "varchar requird", "unknown word 'requird'"),
        ("a", "varchar size=3", "unknown word 'size=3'"),
        ("a", "varchar default=", "unknown word 'default='"),
        ("a b", "varchar", "not a field name"),
    ],
)
def test_field_line_that_makes_no_sense_is_named(name: str, line: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=f"{name}: .*{message}"):
        parse_field(name, line)


def test_compound_fields_bring_their_parts() -> None:
    parts = {part.name: part for part in parts_of(parse_field("home", "address"))}
    assert parts["homeStreet"].max_length == 255
    assert {"homeCity", "homeState", "homeCountry", "homePostalCode", "homeMap"} < parts.keys()
    assert [p.name for p in parts_of(parse_field("fee", "currency"))] == ["feeCurrency", "feeConverted"]


def test_parts_of_what_is_not_stored_are_not_stored() -> None:
    assert all(part.not_storable for part in parts_of(parse_field("revenue", "currency unstored")))


def test_link_lines_lead_to_columns() -> None:
    one = parse_link("Contact", "account", "one Account.contactsPrimary")
    assert (one.kind, one.key, one.entity_type, one.foreign) == ("belongsTo", "accountId", "Account", "contactsPrimary")
    many = parse_link("Account", "cases", "many Case.account audited")
    assert (many.kind, many.foreign_key) == ("hasMany", "accountId")
    children = parse_link("Account", "tasks", "children Task.parent")
    assert (children.foreign_key, children.foreign_type_key) == ("parentId", "parentType")
    parent = parse_link("Task", "parent", "any")
    assert (parent.key, parent.type_key) == ("parentId", "parentType")


def test_middle_table_has_keys_of_both_sides_and_role_columns() -> None:
    link = parse_link(
        "Contact",
        "accounts",
        "cross Account.contacts via=AccountContact columns=role:varchar,gone:bool*false shows=role:title",
    )
    assert (link.middle, link.near_key, link.distant_key) == ("AccountContact", "contactId", "accountId")
    assert link.columns == {"role": "varchar", "gone": "bool"}
    assert link.column_defaults == {"gone": False}
    assert link.column_attributes == {"role": "title"}
    assert link.near_type is None


def test_shared_middle_table_tells_the_types_apart() -> None:
    link = parse_link("Lead", "teams", "cross Team via=EntityTeam")
    assert (link.near_key, link.distant_key, link.near_type) == ("entityId", "teamId", "Lead")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("several Account", "unknown link kind 'several'"),
        ("one", "needs an entity type"),
        ("cross Account.contacts", "needs via="),
        ("many Case", "needs the link back"),
        ("one Account slowly", "unknown word 'slowly'"),
        ("one Account speed=3", "unknown word 'speed=3'"),
    ],
)
def test_link_line_that_makes_no_sense_is_named(line: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=f"account: .*{message}"):
        parse_link("Contact", "account", line)
