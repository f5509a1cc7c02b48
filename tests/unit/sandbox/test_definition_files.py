from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_espo.sandbox.definition_files import DATA_DIRECTORY, load_definitions
from airflow_provider_espo.sandbox.definition_lines import DefinitionError
from airflow_provider_espo.sandbox.storage import Storage

ROOT = Path(__file__).resolve().parents[3]
OWNER: dict[str, Any] = {"fields": {"name": "varchar required", "kind": "enum"}, "choices": {"kind": "*Big | Small"}}
USER: dict[str, Any] = {"fields": {"name": "personName", "userName": "varchar"}}


def load(folder: Path, **files: Any) -> Any:
    for name, data in files.items():
        text = data if isinstance(data, str) else json.dumps(data)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    return load_definitions(folder)


def test_shipped_files_are_sound() -> None:
    definitions = load_definitions()
    assert {"Account", "Contact", "Lead", "Opportunity", "Task", "TargetList", "User"} <= definitions.keys()
    for entity_def in definitions.values():
        assert entity_def.order_by in entity_def.attributes, entity_def.name
        for link in entity_def.links.values():
            other = definitions.get(link.entity_type)
            if link.foreign_key and other is not None:
                assert link.foreign_key in other.attributes, (entity_def.name, link.name)


def test_every_expression_of_the_shipped_types_is_valid_sql() -> None:
    storage = Storage(":memory:", load_definitions())
    for entity_def in storage.definitions.values():
        assert storage.load(entity_def, "nobody", entity_def.attributes.values()) is None
    storage.close()


def test_both_sides_of_a_link_agree_on_the_middle_table() -> None:
    definitions = load_definitions()
    for entity_def in definitions.values():
        for link in entity_def.links.values():
            other = definitions.get(link.entity_type)
            if link.kind != "manyMany" or other is None or link.foreign is None:
                continue
            back = other.links[link.foreign]
            assert (back.middle, back.near_key, back.distant_key) == (link.middle, link.distant_key, link.near_key)
            assert back.columns == link.columns


def test_new_entity_type_is_a_data_file(tmp_path: Path) -> None:
    pet = {
        "stamps": "createdAt createdBy",
        "fields": {
            "name": "varchar 50 required",
            "owner": "link",
            "fee": "currency",
            "ownerKind": "foreign link=owner foreign=kind",
        },
        "links": {"owner": "one Owner.pets"},
    }
    definitions = load(tmp_path, Pet=pet, Owner=OWNER, User=USER)
    attributes = definitions["Pet"].attributes
    assert {"ownerId", "ownerName", "feeCurrency", "feeConverted", "createdByName"} <= attributes.keys()
    assert attributes["ownerKind"].source == "foreign"
    storage = Storage(":memory:", definitions)
    storage.insert("Owner", {"id": "o", "name": "Olga", "kind": "Big"})
    storage.insert("Pet", {"id": "p", "name": "Rex", "ownerId": "o", "fee": 10, "feeCurrency": "EUR"})
    chosen = [attributes[name] for name in ("ownerName", "ownerKind", "feeConverted")]
    assert storage.load(definitions["Pet"], "p", chosen) == {
        "ownerName": "Olga",
        "ownerKind": "Big",
        "feeConverted": pytest.approx(11.2),
    }
    storage.close()


def test_options_can_be_those_of_another_field(tmp_path: Path) -> None:
    pet = {"fields": {"name": "varchar", "kind": "enum"}, "choices": {"kind": "@Owner.kind"}}
    definitions = load(tmp_path, Pet=pet, Owner=OWNER)
    assert definitions["Pet"].fields["kind"].options == ("Big", "Small")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("{", r"Pet\.json: not JSON"),
        ([], r"Pet\.json: must be an object"),
        ({"feilds": {}}, r"Pet\.json: unknown key 'feilds'"),
        ({"traits": "flying"}, r"Pet\.json: unknown trait 'flying'"),
        ({"stamps": "bornAt"}, r"Pet\.json: unknown stamp 'bornAt'"),
        ({"fields": {"name": "varchr"}}, r"Pet\.json: name: unknown type 'varchr'"),
        ({"fields": {"owner": "link"}}, r"Pet\.json: owner: a field of type link needs a link"),
        ({"fields": {"owner": "link"}, "links": {"owner": "many Owner.pet"}}, r"owner: a field of type link needs"),
        ({"fields": {}, "choices": {"kind": "A | B"}}, r"Pet\.json: kind: no such field"),
        ({"fields": {"kind": "enum"}, "choices": {"kind": "@Nope.kind"}}, r"Pet\.json: kind: no field Nope\.kind"),
    ],
)
def test_error_in_a_data_file_names_file_and_field(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        load(tmp_path, Pet=data)


def test_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="no entity definitions"):
        load_definitions(tmp_path)


def test_letter_case_of_an_entity_type_does_not_matter() -> None:
    definitions = load_definitions()
    assert definitions.find("targetLIST") is definitions["TargetList"]
    assert definitions.find("Nope") is None


def test_example_in_the_docs_is_sound(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    example = text.partition("```json\n")[2].partition("```")[0]
    shutil.copytree(DATA_DIRECTORY, tmp_path, dirs_exist_ok=True)
    definitions = load(tmp_path, Pet=example)
    storage = Storage(":memory:", definitions)
    pet = definitions["Pet"]
    assert storage.load(pet, "nobody", pet.attributes.values()) is None
    assert pet.fields["kind"].default == "Dog"
    storage.close()
