"""Writes the rows of one chunk by the route that was chosen for it, with an outcome for each row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.bulk.importable import importable_names, is_importable_key, uniform_rows
from airflow_provider_espo.client.bulk.routes import LEAST_TO_IMPORT, Choice, Facts, WantedRoute, candidates, choose
from airflow_provider_espo.client.comparing import changed
from airflow_provider_espo.client.errors import EspoError, EspoForbiddenError
from airflow_provider_espo.client.operations.bulk import Outcome, Plan
from airflow_provider_espo.client.operations.bulk_import import (
    Imported,
    import_changes,
    import_lanes,
    import_new,
    wait_for_imports,
)
from airflow_provider_espo.client.operations.bulk_lanes import Lane, Row, is_fatal, keyed_lanes, look_up_all
from airflow_provider_espo.client.operations.bulk_mass import id_lanes, mass_delete_lane, mass_update_lane
from airflow_provider_espo.client.operations.bulk_rows import created_since, has_key, is_record_id
from airflow_provider_espo.client.operations.keys import Found, Key, MatchKey
from airflow_provider_espo.client.operations.lost import LIST_TEXT_LIMIT
from airflow_provider_espo.client.operations.mass_names import check_rights
from airflow_provider_espo.client.operations.rights import my_rights
from airflow_provider_espo.client.retry import outcome_is_unknown

if TYPE_CHECKING:
    from airflow_provider_espo.client.methods import Blocking
    from airflow_provider_espo.client.operations.bulk import WriteOperation
    from airflow_provider_espo.client.operations.records import OnDuplicate
    from airflow_provider_espo.client.wire import FileOperation


@dataclass(frozen=True)
class Written:
    """What became of rows.

    :param outcomes: an outcome for each row.
    :param choice: the way that was chosen.
    :param faster: rows that went that way; all others were written by themselves.
    """

    outcomes: list[Outcome]
    choice: Choice
    faster: int = 0

    @property
    def routes(self) -> dict[str, int]:
        """Numbers of rows by the way they went."""
        return {self.choice.route: self.faster, "records": len(self.outcomes) - self.faster}


@dataclass
class Writer:
    """Writes rows that are ready to be sent.

    :param driver: carries operations out.
    :param key: what makes the key, with the entity type's schema where names are checked.
    :param operation: what to do.
    :param keyed: whether an author gave the key.
    :param on_duplicate: of a create.
    :param route: the route that was asked for.
    """

    driver: Blocking
    key: MatchKey
    operation: WriteOperation
    keyed: bool
    on_duplicate: OnDuplicate
    route: WantedRoute
    _rights: dict[str, bool] = field(default_factory=dict)

    def write(self, rows: Sequence[Row], *, since: datetime | None = None, claimed: set[str] | None = None) -> Written:
        """Write rows.

        :param rows: place among all rows, and values.
        :param since: when an earlier try may have begun to write them; ``None`` if none did.
        :param claimed: ids of records that come from other rows; those created here are added.
        :return: an outcome for each row, and the ways they went.
        :raises EspoError: what would meet every row; nothing is known of some of them then.
        """
        claimed = set() if claimed is None else claimed
        earlier: list[Outcome] = []
        if since is not None and self.operation == "create":
            if not self.keyed:
                choice = Choice("records", "an earlier try may have created some, and they are told by their values")
                return Written(self._by_records(rows, since=since, claimed=claimed), choice)
            earlier = self._created_earlier(rows, since, claimed)
            told = {outcome["index"] for outcome in earlier}
            rows = [row for row in rows if row[0] not in told]
        if not rows:
            return Written(earlier, Choice("records", "there is nothing to write"))
        taken = self._taken(rows)
        choice = choose(self.route, self._facts(rows, taken))
        if choice.route == "mass_action":
            return self._by_mass_action(rows, choice)
        if choice.route == "import":
            written = self._by_import(rows, taken, claimed, choice)
            return Written(earlier + written.outcomes, choice, written.faster)
        return Written(earlier + self._by_records(rows, claimed=claimed), choice)

    def wait_for_earlier(self, since: datetime) -> None:
        """Wait until nothing is at work any more that an earlier try may have started.

        :param since: when it began.
        """
        if self.operation != "delete" and self._may("import"):
            self.driver.run(wait_for_imports(self.key.state, self.key.entity_type, since))

    def _created_earlier(self, rows: Sequence[Row], since: datetime, claimed: set[str]) -> list[Outcome]:
        """Rows whose records an earlier try created, told by their key; each record is taken for one row."""
        keyed = [row for row in rows if has_key(self.key, row[1])]
        lanes = keyed_lanes(self.key, keyed, self.key.state.config.max_workers)
        found: dict[Key, list[str]] = {}
        looks = (created_since(self.key, [wire for _, wire in lane], since, claimed) for lane in lanes)
        for some in self.driver.run_many(looks):
            if isinstance(some, EspoError):
                raise some
            found |= some
        outcomes: list[Outcome] = []
        for index, wire in keyed:
            if ids := found.get(self.key.of(wire)):
                outcomes.append({"index": index, "id": ids.pop(0), "action": "created", "error": None})
        claimed |= {str(outcome["id"]) for outcome in outcomes}
        return outcomes

    # -- which way ---------------------------------------------------------------------------------------------------

    def _facts(self, rows: Sequence[Row], taken: Lane) -> Facts:
        schema, names = self.key.schema, sorted({name for _, wire in rows for name in wire})
        asked = candidates(self.operation, self.route, len(rows))
        updating = self.operation == "update"
        if schema is not None and taken:
            names = sorted(taken[0][1])
        first = rows[0][1]
        return Facts(
            operation=self.operation,
            rows=len(rows),
            importable=len(taken),
            not_importable=()
            if schema is None
            else tuple(sorted(set(names) - set(importable_names(schema, names, updating=updating)))),
            key_importable=schema is not None and is_importable_key(schema, self.key.names),
            match_by=self.key.names if self.keyed or self.operation != "create" else (),
            on_duplicate=self.on_duplicate,
            same_values=all(_without_id(wire) == _without_id(first) for _, wire in rows),
            values_listed=schema is not None
            and all(
                (it := schema.attribute(name)) is not None
                and it.listed
                and not (isinstance(value, str) and len(value) >= LIST_TEXT_LIMIT)
                for name, value in _without_id(first).items()
            ),
            known=schema is not None,
            may_import=self._may("import") if "import" in asked else None,
            may_mass=self._may("mass_action") if "mass_action" in asked else None,
        )

    def _taken(self, rows: Sequence[Row]) -> Lane:
        """Rows that an import takes, of which no other has the key."""
        if self.key.schema is None or "import" not in candidates(self.operation, self.route, len(rows)):
            return []
        by_key: dict[Key, Lane] = {}
        for index, wire in rows:
            if has_key(self.key, wire):
                by_key.setdefault(self.key.of(wire), []).append((index, wire))
        return uniform_rows(self.key.schema, [lane[0] for lane in by_key.values() if len(lane) == 1])

    def _may(self, route: str) -> bool:
        if route not in self._rights:
            self._rights[route] = self._ask_right(route)
        return self._rights[route]

    def _ask_right(self, route: str) -> bool:
        if route == "import":
            return self.driver.run(my_rights()).has("Import")
        action = "delete" if self.operation == "delete" else "update"
        try:
            self.driver.run(check_rights(self.key.state, self.key.entity_type, action, by_filter=False))
        except EspoForbiddenError:
            return False
        return True

    # -- record by record --------------------------------------------------------------------------------------------

    def _by_records(
        self,
        rows: Sequence[Row],
        *,
        since: datetime | None = None,
        claimed: set[str] | None = None,
        known: dict[Key, list[Found]] | None = None,
    ) -> list[Outcome]:
        if not rows:
            return []
        plan = Plan(
            self.key,
            [wire for _, wire in rows],
            operation=self.operation,
            on_duplicate=self.on_duplicate,
            validate=self.key.schema is not None,
            since=since,
            since_by_key=self.keyed,
            claimed=claimed,
            known=known,
        )
        for done in self.driver.run_many(plan.operations(self.key.schema)):
            plan.add(done)
        try:
            return [_placed(rows, outcome) for outcome in plan.outcomes()]
        except EspoError as error:
            error.outcomes = [_placed(rows, outcome) for outcome in plan.outcomes_so_far]
            raise

    # -- by import ---------------------------------------------------------------------------------------------------

    def _by_import(self, rows: Sequence[Row], taken: Lane, claimed: set[str], choice: Choice) -> Written:
        began = datetime.now(UTC)
        known: dict[Key, list[Found]] = {}
        if self.operation != "create":
            known = self._looked_up(taken)
        new = [] if self.operation == "update" else [row for row in taken if not known.get(self.key.of(row[1]), [])]
        if self.operation == "upsert":
            # A key that could not be looked up is no new one.
            new = [row for row in new if self.key.of(row[1]) in known]
        changes: Lane = []
        if self.route == "import":
            changes = [change for row in taken if (change := self._change(row, known)) is not None]
        elif len(new) < LEAST_TO_IMPORT:
            new = []
        outcomes = self._imported(new, import_new, "created") + self._imported(changes, import_changes, "updated")
        claimed |= {str(outcome["id"]) for outcome in outcomes if outcome["action"] == "created"}
        told = {outcome["index"] for outcome in outcomes}
        asked = {index for index, _ in (*new, *changes)}
        untold = [row for row in rows if row[0] in asked - told]
        rest = [row for row in rows if row[0] not in asked]
        # Of the first ones an import may have made records after all.
        outcomes += self._by_records(untold, since=began, claimed=claimed)
        # That there is no record is asked again right before one is made.
        there = {key: found for key, found in known.items() if found}
        outcomes += self._by_records(rest, claimed=claimed, known=there)
        return Written(outcomes, choice, len(told))

    def _looked_up(self, rows: Sequence[Row]) -> dict[Key, list[Found]]:
        lanes = keyed_lanes(self.key, rows, self.key.state.config.max_workers)
        known: dict[Key, list[Found]] = {}
        for found in self.driver.run_many(look_up_all(self.key, lane) for lane in lanes):
            if isinstance(found, EspoError):
                raise found
            known |= found
        return known

    def _change(self, row: Row, known: dict[Key, list[Found]]) -> Row | None:
        """Values for an import that changes the row's record; ``None`` where there is not one, or nothing differs."""
        index, wire = row
        found = known.get(self.key.of(wire), [])
        values = {name: value for name, value in wire.items() if name not in self.key.names}
        if len(found) != 1 or not values or not changed(self.key.schema, values, found[0].record):
            return None
        return index, {"id": found[0].id, **values}

    def _imported(
        self, rows: Lane, lane_import: Callable[[MatchKey, Sequence[Row]], FileOperation[Imported]], action: str
    ) -> list[Outcome]:
        """Have rows imported; those without an outcome are left to be written by themselves."""
        outcomes: list[Outcome] = []
        operations: Iterable[Any] = (lane_import(self.key, lane) for lane in import_lanes(rows))
        for told in self.driver.run_many(operations):
            if isinstance(told, EspoError):
                if self.route == "import" or outcome_is_unknown(told) or is_fatal(told, answered=True):
                    raise told
                continue
            for index, record_id in told.done.items():
                outcomes.append({"index": index, "id": record_id, "action": action, "error": None})
            for index, reason in told.failed.items():
                outcomes.append({"index": index, "id": None, "action": "failed", "error": reason})
        return outcomes

    # -- by mass action ----------------------------------------------------------------------------------------------

    def _by_mass_action(self, rows: Sequence[Row], choice: Choice) -> Written:
        first: dict[str, int] = {}
        for index, wire in rows:
            if is_record_id(wire.get("id")):
                first.setdefault(wire["id"], index)
        done: dict[str, str] = {}
        for actions in self.driver.run_many(self._mass_lanes(list(first), rows[0][1])):
            if isinstance(actions, EspoError):
                if is_fatal(actions, answered=True):
                    raise actions
                # One record that EspoCRM cannot stand need not harm the others: they are done by themselves.
                continue
            done |= actions
        again = "missing" if self.operation == "delete" else "unchanged"
        outcomes: list[Outcome] = []
        for index, wire in rows:
            action = done.get(str(wire.get("id")))
            if action is not None:
                was = action if first[wire["id"]] == index else again
                outcomes.append({"index": index, "id": wire["id"], "action": was, "error": None})
        told = {outcome["index"] for outcome in outcomes}
        outcomes += self._by_records([row for row in rows if row[0] not in told])
        return Written(outcomes, choice, len(told))

    def _mass_lanes(self, ids: list[str], wire: Any) -> Iterable[Any]:
        state, entity_type, schema = self.key.state, self.key.entity_type, self.key.schema
        for lane in id_lanes(ids):
            if self.operation == "delete":
                yield mass_delete_lane(state, entity_type, lane)
            elif schema is not None:
                yield mass_update_lane(state, entity_type, lane, _without_id(wire), schema)


def _placed(rows: Sequence[Row], outcome: Outcome) -> Outcome:
    """Give an outcome the place of its row among all rows."""
    return {**outcome, "index": rows[outcome["index"]][0]}


def _without_id(wire: Any) -> dict[str, Any]:
    return {name: value for name, value in wire.items() if name != "id"}
