"""The address of an entity type: one for each, however the site is written."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_espo.client.asset_uri import asset_uri, namespace_and_name, normalized

LEADS = "espo://crm.example.com/Lead"


@pytest.mark.parametrize(
    "site",
    [
        "crm.example.com",
        "https://crm.example.com",
        "http://crm.example.com/",
        "HTTPS://CRM.Example.com:443",
        "http://crm.example.com:80/api/v1",
        "crm.example.com.",
    ],
)
def test_a_site_has_one_address_however_it_is_written(site: str) -> None:
    assert asset_uri(site, "Lead") == LEADS


@pytest.mark.parametrize(
    ("site", "uri"),
    [
        ("http://localhost:8090", "espo://localhost:8090/Lead"),
        ("https://www.example.com/crm", "espo://www.example.com/crm/Lead"),
        ("https://www.example.com/de/crm/api/v1", "espo://www.example.com/de/crm/Lead"),
        ("http://[::1]:8090", "espo://[::1]:8090/Lead"),
    ],
)
def test_ports_and_sub_paths_tell_sites_apart(site: str, uri: str) -> None:
    assert asset_uri(site, "Lead") == uri


@pytest.mark.parametrize(
    "written",
    [
        "espo://CRM.example.com/Lead",
        "espo://crm.example.com//Lead/",
        "espo://crm.example.com:443/Lead",
        "espo://somebody@crm.example.com/Lead",
        "espo://somebody:secret@crm.example.com/api/v1/Lead#top",
    ],
)
def test_an_address_becomes_the_one_that_the_connection_gives(written: str) -> None:
    assert urlunsplit(normalized(urlsplit(written))) == LEADS


def test_what_only_looks_the_same_stays_apart() -> None:
    written = ["espo://crm.example.com/lead", "espo://crm.example.com/CRM/Lead", "espo://crm.example.com/crm/Lead"]
    written += [LEADS + "?view=open", LEADS]
    assert len({urlunsplit(normalized(urlsplit(uri))) for uri in written}) == 5


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("espo:///Lead", "host is missing"),
        ("espo://crm.example.com", "entity type is missing"),
        ("espo://crm.example.com/", "entity type is missing"),
        ("espo://crm.example.com/a lead", "no entity type"),
        ("espo://crm.example.com/../Lead", "'.', '..'"),
        ("espo://crm.example.com/our crm/Lead", "a blank"),
        ("espo://crm example.com/Lead", "no host name"),
        ("espo://crm.example.com,crm.example.org/Lead", "no host name"),
        ("espo://crm.example.com:http/Lead", "port"),
        ("espo://crm.example.com:0/Lead", "port"),
        ("espo://crm.example.com:65536/Lead", "port"),
    ],
)
def test_what_names_no_entity_type_is_refused(uri: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        normalized(urlsplit(uri))


def test_an_error_does_not_repeat_what_was_pasted() -> None:
    with pytest.raises(ValueError, match="entity type is missing") as caught:
        normalized(urlsplit("espo://key-5f2b8c1d@crm.example.com"))
    assert "5f2b8c1d" not in str(caught.value)


@pytest.mark.parametrize("uri", ["s3://crm.example.com/Lead", "Lead", "espo://Lead"])
def test_only_addresses_of_entity_types_are_split(uri: str) -> None:
    with pytest.raises(ValueError, match="Not the address"):
        namespace_and_name(uri)


def test_openlineages_namespace_is_the_site() -> None:
    assert namespace_and_name(LEADS) == ("espo://crm.example.com", "Lead")
    assert namespace_and_name("espo://www.example.com/crm/Lead?a=b") == ("espo://www.example.com/crm", "Lead")


HOSTS = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,9}[A-Za-z0-9](\.[A-Za-z]{2,5}){0,2}", fullmatch=True)
PARTS = st.lists(st.from_regex(r"[A-Za-z0-9_~-]{1,8}", fullmatch=True), max_size=3)
TYPES = st.from_regex(r"[A-Z][A-Za-z0-9]{0,9}", fullmatch=True)


@given(HOSTS, st.integers(1, 65535), PARTS, TYPES)
def test_normalising_twice_is_normalising_once_and_says_the_same_as_the_site(
    host: str, port: int, site: list[str], entity_type: str
) -> None:
    address = "/".join([f"{host}:{port}", *site])
    once = normalized(urlsplit(f"espo://{address}/{entity_type}"))
    assert normalized(once) == once
    assert urlunsplit(once) == asset_uri(f"http://{address}", entity_type)
