"""What an extraction takes by default, and how what lists do not show comes all the same; on the sandbox."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider_espo.client.errors import EspoUnknownNameError
from airflow_provider_espo.client.extraction import Page, Part
from airflow_provider_espo.client.operations.extract import ask, extract_part
from airflow_provider_espo.client.projection import default_select, split_select
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.hooks.espo import EspoHook
from tests.unit.sandbox_crm import SandboxCrm

MOMENT = "2026-02-01 10:00:00"
LEAST: dict[str, dict[str, Any]] = {
    "Lead": {"lastName": "Ada"},
    "Contact": {"lastName": "Ada"},
    "Account": {"name": "Acme"},
    "Opportunity": {"name": "Deal", "amount": 1, "closeDate": "2026-02-01"},
    "Call": {"name": "Call", "dateStart": MOMENT, "dateEnd": MOMENT},
    "Meeting": {"name": "Meeting", "dateStart": MOMENT, "dateEnd": MOMENT},
    "Task": {"name": "Task"},
    "Case": {"name": "Case"},
    "Campaign": {"name": "Campaign"},
    "TargetList": {"name": "List"},
    "KnowledgeBaseArticle": {"name": "Article"},
    "DocumentFolder": {"name": "Folder"},
    "Email": {
        "subject": "Hello",
        "from": "a@example.com",
        "to": "b@example.com",
        "status": "Archived",
        "dateSent": MOMENT,
    },
}

#: What lists show of the user who asks, or twice.
OF_THE_USER = {
    "deleted",
    "versionNumber",
    "isStarred",
    "isRead",
    "isImportant",
    "inTrash",
    "inArchive",
    "folderId",
    "isUsers",
    "personStringData",
}
FOREIGN = {("Contact", "accountType")}


class Collected:
    """Keeps what comes."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.finished = False

    def write(self, page: Page) -> None:
        self.records += page.records

    def finish(self) -> None:
        self.finished = True


def extracted(entity_type: str, select: list[str] | None = None) -> list[dict[str, Any]]:
    sink = Collected()
    with EspoHook() as hook:
        question, _schema = hook.run(ask(hook.state, entity_type, select=select))
        assert hook.run(extract_part(question, Part(), sink)) is True
    assert sink.finished
    return sink.records


def made(crm: SandboxCrm, entity_type: str, **values: Any) -> Any:
    asker = crm.asker.as_user("admin")
    user = {} if entity_type == "DocumentFolder" else {"assignedUserId": asker.ok("GET", "App/user")["user"]["id"]}
    return asker.create(entity_type, **LEAST[entity_type], **user, **values)


def schema_of(crm: SandboxCrm, entity_type: str) -> EntitySchema:
    defs = crm.asker.as_user("admin").ok("GET", "Metadata", query="key=" + quote(f"entityDefs.{entity_type}"))
    return EntitySchema.from_entity_defs(entity_type, defs)


@pytest.mark.parametrize("entity_type", LEAST)
def test_the_default_is_all_that_lists_show_of_the_record_itself(sandbox_crm: SandboxCrm, entity_type: str) -> None:
    made(sandbox_crm, entity_type)
    schema = schema_of(sandbox_crm, entity_type)

    chosen = default_select(schema)
    shown = sandbox_crm.asker.as_user("admin").find(entity_type, maxSize=1)["list"][0]

    assert chosen[0] == "id"
    # The server drops in silence what it does not show: it would be an empty column for ever.
    assert set(chosen) - set(shown) == set()
    left_out = {name for name in set(shown) - set(chosen) - OF_THE_USER if (entity_type, name) not in FOREIGN}
    names_of_linked = {name for name in left_out if f"{name.removesuffix('Name')}Id" in chosen}
    assert left_out == names_of_linked


@pytest.mark.parametrize(("entity_type", "secret"), [("User", "apiKey"), ("LeadCapture", "apiKey")])
def test_keys_by_which_one_may_act_come_only_when_they_are_named(
    sandbox_crm: SandboxCrm, entity_type: str, secret: str
) -> None:
    schema = schema_of(sandbox_crm, entity_type)
    assert secret in schema.attributes
    assert secret not in default_select(schema)
    assert split_select(schema, ["id", secret])[0] == ["id", secret]


def test_without_a_select_a_record_comes_with_its_own_attributes(sandbox_crm: SandboxCrm) -> None:
    made(sandbox_crm, "Contact", emailAddress="ada@example.com")

    (record,) = extracted("Contact")

    assert (record["lastName"], record["emailAddress"], record["emailAddressIsOptedOut"]) == (
        "Ada",
        "ada@example.com",
        False,
    )
    assert "assignedUserName" not in record


def test_addresses_with_their_flags_come_when_they_are_named(sandbox_crm: SandboxCrm) -> None:
    addresses = [
        {"emailAddress": "ada@example.com", "primary": True, "optOut": False, "invalid": False},
        {"emailAddress": "second@example.com", "primary": False, "optOut": True, "invalid": False},
    ]
    made(sandbox_crm, "Lead", emailAddressData=addresses)

    (record,) = extracted("Lead", ["lastName", "emailAddressData", "phoneNumberData"])

    found = {it["emailAddress"]: it["optOut"] for it in record["emailAddressData"]}
    assert found == {"ada@example.com": False, "second@example.com": True}
    assert record["phoneNumberData"] == []


def test_ids_names_and_columns_of_linked_records_come_when_they_are_named(sandbox_crm: SandboxCrm) -> None:
    account = made(sandbox_crm, "Account")
    contact = made(
        sandbox_crm, "Contact", accountsIds=[account["id"]], accountsColumns={account["id"]: {"role": "CEO"}}
    )

    (record,) = extracted("Contact", ["accountsIds", "accountsNames", "accountsColumns"])

    assert record["id"] == contact["id"]
    assert record["accountsIds"] == [account["id"]]
    assert record["accountsNames"] == {account["id"]: "Acme"}
    assert record["accountsColumns"][account["id"]]["role"] == "CEO"


def test_ids_that_a_record_itself_is_read_without_come_when_they_are_named(sandbox_crm: SandboxCrm) -> None:
    targets = made(sandbox_crm, "TargetList")
    lead = made(sandbox_crm, "Lead", targetListsIds=[targets["id"]])
    assert "targetListsIds" not in sandbox_crm.asker.read("Lead", lead["id"])

    (record,) = extracted("Lead", ["targetListsIds"])

    assert record["targetListsIds"] == [targets["id"]]


def test_what_only_a_single_record_has_is_read_record_by_record(sandbox_crm: SandboxCrm) -> None:
    email = made(sandbox_crm, "Email")

    (record,) = extracted("Email", ["name", "to"])

    assert (record["name"], record["to"]) == ("Hello", "b@example.com")
    assert [one.path for one in sandbox_crm.calls("GET") if one.path.startswith("Email/")] == [f"Email/{email['id']}"]


def test_without_such_attributes_no_record_is_read_by_itself(sandbox_crm: SandboxCrm) -> None:
    made(sandbox_crm, "Lead")

    extracted("Lead", ["lastName", "teamsIds"])

    assert not [one.path for one in sandbox_crm.calls("GET") if one.path.startswith("Lead/")]


@pytest.mark.parametrize(("entity_type", "name"), [("Account", "contactsIds"), ("Call", "uid")])
def test_what_no_answer_has_is_refused_and_not_delivered_empty(
    sandbox_crm: SandboxCrm, entity_type: str, name: str
) -> None:
    with pytest.raises(EspoUnknownNameError, match=f"no answer of the server has {name}"):
        extracted(entity_type, ["name", name])


def test_custom_fields_without_a_column_are_told_by_the_metadata() -> None:
    schema = EntitySchema.from_entity_defs(
        "CThing",
        {
            "fields": {
                "kept": {"type": "varchar"},
                "workedOut": {"type": "varchar", "notStorable": True},
                "expression": {"type": "int", "notStorable": True, "select": {"select": "COUNT"}},
                "secret": {"type": "varchar", "internal": True},
                "code": {"type": "password"},
                "amount": {"type": "currency", "notStorable": True},
                "amountCurrency": {"type": "enum", "notStorable": True},
                "emailAddress": {"type": "email"},
                "emailAddressIsOptedOut": {"type": "bool", "notStorable": True},
            },
            "links": {},
        },
    )

    assert default_select(schema) == [
        "id",
        "kept",
        "expression",
        "emailAddress",
        "emailAddressIsOptedOut",
        "emailAddressIsInvalid",
    ]
    assert split_select(schema, ["workedOut", "kept", "emailAddressData"]) == (
        ["kept"],
        ["workedOut", "emailAddressData"],
    )
