"""Check before any work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.operators.base import EspoOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.client.operations.preflight import Needs


class EspoPreflightOperator(EspoOperator):
    """Check that the server has what a DAG needs and that the user may use it, before any work.

    All of it is checked in one go and reported in one error: connection, version, rights, entity types, attributes,
    links, enum values. Nothing is changed.

    :param needs: by entity type what is needed of it, ``{}`` for one that has to be there: ``rights`` (some of
        ``create``, ``read``, ``edit``, ``delete``, ``stream``), ``attributes``, ``links``, and ``values``: by attribute
        the values that an enum has to have. (templated)
    :param min_version: lowest version of EspoCRM, such as ``9.1``. (templated)
    :param scopes: scopes that the user's role must allow, such as ``Import`` or ``GlobalStream``. (templated)
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"version", "user_name", "user_type", "checked"}``, the last being the number of things checked.
    :raises EspoPreflightError: something is missing; ``problems`` lists all of it.
    """

    result_has_parts = True
    template_fields: Sequence[str] = ("espo_conn_id", "needs", "min_version", "scopes")
    template_fields_renderers = {"needs": "json"}

    def __init__(
        self,
        *,
        needs: Mapping[str, Needs] | None = None,
        min_version: str | None = None,
        scopes: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.needs = needs
        self.min_version = min_version
        self.scopes = scopes

    def execute(self, context: Context) -> dict[str, Any]:
        """Check."""
        with self.hook as hook:
            report = hook.preflight(self.needs, min_version=self.min_version, scopes=self.scopes)
        self.log.info(
            "EspoCRM %s, user %s (%s): %d checks passed",
            report["version"],
            report["user_name"],
            report["user_type"],
            report["checked"],
        )
        return report
