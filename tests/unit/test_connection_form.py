from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService
from jsonschema import Draft202012Validator, ValidationError

from airflow_provider_espo.client.config import EXTRA_NAMES, NUMBERS, ClientConfig
from airflow_provider_espo.client.errors import EspoConfigError
from airflow_provider_espo.connection_form import (
    FORM_FIELDS,
    conn_fields,
    declared_ui_field_behaviour,
    ui_field_behaviour,
    widgets,
)
from airflow_provider_espo.hooks.espo import EspoHook


def read(extra: dict[str, Any]) -> ClientConfig:
    return ClientConfig.from_connection(host="https://crm.example.com", login="someone", password="k3y", extra=extra)


def test_the_form_has_every_setting_and_no_other() -> None:
    assert sorted(conn_fields()) == sorted(EXTRA_NAMES)
    assert len({field.label for field in FORM_FIELDS}) == len(FORM_FIELDS)


def test_what_nearly_everybody_needs_comes_first() -> None:
    assert next(iter(conn_fields())) == "auth_method"


def test_a_form_left_as_it_is_gives_the_defaults() -> None:
    # The form stores the default of each field, and null where there is none.
    filled = {name: field["schema"].get("default") for name, field in conn_fields().items()}
    assert read(filled) == read({})


def test_each_choice_of_the_form_is_taken() -> None:
    for name, field in conn_fields().items():
        for choice in field["schema"].get("enum", ()):
            assert getattr(read({name: choice}), name) == choice


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_the_form_and_the_client_agree_on_numbers(name: str) -> None:
    schema = conn_fields()[name]["schema"]
    for number in (-1, 0, 0.5, 1, 2, 20, 21, 32, 33, 200, 201):
        try:
            Draft202012Validator(schema).validate(number)
        except ValidationError:
            with pytest.raises(EspoConfigError, match=name):
                read({name: number})
        else:
            assert getattr(read({name: number}), name) == number


def test_what_may_hold_a_secret_is_typed_unseen() -> None:
    hidden = {name for name, field in conn_fields().items() if field["schema"].get("format") == "password"}
    assert hidden == {"proxies", "headers"}


def test_standard_fields_are_named_in_the_words_of_espocrm() -> None:
    behaviour = ui_field_behaviour()
    assert behaviour["relabeling"]["host"] == "Site URL"
    assert "API key" in behaviour["relabeling"]["password"]
    assert "API key" in behaviour["relabeling"]["login"]
    assert behaviour["placeholders"]["host"].startswith("https://")
    # A whole URL goes into host; so does its port, and a port beside it can be seen.
    assert behaviour["hidden_fields"] == ["schema"]


def test_the_declared_form_says_the_same_in_its_own_spelling() -> None:
    new, old = declared_ui_field_behaviour(), ui_field_behaviour()
    assert set(new) == {"hidden-fields", "relabeling", "placeholders"}
    assert old["hidden_fields"] == new["hidden-fields"]
    assert old["relabeling"] == new["relabeling"]
    assert old["placeholders"] == new["placeholders"]
    assert set(old) == {"hidden_fields", "relabeling", "placeholders"}


def test_callers_may_change_what_they_get() -> None:
    conn_fields()["auth_method"]["schema"]["enum"].clear()
    ui_field_behaviour()["hidden_fields"].clear()
    assert conn_fields()["auth_method"]["schema"]["enum"]
    assert ui_field_behaviour()["hidden_fields"]


class TestWidgets:
    @pytest.fixture
    def airflow_3_1(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the stand-ins in place that Airflow 3.1 puts in place of wtforms."""
        forms, validators = ModuleType("wtforms"), ModuleType("wtforms.validators")
        for name in ("String", "Integer", "Password", "Boolean"):
            setattr(forms, f"{name}Field", getattr(HookMetaService, f"Mock{name}Field"))
        validators.Optional = HookMetaService.MockOptional  # type: ignore[attr-defined]
        validators.any_of = HookMetaService.MockEnum  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "wtforms", forms)
        monkeypatch.setitem(sys.modules, "wtforms.validators", validators)

    @pytest.mark.usefixtures("airflow_3_1")
    def test_airflow_3_1_shows_the_same_form(self) -> None:
        shown = {name: widget.param.dump() for name, widget in widgets().items()}
        declared = conn_fields()
        assert list(shown) == list(declared)
        for name, field in declared.items():
            schema = field["schema"]
            assert shown[name]["schema"]["title"] == field["label"]
            assert shown[name]["description"] == field["description"]
            assert shown[name]["schema"].get("enum") == schema.get("enum")
            assert shown[name]["schema"].get("format") == schema.get("format")

    @pytest.mark.usefixtures("airflow_3_1")
    def test_its_defaults_give_the_defaults_of_the_client(self) -> None:
        assert read({name: widget.param.dump()["value"] for name, widget in widgets().items()}) == read({})

    @pytest.mark.usefixtures("airflow_3_1")
    def test_only_field_classes_that_airflow_3_1_knows(self) -> None:
        forms: Any = sys.modules["wtforms"]
        known = {forms.StringField, forms.IntegerField, forms.PasswordField, forms.BooleanField}
        assert {widget.field_class for widget in widgets().values()} <= known

    def test_the_hook_offers_the_form_where_airflow_3_1_looks_for_it(self) -> None:
        # It takes them from the class alone, and not from its bases.
        assert {"get_connection_form_widgets", "get_ui_field_behaviour"} <= set(vars(EspoHook))

    def test_without_wtforms_there_are_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "wtforms", None)
        assert widgets() == {}
