"""A ready retry policy over this provider's errors, for Airflow 3.3 and later.

Usage, for a task or in ``default_args``::

    EspoUpsertRecordOperator(..., retries=5, retry_policy=espo_retry_policy())
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import ExceptionRetryPolicy

_ERRORS = "airflow_provider_espo.client.errors"

#: Errors that another try would end in as well.
FINAL = (
    "EspoInputError",
    "EspoAuthenticationError",
    "EspoBadRequestError",
    "EspoNotFoundError",
    "EspoConflictError",
    "EspoPreflightError",
    "EspoTLSError",
)

#: Errors that pass, with the time after which another try makes sense.
PASSING = {
    "EspoLoginThrottledError": timedelta(seconds=90),
    "EspoRateLimitError": timedelta(minutes=2),
    "EspoMaintenanceError": timedelta(minutes=10),
    "EspoServerError": timedelta(minutes=2),
    "EspoTransportError": timedelta(minutes=1),
}


def espo_retry_policy() -> ExceptionRetryPolicy:
    """Return a policy that fails at once where another try is in vain, and waits as long as it takes where it is not.

    How often is still the task's ``retries``. Missing rights, records that cannot be told apart and other errors are
    retried as Airflow does by default: they may be mended, or settle, meanwhile.

    :return: the policy, for the argument ``retry_policy`` of a task.

    :raises ImportError: Airflow is older than 3.3, which brought retry policies.
    """
    try:
        from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
    except ImportError as error:
        raise ImportError(
            "Retry policies came with Airflow 3.3, and this is an older one. Leave retry_policy out: the task's "
            "retries and retry_delay then apply to every error"
        ) from error

    passing = [
        RetryRule(
            exception=f"{_ERRORS}.{name}",
            action=RetryAction.RETRY,
            retry_delay=delay,
            match_subclasses=True,
            reason="EspoCRM may answer later",
        )
        for name, delay in PASSING.items()
    ]
    final = [
        RetryRule(
            exception=f"{_ERRORS}.{name}",
            action=RetryAction.FAIL,
            match_subclasses=True,
            reason="Another try would end the same",
        )
        for name in FINAL
    ]
    # The first rule that fits counts: EspoTLSError fits EspoTransportError too, and is final all the same.
    return ExceptionRetryPolicy(rules=[*final, *passing])
