"""What a template may have made of an argument, and what is too big to hand on."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_espo.client.errors import EspoInputError

#: Rows that a list pushes to XCom at most, unless the task says otherwise: about a megabyte.
MAX_XCOM_ROWS = 1000


def whole_number(name: str, value: object) -> int | None:
    """Return a number that a template may have made a text of.

    :param name: the argument's name, for the error.
    :param value: a number, its text, or ``None``.
    :raises EspoInputError: none of these.
    """
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    raise EspoInputError(f"{name} is not a whole number")


def rows_to_ask_for(limit: object, max_xcom_rows: int) -> int:
    """Return how many rows to read: one more than may be pushed is enough to know that there are too many.

    :param limit: what the task gave as limit, maybe rendered to a text.
    :param max_xcom_rows: rows that may go through XCom.
    :raises EspoInputError: the limit is not a whole number, or nothing could ever be pushed.
    """
    if not isinstance(max_xcom_rows, int) or max_xcom_rows < 1:
        raise EspoInputError("max_xcom_rows is not a whole number of 1 or more")
    number = whole_number("limit", limit)
    return max_xcom_rows + 1 if number is None else min(number, max_xcom_rows + 1)


def refuse_too_many(rows: Sequence[object], max_xcom_rows: int) -> None:
    """Raise when a result is too big for XCom.

    :param rows: the result.
    :param max_xcom_rows: rows that may go through XCom.
    :raises EspoInputError: there are more.
    """
    if len(rows) > max_xcom_rows:
        raise EspoInputError(
            f"More than {max_xcom_rows} records match, too many to push through XCom",
            hint="Narrow the filter, give a limit, or read them with EspoHook.iter_records in a task that writes them "
            "to a file; max_xcom_rows raises the bound",
        )
