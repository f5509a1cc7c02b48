"""The connection form, defined once: for Airflow's declarative form (3.2 and later) and for widgets (3.1).

Defaults and bounds come from the client's own settings, so that the form cannot promise what the client does
not do. Airflow reads this while it starts: nothing here imports Airflow or a form library on import.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_espo.client.config import NUMBERS, AuthMethod, ClientConfig, HmacDigest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from enum import StrEnum

_DEFAULTS = {spec.name: spec.default for spec in fields(ClientConfig)}


@dataclass(frozen=True)
class FormField:
    """One field of the form beyond Airflow's standard ones; its value is stored in the connection's extra.

    :param name: name in the extra, and of the setting.
    :param label: what the form shows.
    :param description: help below the field.
    :param kind: JSON type of the value.
    :param choices: allowed values, where only some words are.
    :param secret: whether the form hides what is typed.
    """

    name: str
    label: str
    description: str
    kind: Literal["string", "boolean", "integer", "number"] = "string"
    choices: type[StrEnum] | None = None
    secret: bool = False

    @property
    def default(self) -> str | bool | float | None:
        """Value that an empty field means, ``None`` where it means none."""
        value = _DEFAULTS[self.name]
        if self.choices:
            return str(value)
        return value if isinstance(value, bool | int | float) else None

    def json_schema(self) -> dict[str, Any]:
        """The field as JSON schema, the form that Airflow's ``conn-fields`` want."""
        schema: dict[str, Any] = {"type": [self.kind, "null"]}
        if self.default is not None:
            schema["default"] = self.default
        if self.choices:
            schema["enum"] = [str(choice) for choice in self.choices]
        if self.secret:
            schema["format"] = "password"
        if limits := NUMBERS.get(self.name):
            schema["exclusiveMinimum" if limits.above_minimum else "minimum"] = limits.minimum
            if limits.maximum is not None:
                schema["maximum"] = limits.maximum
        return schema


#: In the order of the form: what nearly everybody needs comes first.
FORM_FIELDS: Sequence[FormField] = (
    FormField(
        "auth_method",
        "Authentication method",
        "api_key: key of an API user in the password field. hmac: API key in the login field, secret key in "
        "the password field. basic, token: user name and password of a regular user or administrator; token "
        "logs in once and goes on with the token.",
        choices=AuthMethod,
    ),
    FormField(
        "verify",
        "Verify TLS certificate",
        "Switch off only for a test server of your own. For a private CA, give the CA file instead.",
        "boolean",
    ),
    FormField("ca_file", "CA file", "File on the workers with the certificates of the CAs to trust (PEM)."),
    FormField(
        "client_cert",
        "Client certificate file",
        "File on the workers with the certificate that the server asks for (PEM), with or without its key.",
    ),
    FormField(
        "client_key",
        "Client key file",
        "File on the workers with the key of that certificate, where it is in a file of its own.",
    ),
    FormField("timeout", "Time-out (seconds)", "How long to wait for the next part of an answer.", "number"),
    FormField(
        "connect_timeout",
        "Connection time-out (seconds)",
        "How long to wait for the server to pick up.",
        "number",
    ),
    FormField(
        "max_retries",
        "Retries",
        "How often a request is sent again after a failure that may pass. What may have been done already is "
        "not repeated blindly.",
        "integer",
    ),
    FormField(
        "max_workers",
        "Parallel requests",
        "How many requests one task may have under way at once.",
        "integer",
    ),
    FormField("page_size", "Page size", "Records asked for in one request.", "integer"),
    FormField(
        "requests_per_second",
        "Requests per second",
        "Most requests per second in one process; empty for no bound. For a budget over tasks, use a pool.",
        "number",
    ),
    FormField(
        "proxies",
        "Proxies",
        'JSON object such as {"https": "http://proxy.example.com:3128"}, or one URL for all.',
        secret=True,
    ),
    FormField(
        "headers",
        "Additional headers",
        'JSON object of HTTP headers for every request, such as {"CF-Access-Client-Id": "..."}.',
        secret=True,
    ),
    FormField("portal_id", "Portal id", "To work in a portal, as a user of that portal: the portal's record id."),
    FormField(
        "hmac_digest",
        "HMAC digest",
        "Form of the signature. raw is understood by every EspoCRM, hex by 8.4.1 and later.",
        choices=HmacDigest,
    ),
    FormField(
        "act_as",
        "Act as user",
        "User name on whose behalf to work. Only for administrators, with basic or token.",
    ),
    FormField(
        "web_url",
        "URL for people",
        "Where people open EspoCRM, for links, if workers reach it under another address than the site URL.",
    ),
)

# ``schema`` is hidden because it confuses: scheme and sub-path belong to the site URL. It is still honoured,
# as Airflow fills it from connection URIs.
_HIDDEN = ("schema",)
_LABELS = {
    "host": "Site URL",
    "login": "User name or API key (HMAC)",
    "password": "API key, secret key or password",
    "port": "Port (if not in the site URL)",
}
_PLACEHOLDERS = {
    "host": "https://crm.example.com",
    "login": "empty for an API key",
}


def conn_fields() -> dict[str, dict[str, Any]]:
    """The fields for ``conn-fields`` of the provider info (Airflow 3.2 and later)."""
    return {
        field.name: {
            "label": field.label,
            "description": field.description,
            "schema": field.json_schema(),
        }
        for field in FORM_FIELDS
    }


def ui_field_behaviour() -> dict[str, Any]:
    """What becomes of the standard fields, for a hook's ``get_ui_field_behaviour`` (Airflow 3.1)."""
    return {
        "hidden_fields": list(_HIDDEN),
        "relabeling": dict(_LABELS),
        "placeholders": dict(_PLACEHOLDERS),
    }


def declared_ui_field_behaviour() -> dict[str, Any]:
    """The same for ``ui-field-behaviour`` of the provider info, which spells its keys with dashes."""
    return {name.replace("_", "-"): value for name, value in ui_field_behaviour().items()}


def widgets() -> dict[str, Any]:
    """The fields as form widgets, for a hook's ``get_connection_form_widgets`` (Airflow 3.1).

    Airflow 3.1 puts stand-ins in place of ``wtforms`` while it asks for them, and knows four field classes.

    :return: widgets by name, none where there is no ``wtforms``.
    """
    try:
        # By name, because mypy would want stubs for a library that Airflow 3.2 no longer needs.
        forms, validate = import_module("wtforms"), import_module("wtforms.validators")
    except ImportError:
        return {}
    result: dict[str, Any] = {}
    for field in FORM_FIELDS:
        # There is no class for fractions: as text they are read just as well.
        widget = {"boolean": forms.BooleanField, "integer": forms.IntegerField}.get(
            field.kind, forms.PasswordField if field.secret else forms.StringField
        )
        default = field.default
        if field.kind == "number" and default is not None:
            default = f"{default:g}"
        validators = [validate.Optional()]
        if field.choices:
            validators.append(validate.any_of([str(choice) for choice in field.choices]))
        result[field.name] = widget(field.label, validators=validators, description=field.description, default=default)
    return result
