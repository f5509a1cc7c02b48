from __future__ import annotations

from tests.unit.sandbox.asking import Asker


def test_a_search_over_all_types_goes_on_where_a_page_ended(crm: Asker) -> None:
    for name in ("X1", "X2"):
        crm.create("Account", name=name)
        crm.create("Lead", lastName=name)
    seen, offset = [], 0
    while True:
        page = crm.ok("GET", "GlobalSearch", query=f"q=X&maxSize=3&offset={offset}")
        seen += [item["id"] for item in page["list"]]
        offset += 3
        if page["total"] == -2:
            break
    assert (len(seen), len(set(seen))) == (4, 4)


def test_a_search_finds_only_what_one_may_read(crm: Asker) -> None:
    own_id = crm.credentials["variables"]["limited_user_id"]
    crm.create("Lead", lastName="X1", assignedUserId=own_id)
    crm.create("Lead", lastName="X2")
    assert [item["name"] for item in crm.as_user("limited").ok("GET", "GlobalSearch", query="q=X")["list"]] == ["X1"]


def test_a_lead_without_a_name_is_found_by_what_it_is_called(crm: Asker) -> None:
    crm.create("Lead", emailAddress="x@example.com")
    assert [item["name"] for item in crm.ok("GET", "GlobalSearch", query="q=x@ex")["list"]] == ["x@example.com"]


def test_labels_are_those_of_types_that_one_knows(crm: Asker) -> None:
    labels = crm.as_user("limited").ok("GET", "I18n")
    assert "Lead" in labels
    assert "Account" not in labels
    assert labels["Lead"]["fields"]["doNotCall"] == "Do Not Call"
    assert list(Asker(crm.sandbox, {}, {}).ok("GET", "I18n")) == ["Global"]


def test_custom_fields_have_labels_and_are_described(crm: Asker) -> None:
    crm.sandbox.add_field("Lead", "cScore", "int")
    assert crm.ok("GET", "I18n")["Lead"]["fields"]["cScore"] == "C Score"
    schemas = crm.ok("GET", "OpenApi")["components"]["schemas"]
    assert schemas["Lead"]["properties"]["cScore"] == {"type": "integer"}
    assert schemas["Account"]["required"] == ["name"]


def test_the_description_needs_a_right(crm: Asker) -> None:
    assert crm.as_user("limited").send("GET", "OpenApi").status == 403
