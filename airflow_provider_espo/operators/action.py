"""Any request to EspoCRM's API that has no operator of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.operators.base import EspoOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


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
