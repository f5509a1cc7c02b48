"""One mass action: checked, counted, carried out, and what was done compared with what should have been."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, cast, get_args

from airflow_provider_espo.client.errors import (
    EspoBadAnswerError,
    EspoError,
    EspoInputError,
    EspoShortfallError,
    EspoTimeoutError,
)
from airflow_provider_espo.client.operations.listing import Filters
from airflow_provider_espo.client.operations.mass_effect import Effect
from airflow_provider_espo.client.operations.mass_names import (
    REPEATABLE_ACTIONS,
    check_action,
    check_data,
    check_rights,
)
from airflow_provider_espo.client.operations.mass_targets import SAMPLE, Seen, Targets, existing, targets_of
from airflow_provider_espo.client.operations.records import check_attributes
from airflow_provider_espo.client.operations.schema import writable
from airflow_provider_espo.client.retry import outcome_is_unknown
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.values import to_wire
from airflow_provider_espo.client.wire import Operation, Record, Request, build_request, expect_object

OnShortfall = Literal["fail", "warn"]

#: Ids in one request. EspoCRM works on one record after the other, so a long list takes long.
IDS_AT_ONCE: Final = 100

#: Ids that a background job takes: EspoCRM stores them in one text field.
IDS_IN_A_JOB: Final = 1000

_LINK_ACTIONS: Final = frozenset({"add", "remove", "update"})
_GATEWAY_TIMEOUTS: Final = frozenset({504, 524})


class MassOptions(Filters, total=False):
    """Which records a mass action is for, and how it is to be done. The filters are those of a list.

    ``ids``: ids of the records, instead of a filter.
    ``all_records``: whether a filter that leaves no record out, or none at all, is meant so.
    ``max_records``: do nothing if more records than this are meant.
    ``dry_run``: only count.
    ``background``: as a background job of EspoCRM.
    ``on_shortfall``: what to do when EspoCRM changed fewer records than it should have.
    ``validate``: whether to check names and rights before anything is sent (default).
    """

    ids: str | Sequence[str] | None
    all_records: bool
    max_records: int | None
    dry_run: bool
    background: bool
    on_shortfall: OnShortfall
    validate: bool


class MassAction:
    """One mass action, from its check to the comparison of what was done with what should have been.

    :param state: of the client.
    :param entity_type: such as ``Lead``.
    :param action: the action's name.
    :param data: what the action needs.
    :param options: as of :func:`mass_action`.
    :raises EspoInputError: for what can be told without asking the server.
    """

    def __init__(
        self,
        state: ClientState,
        entity_type: str,
        action: str,
        data: Mapping[str, Any] | None,
        options: MassOptions,
    ) -> None:
        if unknown := sorted(set(options) - set(MassOptions.__annotations__)):
            raise TypeError(f"unexpected argument {', '.join(unknown)}")
        if data is not None and not isinstance(data, Mapping):
            raise EspoInputError(f"data is a {type(data).__name__} and not a dict")
        self._state = state
        self._action = action
        self._data: dict[str, Any] = dict(data or {})
        self._validate = options.get("validate", True)
        self._background = bool(options.get("background"))
        self._on_shortfall = options.get("on_shortfall", "fail")
        if self._on_shortfall not in get_args(OnShortfall):
            raise EspoInputError(f"on_shortfall is {self._on_shortfall!r}", hint="Give fail or warn")
        self._max_records = options.get("max_records")
        if self._max_records is not None and (type(self._max_records) is not int or self._max_records < 0):
            raise EspoInputError("max_records is not a whole number of 0 or more")
        filters = {name: options[name] for name in Filters.__annotations__ if name in options}  # type: ignore[literal-required]
        self.targets: Targets = targets_of(
            entity_type, options.get("ids"), cast("Filters", filters), all_records=options.get("all_records") is True
        )
        if self._background and self.targets.ids is not None and len(self.targets.ids) > IDS_IN_A_JOB:
            raise EspoInputError(
                f"{len(self.targets.ids)} ids are more than a background job takes ({IDS_IN_A_JOB})",
                hint="Give a filter, map the task over parts of the ids, or leave background out",
            )
        self._effect = Effect(entity_type, gone=action == "delete")

    @property
    def repeatable(self) -> bool:
        """Whether doing it twice is doing it once."""
        return self._action in REPEATABLE_ACTIONS

    def check(self) -> Operation[None]:
        """Check names, values and rights.

        :raises EspoError: it cannot be carried out; nothing was changed.
        """
        entity_type = self.targets.entity_type
        if self._validate:
            yield from check_action(self._state, entity_type, self._action)
            yield from check_data(self._state, self._action, self._data)
        yield from self.learn_effect()
        if self._validate and (self._background or self._action == "recalculateFormula"):
            by_filter = self.targets.ids is None
            yield from check_rights(self._state, entity_type, self._action, by_filter=by_filter)

    def learn_effect(self) -> Operation[None]:
        """Learn how to see in a record that the action was done: part of :meth:`check`, needed by :meth:`compared`."""
        if self._action == "update":
            yield from self._check_update()

    def look(self) -> Operation[Seen]:
        """Count the records that are meant.

        :raises EspoInputError: they are more than ``max_records``.
        """
        seen = yield from self.targets.look(self._state)
        if self._max_records is not None and seen.count > self._max_records:
            raise EspoInputError(
                f"{seen.count} records of {self.targets.entity_type} are meant, more than max_records "
                f"({self._max_records}); none was touched",
                hint="Narrow the filter, or raise max_records if it is right",
            )
        return seen

    def rehearsed(self, seen: Seen) -> Operation[Record]:
        """Return a dry run's result."""
        if self.targets.ids is None:
            return {"count": seen.count, "ids": list(seen.ids[:SAMPLE]), "dry_run": True}
        there = yield from existing(self._state, self.targets.entity_type, self.targets.ids)
        return {"count": len(there), "ids": there[:SAMPLE], "dry_run": True}

    def start(self) -> Operation[str]:
        """Have EspoCRM carry it out in a background job.

        :return: the job's id.
        """
        outgoing = self._request(self.targets.params(), idle=True)
        job_id = expect_object(outgoing, (yield outgoing)).get("id")
        if not isinstance(job_id, str) or not job_id:
            raise _no_use(outgoing, "has no id of a job")
        return job_id

    def carry_out(self, seen: Seen, go_on: Callable[[], object] = bool) -> Operation[Record]:
        """Carry it out and compare the outcome.

        :param seen: what was there before.
        :param go_on: called before each request; raises to stop.
        :return: as :func:`mass_action`.
        """
        if self.targets.ids is None:
            go_on()
            count = yield from self._send_filter(seen)
            return (yield from self.compared(seen, count))
        done: list[str] = []
        try:
            for chunk in self.targets.chunks(IDS_AT_ONCE):
                go_on()
                done += yield from self._send_ids(chunk)
        except EspoError as error:
            error.outcomes = [{"id": one, "action": self._action} for one in done]
            raise
        return (yield from self.compared(seen, len(done), done))

    def compared(self, seen: Seen, count: int, done: Sequence[str] | None = None) -> Operation[Record]:
        """Compare what EspoCRM says it did with what should have been done.

        :param seen: what was there before.
        :param count: records that EspoCRM says it changed.
        :param done: their ids, where known.
        :return: the result.
        :raises EspoShortfallError: if there is a shortfall and that is to fail.
        """
        skipped: list[str] | None = None
        short = max(seen.count - count, 0)
        if short and seen.complete:
            skipped = [one for one in seen.ids if done is None or one not in set(done)]
            if self._effect.can_be_seen:
                # Gone, or changed to this, by somebody else or an earlier try: then nothing is amiss.
                skipped = yield from self._effect.left_over(self._state, skipped)
                short = len(skipped)
            elif done is None:
                skipped = None
        elif short and self._effect.gone:
            short = min(short, (yield from self.targets.count(self._state)))
        if short and self._on_shortfall == "fail":
            raise self._shortfall(seen, count, skipped)
        result = self.result(seen, count, done)
        return result | ({"skipped_ids": skipped} if short and skipped else {})

    def result(self, seen: Seen, count: int, done: Sequence[str] | None) -> Record:
        """Return the result."""
        ids = {"ids": list(done or ())} if self.targets.ids is not None and done is not None else {}
        return {"count": count, "expected": seen.count, **ids}

    def is_done(self, ids: Sequence[str]) -> Operation[bool]:
        """Look whether these records show that the action was carried out on all of them."""
        if not ids or not self._effect.can_be_seen:
            return False
        return not (yield from self._effect.left_over(self._state, ids))

    def _check_update(self) -> Operation[None]:
        # Older clients give the values without "values" around them, and EspoCRM takes that.
        flat = "values" not in self._data
        values = check_attributes(self._data if flat else self._data["values"])
        if not values:
            raise EspoInputError("There are no attributes to update")
        actions = {} if flat else check_attributes(self._data.get("actions") or {})
        for name, what in actions.items():
            if name not in values or not str(name).endswith("Ids") or what not in _LINK_ACTIONS:
                raise EspoInputError(
                    "link_actions says add, remove or update for attributes such as teamsIds, which must be given too"
                )
        entity_type = self.targets.entity_type
        schema = yield from writable(self._state, entity_type, values, validate=self._validate, updating=True)
        wire = to_wire(values, schema)
        self._data = {"values": wire} | ({"actions": dict(actions)} if actions else {})
        if not {"add", "remove"} & set(actions.values()):
            self._effect = Effect(entity_type, values=wire, schema=schema)

    def _send_filter(self, seen: Seen) -> Operation[int]:
        outgoing = self._request(self.targets.params())
        try:
            return _count(outgoing, expect_object(outgoing, (yield outgoing)))
        except EspoError as error:
            if not outcome_is_unknown(error):
                raise
            if seen.complete and (yield from self._looked_after(error, seen.ids)) == []:
                return seen.count
            _add_hint(error, "Whether it was carried out, in part or in full, is not known")
            raise

    def _send_ids(self, ids: Sequence[str], *, again: bool = False) -> Operation[list[str]]:
        """Send one part of the ids, and after a lost answer what of it was not done."""
        outgoing = self._request(self.targets.params(ids))
        try:
            answer = expect_object(outgoing, (yield outgoing))
        except EspoError as error:
            if again or not outcome_is_unknown(error):
                raise
            failure = error
        else:
            done = answer.get("ids")
            if not isinstance(done, list):
                raise _no_use(outgoing, "does not say which records")
            return [str(one) for one in done]
        left = yield from self._looked_after(failure, ids)
        if left is None:
            left = list(ids)
        elif not left:
            return list(ids)
        if _may_be_under_way(failure) or not self.repeatable:
            _add_hint(failure, "Whether it was carried out, in part or in full, is not known")
            raise failure
        found = yield from self._send_ids(left, again=True)
        return [one for one in ids if one not in set(left) or one in set(found)]

    def _looked_after(self, error: EspoError, ids: Sequence[str]) -> Operation[list[str] | None]:
        """Look what was not done, after an answer got lost; ``None`` if records do not tell."""
        if not self._effect.can_be_seen:
            return None
        try:
            return (yield from self._effect.left_over(self._state, ids))
        except EspoError as second:
            raise error from second

    def _request(self, params: Mapping[str, Any], *, idle: bool = False) -> Request:
        body = {"entityType": self.targets.entity_type, "action": self._action, "params": params, "data": self._data}
        return build_request("POST", "MassAction", json=body | ({"idle": True} if idle else {}))

    def _shortfall(self, seen: Seen, count: int, skipped: Sequence[str] | None) -> EspoShortfallError:
        which = ""
        if skipped:
            which = f": {', '.join(skipped[:5])}" + (f" and {len(skipped) - 5} more" if len(skipped) > 5 else "")
        return EspoShortfallError(
            f"EspoCRM carried out {self._action} on {count} of {seen.count} records of {self.targets.entity_type} and "
            f"skipped others without a word{which}",
            count=count,
            expected=seen.count,
            record_ids=skipped or (),
            hint="Check the user's rights on them, whether they are locked or gone, and whether the values are valid "
            "for each; on_shortfall='warn' lets it pass",
        )


def _count(outgoing: Request, answer: Mapping[str, Any]) -> int:
    count = answer.get("count")
    if not isinstance(count, int):
        raise _no_use(outgoing, "has no count")
    return count


def _no_use(outgoing: Request, what: str) -> EspoBadAnswerError:
    return EspoBadAnswerError(
        f"The answer to a mass action {what}", method=outgoing.method, path=outgoing.path, outcome_unknown=True
    )


def _may_be_under_way(error: EspoError) -> bool:
    """Whether the server may still be at it, so that to send again would do it side by side."""
    return isinstance(error, EspoTimeoutError) or error.status in _GATEWAY_TIMEOUTS


def _add_hint(error: EspoError, hint: str) -> None:
    error.hint = f"{error.hint.rstrip('.')}. {hint}" if error.hint else hint
