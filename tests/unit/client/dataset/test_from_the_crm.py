"""Records as a CRM gives them, of every entity type that it lists, through every format and back."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_espo.client.column_types.columns import columns_of
from airflow_provider_espo.client.dataset.folder import Folder
from airflow_provider_espo.client.dataset.formats import FileFormat, writer_for
from airflow_provider_espo.client.dataset.manifest import Manifest
from airflow_provider_espo.client.dataset.part_files import PartFiles
from airflow_provider_espo.client.dataset.reading import open_dataset
from airflow_provider_espo.client.extraction import Part
from airflow_provider_espo.client.operations.extract import ask, extract_part
from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.sandbox.demo import ensure_demo_data
from tests.unit.sandbox_crm import SandboxCrm

#: With what has to be named to come: addresses with their flags, ids over links with many records.
TYPES: dict[str, list[str]] = {
    "Account": ["teamsIds"],
    "Contact": ["accountsIds", "emailAddressData", "phoneNumberData"],
    "Lead": ["teamsIds", "teamsNames"],
    "Opportunity": ["contactsIds", "contactsColumns"],
    "Task": [],
    "TargetList": [],
    "User": [],
    "Team": [],
}


@pytest.fixture
def crm(sandbox_crm: SandboxCrm) -> SandboxCrm:
    ensure_demo_data(sandbox_crm.sandbox, sandbox_crm.credentials["variables"])
    return sandbox_crm


def extracted(folder: Folder, entity_type: str, file_format: FileFormat) -> list[dict[str, Any]]:
    with EspoHook() as hook:
        chosen, schema = hook.run(ask(hook.state, entity_type))
        names = [*chosen.columns, *TYPES[entity_type]]
        question, _schema = hook.run(ask(hook.state, entity_type, select=names, page_size=50))
        columns = columns_of(schema, question.columns)
        files = PartFiles(
            folder,
            writer_for(file_format, columns),
            lambda number: f"{entity_type}-{number}.{file_format.extension}",
            Part(),
            records_per_file=60,
        )
        hook.run(extract_part(question, Part(), files))
    Manifest(
        entity_type=entity_type,
        file_format=file_format,
        columns=columns,
        fingerprint=question.fingerprint(),
        run="0123456789ab",
        files=tuple(files.files),
    ).write(folder)
    manifest = Manifest.read(folder)
    assert manifest is not None
    assert manifest.columns == columns
    rows = list(open_dataset(folder).rows(verify=True))
    # A record need not have all attributes, EspoCRM's JSON has an empty map as an empty list, CSV nothing for no text.
    return [
        {name: None if (value := row.get(name)) in ("", [], {}) else value for name in question.columns} for row in rows
    ]


@pytest.mark.parametrize("entity_type", TYPES)
def test_all_formats_hold_the_same_records(crm: SandboxCrm, local: Folder, entity_type: str) -> None:
    found = [extracted(Folder(local / name), entity_type, FileFormat(name)) for name in ("ndjson", "csv", "parquet")]
    assert len(found[0]) == len(crm.asker.as_user("admin").find(entity_type, maxSize=200)["list"])
    assert found[0]
    assert found[1] == found[0]
    assert found[2] == found[0]
