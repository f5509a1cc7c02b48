"""Scripts of administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.answers import name_of
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.formula import FormulaError, FormulaSyntaxError, Script, parse
from airflow_provider_espo.sandbox.formula.functions import functions
from airflow_provider_espo.sandbox.routes.common import need_admin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.definitions import EntityDef
    from airflow_provider_espo.sandbox.http import Context, Handler


class Record:
    """The record that a script is run for: reads it, and collects what the script sets.

    :param values: the record in full
    """

    def __init__(self, context: Context, entity_def: EntityDef, values: Mapping[str, Any]) -> None:
        self._context = context
        self._entity_def = entity_def
        self._values = values
        self.changes: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        """An attribute, or with a dot one of the record that a link points to; null if there is none."""
        if name in self.changes:
            return self.changes[name]
        link_name, dot, rest = name.partition(".")
        if not dot:
            return self._values.get(name)
        sandbox, link = self._context.sandbox, self._entity_def.links.get(link_name)
        record_id = self.get(link.key) if link is not None and link.kind.startswith("belongsTo") else None
        entity_type = self.get(link.type_key) if link is not None and link.type_key else link and link.entity_type
        other = sandbox.storage.definitions.get(str(entity_type))
        if record_id is None or other is None:
            return None
        if rest == "name":
            return name_of(sandbox.storage, other.name, record_id)
        found = sandbox.serializer.record(other, record_id, self._context.user)
        return Record(self._context, other, found).get(rest) if found else None

    def set(self, name: str, value: Any) -> None:
        """Set an attribute; those that there are not are of no effect."""
        self.changes[name] = value

    def save(self) -> None:
        """Store what was set to something else than it was."""
        attributes = self._entity_def.attributes
        changed = {n: v for n, v in self.changes.items() if n in attributes and v != self._values.get(n)}
        if changed:
            self._context.sandbox.records.set_values(
                self._entity_def, str(self._values["id"]), changed, self._context.user
            )


def expression(context: Context) -> str:
    """The script in the body.

    :raises ApiError: 403 unless the user is an administrator, 400 without a script
    """
    need_admin(context)
    text = context.body.get("expression")
    if not isinstance(text, str):
        raise ApiError(400, "No or non-string expression.")
    return text


def run(context: Context) -> dict[str, Any]:
    """Run a script, for a record if one is named; what it sets is saved if it comes to its end."""
    text, target = expression(context), found_target(context)
    sandbox, user = context.sandbox, context.user
    shown = {"id": user.id, "name": user.name, "userName": user.user_name, "type": user.type}
    script = Script(functions(sandbox.storage.clock, shown, target), target)
    try:
        script.run(parse(text))
    except FormulaError as error:
        is_syntax = isinstance(error, FormulaSyntaxError)
        return {"isSuccess": False, "message": str(error), "isSyntaxError": is_syntax, "output": script.output}
    if target is not None:
        target.save()
    return {"isSuccess": True, "output": script.output}


def found_target(context: Context) -> Record | None:
    """The record that the body names, or None.

    :raises ApiError: 404 if there is no such record
    """
    entity_type, record_id = context.body.get("targetType"), context.body.get("targetId")
    if not entity_type or not record_id:
        return None
    entity_def = context.sandbox.storage.definitions.get(str(entity_type))
    if entity_def is None:
        raise ApiError(404, "")
    return Record(context, entity_def, context.sandbox.records.stored(entity_def, str(record_id), context.user))


def check_syntax(context: Context) -> dict[str, Any]:
    """See whether a script makes sense; whether its functions exist is not looked at."""
    try:
        parse(expression(context))
    except FormulaSyntaxError as error:
        return {"isSuccess": False, "message": str(error)}
    return {"isSuccess": True}


ACTIONS: Mapping[tuple[str, str, str], Handler] = {
    ("POST", "Formula", "run"): run,
    ("POST", "Formula", "checkSyntax"): check_syntax,
}
