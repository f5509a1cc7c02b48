from __future__ import annotations

import ssl
from pathlib import Path

import certifi
import pytest

from airflow_provider_espo.client import environment
from airflow_provider_espo.client.config import ClientConfig

CONFIG = ClientConfig(site_url="https://crm.example.com:8443", secret="key")
pytestmark = pytest.mark.usefixtures("bare_environment")


def site(url: str) -> ClientConfig:
    return ClientConfig(site_url=url, secret="key")


def test_a_bare_environment_asks_for_nothing() -> None:
    assert environment.proxies(CONFIG) == {}
    assert environment.ca_bundle(CONFIG) is None


def test_proxies_of_other_kinds_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ftp_proxy", "http://proxy:1")
    assert environment.proxies(CONFIG) == {}
    monkeypatch.setenv("https_proxy", "proxy:3128")
    assert environment.proxies(CONFIG) == {"https": "http://proxy:3128"}


def test_the_proxy_for_the_scheme_goes_before_the_one_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", "socks5://other:1080")
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    assert environment.proxies(CONFIG) == {"https": "http://proxy:3128"}
    monkeypatch.setenv("all_proxy", "http://other:3128")
    assert environment.proxies(CONFIG) == {"https": "http://proxy:3128", "http": "http://other:3128"}


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        ("https://crm.example.com", "crm.example.com", True),
        ("https://crm.example.com", "example.com", True),
        ("https://crm.example.com", ".example.com", True),
        ("https://crm.example.com", "other.com,example.com", True),
        ("https://crm.example.com:8443", "crm.example.com:8443", True),
        ("https://crm.example.com", "ample.com", False),
        ("https://crm.example.com.evil.org", "example.com", False),
        ("https://crm.example.com", "10.0.0.0/8", False),
        ("http://10.1.2.3", "10.0.0.0/8", True),
        ("http://10.1.2.3", "192.168.0.0/16, 10.0.0.0/8", True),
        ("http://11.1.2.3", "10.0.0.0/8", False),
        ("http://10.1.2.3", "10.0.0.0/99,junk", False),
        ("http://[fd00::1]:80", "fd00::/8", True),
        ("http://[fe80::1]", "fd00::/8", False),
        ("https://crm.example.com", "*", True),
        ("https://crm.example.com", "", False),
    ],
)
def test_no_proxy_is_by_name_by_domain_and_by_network(
    url: str, no_proxy: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert (environment.proxies(site(url)) == {}) is direct


def test_the_connections_proxies_win() -> None:
    given = {"https": "http://mine:1"}
    assert environment.proxies(ClientConfig(site_url="https://h", secret="k", proxies=given)) == given


def test_the_variables_for_ca_files_have_an_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        file = tmp_path / name
        file.touch()
        monkeypatch.setenv(name, str(file))
        assert environment.ca_bundle(CONFIG) == str(file)


def test_a_context_checks_certificates_and_host_names_unless_told_not_to() -> None:
    context = environment.tls_context(CONFIG)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.get_ca_certs()
    off = environment.tls_context(ClientConfig(site_url="https://h", secret="k", verify=False))
    assert off.verify_mode is ssl.CERT_NONE
    assert not off.check_hostname


def test_nobody_is_asked_on_the_terminal_for_a_keys_password(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = []

    def load(_self: ssl.SSLContext, _cert: str, _key: str | None, password: str | None = None) -> None:
        passwords.append(password)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)
    environment.tls_context(ClientConfig(site_url="https://h", secret="k", client_cert="c", client_key="k"))
    assert passwords == [""]


def test_a_bundle_may_be_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path))
    assert environment.tls_context(CONFIG).get_ca_certs() == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert environment.tls_context(CONFIG).get_ca_certs()
