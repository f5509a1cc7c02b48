"""Where functions for links, array attributes and the columns of links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.where_build import build

if TYPE_CHECKING:
    from airflow_provider_espo.client.where_check import WhereItem


def linked_with(link: str, ids: Any) -> WhereItem:
    """Linked with at least one of the records.

    :param link: link name, such as ``teams`` or ``account``; not an attribute such as ``accountId``.
    :param ids: an id or a list of ids. EspoCRM 9.2+ answers 400 for an id that does not exist.
    """
    return build("linkedWith", link, ids)


def not_linked_with(link: str, ids: Any) -> WhereItem:
    """Linked with none of the records.

    Over a link to one (belongs-to) records that are linked with nothing do not match; over a link to many
    they do.

    :param link: link name.
    :param ids: an id or a list of ids.
    """
    return build("notLinkedWith", link, ids)


def linked_with_all(link: str, ids: Any) -> WhereItem:
    """Linked with each of the records. For links to many: EspoCRM answers 400 for a link to one.

    :param link: link name.
    :param ids: an id or a list of ids.
    """
    return build("linkedWithAll", link, ids)


def is_linked(link: str) -> WhereItem:
    """Linked with any record.

    :param link: link name.
    """
    return build("isLinked", link)


def is_not_linked(link: str) -> WhereItem:
    """Linked with no record.

    :param link: link name.
    """
    return build("isNotLinked", link)


def in_category(link: str, category_id: Any) -> WhereItem:
    """In a category or in one below it.

    :param link: link to a category tree, such as ``folder`` of Document or ``categories`` of
        KnowledgeBaseArticle.
    :param category_id: the category's id.
    """
    return build("inCategory", link, category_id)


def is_user_from_teams(link: str, team_ids: Any) -> WhereItem:
    """The linked user is in one of the teams.

    :param link: link to one user, such as ``assignedUser``.
    :param team_ids: an id or a list of ids.
    """
    return build("isUserFromTeams", link, team_ids)


def array_any_of(attribute: str, entries: Any) -> WhereItem:
    """The array (multi-enum, checklist) has at least one of the entries.

    :param attribute: attribute name.
    :param entries: an entry or a list of entries.
    """
    return build("arrayAnyOf", attribute, entries)


def array_none_of(attribute: str, entries: Any) -> WhereItem:
    """The array has none of the entries. Records where it is null or empty match.

    :param attribute: attribute name.
    :param entries: an entry or a list of entries.
    """
    return build("arrayNoneOf", attribute, entries)


def array_all_of(attribute: str, entries: Any) -> WhereItem:
    """The array has each of the entries.

    :param attribute: attribute name.
    :param entries: an entry or a list of entries.
    """
    return build("arrayAllOf", attribute, entries)


def array_is_empty(attribute: str) -> WhereItem:
    """The array has no entry, or is null.

    :param attribute: attribute name.
    """
    return build("arrayIsEmpty", attribute)


def array_is_not_empty(attribute: str) -> WhereItem:
    """The array has an entry.

    :param attribute: attribute name.
    """
    return build("arrayIsNotEmpty", attribute)


def column_equals(field: str, value: Any) -> WhereItem:
    """A column of the link has the value for at least one linked record.

    :param field: a field that stands for a link's column (its definition names ``link`` and ``column``), such
        as ``acceptanceStatusMeetings`` of Lead and Contact.
    :param value: text, number or bool.
    """
    return build("columnEquals", field, value)


def column_not_equals(field: str, value: Any) -> WhereItem:
    """A column of the link has another value for at least one linked record.

    :param field: a field that stands for a link's column.
    :param value: text, number or bool.
    """
    return build("columnNotEquals", field, value)


def column_in(field: str, values: Any) -> WhereItem:
    """A column of the link has one of the values for at least one linked record.

    :param field: a field that stands for a link's column.
    :param values: a list, not empty and without null.
    """
    return build("columnIn", field, values)


def column_not_in(field: str, values: Any) -> WhereItem:
    """A column of the link has none of the values for at least one linked record.

    :param field: a field that stands for a link's column.
    :param values: a list, not empty and without null.
    """
    return build("columnNotIn", field, values)


def column_like(field: str, pattern: str) -> WhereItem:
    """A column of the link matches an SQL pattern for at least one linked record.

    :param field: a field that stands for a link's column.
    :param pattern: ``%`` stands for any text, ``_`` for one character.
    """
    return build("columnLike", field, pattern)


def column_is_null(field: str) -> WhereItem:
    """A column of the link has no value, or there is no linked record. Some versions before 10 refuse it.

    :param field: a field that stands for a link's column.
    """
    return build("columnIsNull", field)


def column_is_not_null(field: str) -> WhereItem:
    """A column of the link has a value for at least one linked record.

    :param field: a field that stands for a link's column.
    """
    return build("columnIsNotNull", field)
