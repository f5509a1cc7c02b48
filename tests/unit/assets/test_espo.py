"""Assets as Airflow makes and knows them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from airflow.sdk import DAG, Asset

from airflow_provider_espo.assets.espo import create_asset, espo_asset
from tests.unit.airflows import DagSerialization

LEADS = "espo://crm.example.com/Lead"


@pytest.mark.parametrize("host", ["crm.example.com", "https://CRM.example.com/", "http://crm.example.com/api/v1"])
def test_an_asset_has_the_uri_of_its_site_and_entity_type(host: str) -> None:
    asset = espo_asset("Lead", host=host)
    assert (asset.uri, asset.name) == (LEADS, LEADS)


def test_name_group_and_extra_are_the_authors() -> None:
    asset = espo_asset("Lead", host="crm.example.com", name="leads", group="crm", extra={"owner": "sales"})
    assert (asset.uri, asset.name, asset.group, asset.extra) == (LEADS, "leads", "crm", {"owner": "sales"})
    assert espo_asset("Lead", host="crm.example.com").group == Asset("x").group


def test_airflow_writes_a_uri_as_the_provider_does_wherever_it_comes_from() -> None:
    by_hand = Asset(name="leads", uri="espo://CRM.Example.com:443//Lead/")
    assert by_hand == espo_asset("Lead", host="https://crm.example.com", name="leads")
    assert by_hand.normalized_uri == LEADS


@pytest.mark.parametrize("uri", ["espo://crm.example.com", "espo://crm.example.com/two words"])
def test_airflow_refuses_a_uri_that_names_no_entity_type(uri: str) -> None:
    with pytest.raises(ValueError, match="Not the address of an EspoCRM asset"):
        Asset(uri=uri)


@pytest.mark.filterwarnings("ignore:An Asset URI should not contain a password")
def test_no_user_name_and_no_secret_stays_in_a_uri() -> None:
    assert Asset(name="x", uri="espo://airflow:5f2b8c1d@crm.example.com/Lead").uri == LEADS
    assert Asset(name="x", uri="espo://5f2b8c1d@crm.example.com/Lead").uri == LEADS


def test_a_dag_is_scheduled_by_it_and_serializes() -> None:
    with DAG("dag", schedule=[espo_asset("Lead", host="crm.example.com")]) as dag:
        pass
    assert LEADS in json.dumps(DagSerialization.to_dict(dag))


def test_hook_lineage_makes_assets_by_scheme() -> None:
    asset = create_asset(host="https://crm.example.com", entity_type="Lead", extra={"a": 1})
    assert (asset.uri, asset.extra) == (LEADS, {"a": 1})
    assert create_asset(host="https://crm.example.com", entity_type="Lead").extra == {}


def test_a_dag_file_that_makes_another_providers_asset_loads_no_more_than_the_handler() -> None:
    code = (
        "import sys, airflow.sdk\n"
        "import airflow_provider_espo.assets.espo\n"
        "print(sorted(m for m in sys.modules if m.startswith('airflow_provider_espo')))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = result.stdout.splitlines()[-1]
    assert not any(f"airflow_provider_espo.{part}" in loaded for part in ("hooks", "operators", "triggers", "sandbox"))
    assert "client.wire" not in loaded
