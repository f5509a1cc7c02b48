"""Actions on a record, and any request to EspoCRM's API that has no operator of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.links.espo import EspoRecordLink
from airflow_provider_espo.operators.base import EspoOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.hooks.espo import EspoHook

#: What the data of an action may hold that is more here than one request.
_DATA: Mapping[str, Sequence[str]] = {"merge": ("sourceIdList", "attributes"), "restoreDeleted": ()}


class EspoRequestOperator(EspoOperator):
    """Send any request to EspoCRM's API, with the connection's credentials, time-outs, retries and errors.

    A retry of the task sends the request again: make sure that this does no harm, or use the operator made for the job.

    :param path: path below ``api/v1``, such as ``Lead/action/convert``. (templated)
    :param method: HTTP method. (templated)
    :param query: query parameters; all but texts are sent as JSON, which is what ``searchParams`` takes. (templated)
    :param json: JSON body; ``None`` sends none. (templated)
    :param headers: more headers, such as ``X-Skip-Duplicate-Check``; not those that authenticate. (templated)
    :param repeatable: whether the client may send the request twice within one try, when the first answer got lost. By
        default for all methods but ``POST``.
    :param response_filter: function of the decoded answer that returns what goes to XCom.
    :param espo_conn_id: Airflow connection. (templated)
    :return: the decoded JSON answer, or what ``response_filter`` makes of it; ``None`` for an empty answer.
    :raises EspoInputError: ``response_filter`` is no function; when the task is made.
    :raises EspoError: see :mod:`airflow_provider_espo.exceptions`.
    """

    template_fields: Sequence[str] = ("espo_conn_id", "method", "path", "query", "json", "headers")
    template_fields_renderers = {"query": "json", "json": "json", "headers": "json"}

    def __init__(
        self,
        *,
        path: str,
        method: str = "GET",
        query: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        response_filter: Callable[[Any], Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if response_filter is not None and not callable(response_filter):
            # Found out after the request, what was written would be written again by the next try.
            raise EspoInputError("response_filter is not a function of the answer")
        self.method = method
        self.path = path
        self.query = query
        self.json = json
        self.headers = headers
        self.repeatable = repeatable
        self.response_filter = response_filter

    def execute(self, context: Context) -> Any:
        """Send the request."""
        body = {} if self.json is None else {"json": self.json}
        with self.hook as hook:
            answer = hook.request(
                self.method, self.path, query=self.query, headers=self.headers, repeatable=self.repeatable, **body
            )
        return self.response_filter(answer) if self.response_filter else answer


class EspoActionOperator(EspoOperator):
    """Carry out one of EspoCRM's actions on a record: ``merge``, ``convertCurrency``, ``restoreDeleted``, ``lock`` …

    Safe to retry: ``merge`` leaves out sources that are gone, ``restoreDeleted`` leaves alone a record that is there,
    ``convertCurrency``, ``lock`` and ``unlock`` change nothing the second time. A retry sends any other action again.

    :param entity_type: entity type, such as ``Account``. (templated)
    :param record_id: id of the record; for ``merge`` of the one that stays. (templated)
    :param action: the action's name, as in EspoCRM. (templated)
    :param data: what the action needs: for ``merge`` ``{"sourceIdList": [...], "attributes": {...}}``, for
        ``convertCurrency`` ``{"targetCurrency": "EUR"}``. (templated)
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"id", "action"}``: action ``merged``, ``restored``, ``done``, or ``unchanged``.
    :raises EspoNotFoundError: no such record or action.
    :raises EspoForbiddenError: no right; ``restoreDeleted`` is for administrators, which API users never are.
    """

    operator_extra_links = (EspoRecordLink(),)
    writes = ("entity_type",)
    result_has_parts = True
    template_fields: Sequence[str] = ("espo_conn_id", "entity_type", "record_id", "action", "data")
    template_fields_renderers = {"data": "json"}

    def __init__(
        self,
        *,
        entity_type: str,
        record_id: str,
        action: str,
        data: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.record_id = record_id
        self.action = action
        self.data = data

    def execute(self, context: Context) -> dict[str, Any]:
        """Carry out the action."""
        with self.hook as hook:
            result = self._carry_out(hook)
        self.log.info("%s %s: %s, %s", self.entity_type, result["id"], self.action, result["action"])
        return {"id": result["id"], "action": result["action"]}

    def _carry_out(self, hook: EspoHook) -> dict[str, Any]:
        if self.data is not None and not isinstance(self.data, Mapping):
            raise EspoInputError("data is not a dict")
        data = dict(self.data or {})
        own = _DATA.get(self.action)
        if own is not None and (unknown := sorted(str(name) for name in data if name not in own)):
            raise EspoInputError(f"data of {self.action} has no {', '.join(unknown)}", hint=f"It has: {_listed(own)}")
        if self.action == "merge":
            return hook.merge_records(
                self.entity_type, self.record_id, data.get("sourceIdList") or [], data.get("attributes")
            )
        if self.action == "restoreDeleted":
            return hook.restore_deleted(self.entity_type, self.record_id)
        hook.run_action(self.entity_type, self.record_id, self.action, data)
        return {"id": self.record_id, "action": "done"}


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing"
