"""Attributes that show columns of middle tables: a contact's title (its role in accounts), who accepted a
meeting, ...

A filter by one of them looks at all links of a record, also where the attribute itself shows only one. Which
comparisons are possible differs from attribute to attribute; the others are a 500.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from airflow_provider_espo.sandbox.definitions import quoted
from airflow_provider_espo.sandbox.search.context import SearchContext
from airflow_provider_espo.sandbox.search.failures import server_error
from airflow_provider_espo.sandbox.search.sql import FALSE, Condition, all_of, among, any_of, linked_ids
from airflow_provider_espo.sandbox.search.values import Operand, compare

#: Comparison under its rule's name -> the same for one row of the middle table, and whether records that have
#: one are left out.
_COMPARISONS = {
    "=": ("=", False),
    "<>": ("=", True),
    "IN": ("=", False),
    "NOT IN": ("=", True),
    "LIKE": ("*", False),
    "NOT LIKE": ("*", True),
}
_EQUALITY = ("=", "<>", "IN", "NOT IN")
_TEXT = ("=", "<>", "LIKE", "NOT LIKE", "IS NULL", "IS NOT NULL")

Rule = Callable[[SearchContext, str, Any], Condition]


@dataclass(frozen=True, slots=True)
class Role:
    """How an attribute is filtered.

    :param links: many-to-many links in whose middle tables the column is looked for
    :param column: the column; empty for the id of the other record
    :param possible: comparisons that there are rules for
    :param blank_is_null: whether an empty text counts as no value
    :param null_column: own column that ``IS NULL`` looks at instead
    :param never: comparisons that find nothing, by a slip of EspoCRM
    """

    links: tuple[str, ...]
    column: str
    possible: tuple[str, ...]
    blank_is_null: bool = False
    null_column: str = ""
    never: tuple[str, ...] = ()

    def __call__(self, context: SearchContext, key: str, value: Any) -> Condition:
        """Condition on the records of the searched type.

        :raises ApiError: 500 if there is no rule for the comparison
        """
        if key not in self.possible:
            raise server_error()
        if key in self.never:
            return FALSE
        if key in ("IS NULL", "IS NOT NULL"):
            return self._null(context, negate=key == "IS NULL")
        comparison, negate = _COMPARISONS[key]
        conditions = [
            self._linked(context, name, comparison, value, negate=negate)
            for name in self.links
            if name in context.entity_def.links
        ]
        return all_of(conditions) if negate else any_of(conditions)

    def _linked(self, context: SearchContext, name: str, comparison: str, value: Any, *, negate: bool) -> Condition:
        link = context.entity_def.links[name]
        operand = Operand(f"m.{quoted(self.column or link.distant_key)}", "varchar")
        return among(context.root_id, linked_ids(link, compare(operand, comparison, value)), negate=negate)

    def _null(self, context: SearchContext, *, negate: bool) -> Condition:
        if self.null_column:
            return Condition(f"{context.root}.{quoted(self.null_column)} IS {'' if negate else 'NOT '}NULL")
        link = context.entity_def.links[self.links[0]]
        column = f"m.{quoted(self.column)}"
        there = f"{column} IS NOT NULL" + (f" AND {column} <> ''" if self.blank_is_null else "")
        return among(context.root_id, linked_ids(link, Condition(f"({there})")), negate=negate)


_ACCEPTANCE = Role(("users", "contacts", "leads"), "status", _EQUALITY)
_ROLES = {
    ("Contact", "title"): Role(("accounts",), "role", _TEXT, blank_is_null=True),
    ("Contact", "accountAnyId"): Role(
        ("accounts",), "", (*_EQUALITY, "IS NULL", "IS NOT NULL"), null_column="accountId"
    ),
    ("Contact", "opportunityRole"): Role(("opportunities",), "role", (*_EQUALITY, *_TEXT), blank_is_null=True),
    ("User", "position"): Role(("teams",), "role", _TEXT, never=("<>",)),
    ("Meeting", "acceptanceStatus"): _ACCEPTANCE,
    ("Call", "acceptanceStatus"): _ACCEPTANCE,
}


def rule_of(entity_type: str, attribute: str) -> Rule | None:
    """The rule for an attribute; None if it has none of this sort."""
    return _ROLES.get((entity_type, attribute))
