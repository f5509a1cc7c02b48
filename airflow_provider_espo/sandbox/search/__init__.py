"""The sandbox's search: from the parameters of a list request to rows of the database.

The way of a request: :meth:`SearchParams.from_query` reads its parameters (``php.parse_query`` has taken the
query string apart), :func:`find` checks them, makes them into SQL and returns a :class:`Collection`.
:func:`build` stops before the database is asked, for actions on all records of a search. Where a filter is
wrong, an :class:`~airflow_provider_espo.sandbox.errors.ApiError` carries the status and reason that a real
server answers with.

One file for each concern: ``params`` (list parameters), ``items`` and ``check`` (where items and their
checks), ``where`` (groups, and which family an operator belongs to), ``comparison`` with ``values``,
``contact_data`` and ``roles``, ``periods`` with ``dates``, ``links``, ``categories``, ``arrays``, ``columns``
(the families), ``order``, ``text_filter``, ``filters`` (predefined filters), ``collection`` (pages and
totals).
"""

from __future__ import annotations

from airflow_provider_espo.sandbox.search.collection import MORE, NO_MORE, Collection, Query, build, find
from airflow_provider_espo.sandbox.search.context import Access, UserAccess
from airflow_provider_espo.sandbox.search.params import MAX_SIZE_LIMIT, SearchParams

__all__ = [
    "MAX_SIZE_LIMIT",
    "MORE",
    "NO_MORE",
    "Access",
    "Collection",
    "Query",
    "SearchParams",
    "UserAccess",
    "build",
    "find",
]
