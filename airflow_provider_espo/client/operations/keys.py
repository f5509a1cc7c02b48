"""Match keys: which records have the key of given values.

The server's filter is the start and not the answer. Its database may take texts for equal that are not (*Muller* and
*Müller*, by MariaDB's usual collation), and it finds a record by each of its e-mail addresses and phone numbers while
a list shows the first only. So what it found is looked at here:

* A record that shows the key has it.
* One that shows another e-mail address or phone number is read whole: it has the key if the address is one of its own.
* Any other is somebody else's. For a text attribute that settles it: the key is nobody's, a create stores it as it was
  sent, and the next look-up finds it. An e-mail address is different: EspoCRM keeps each address once, found by that
  same comparison, so a record created with it would show the other spelling, and every run would create one more.
  Hence that is an error, and nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote_plus

from airflow_provider_espo.client.comparing import match_key, same_key
from airflow_provider_espo.client.errors import (
    EspoAmbiguousMatchError,
    EspoInputError,
    EspoNotFoundError,
)
from airflow_provider_espo.client.operations.pages import next_page
from airflow_provider_espo.client.paging import pager_for
from airflow_provider_espo.client.schema import EntitySchema
from airflow_provider_espo.client.search import Search
from airflow_provider_espo.client.state import ClientState
from airflow_provider_espo.client.wire import (
    Operation,
    Record,
    build_request,
    expect_object,
    record_id_segment,
    record_path,
)

Wire: TypeAlias = Mapping[str, Any]
Key: TypeAlias = tuple[Hashable, ...]

#: Records that a look-up of many keys may find, and of them those that have to be read whole.
_MOST_FOUND = 200
_MOST_READ = 20

#: The rest of a look-up's URL: host, path, the words of the search.
_URL_FRAME = 500

_ADDRESSES = {"email": "emailAddress", "phone": "phoneNumber"}
_PHONE_FILLERS = str.maketrans("", "", " ().-/\u00a0\u2010\u2011\u2012\u2013")


class Found(NamedTuple):
    """A record and how much of it is known.

    :param record: its attributes.
    :param whole: whether it was read by its id; a list cuts long texts and lacks some attributes.
    """

    record: Record
    whole: bool = False

    @property
    def id(self) -> str:
        """The record's id."""
        return str(self.record["id"])


def check_match_names(match_by: object) -> tuple[str, ...]:
    """Return the names of ``match_by``, or refuse what is not a list of names."""
    names = (match_by,) if isinstance(match_by, str) else match_by
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) and name for name in names):
        raise EspoInputError(
            "match_by is not a list of attribute names", hint="Give those that make the key, such as ['emailAddress']"
        )
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class MatchKey:
    """The key of an entity type's records.

    :param state: the connection.
    :param entity_type: such as ``Lead``.
    :param names: attributes that make the key.
    :param schema: of the entity type, where known.
    """

    state: ClientState
    entity_type: str
    names: tuple[str, ...]
    schema: EntitySchema | None = None

    def __str__(self) -> str:
        return ", ".join(self.names)

    def of(self, wire: Wire) -> Key:
        """Return what values with the same key have in common.

        :raises EspoInputError: the key is not complete. An empty one would match strangers.
        """
        key = self._shown_by(wire)
        lacking = [
            name
            for name, part in zip(self.names, key, strict=True)
            if part is None or isinstance(wire[name], list | dict)
        ]
        if lacking:
            raise EspoInputError(
                f"No usable value for {', '.join(lacking)}, which match_by names",
                hint="Give match_by attributes that all records have",
            )
        return key

    def is_shown(self, record: Wire, wire: Wire) -> bool:
        """Whether a record shows the key of the given values."""
        return not self._hidden(record, wire)

    def is_had(self, whole: Wire, wire: Wire) -> bool:
        """Whether a record that was read whole has the key, also as its second e-mail address or phone number."""
        return all(
            any(same_key(self.schema, name, wire[name], one) for one in self._addresses(whole, name, wire))
            for name in self._hidden(whole, wire)
        )

    def may_be_elsewhere(self, record: Wire, wire: Wire) -> bool:
        """Whether what a record does not show of the key can only be an address beside its first."""
        return all(address_kind(self.schema, name) for name in self._hidden(record, wire))

    def owners(self, wire: Wire) -> Operation[list[Found]]:
        """Look up the records that have a key; once there are two, the rest is not looked for.

        :raises EspoAmbiguousMatchError: the database takes another e-mail address or phone number for the same.
        """
        path = record_path(self.entity_type)
        pager = pager_for(self._search([wire]), self.state.config.page_size)
        found: dict[str, Found] = {}
        strangers: list[str] = []
        while len(found) < 2 and (page := (yield from next_page(pager, path))) is not None:
            others = []
            for record in page:
                if self.is_shown(record, wire):
                    found[str(record["id"])] = Found(record)
                elif self.may_be_elsewhere(record, wire):
                    others.append(str(record["id"]))
            while others and len(found) < 2:
                whole = yield from read_whole(self.entity_type, others.pop(0))
                if whole is not None and self.is_had(whole, wire):
                    found[str(whole["id"])] = Found(whole, whole=True)
                elif whole is not None:
                    strangers.append(str(whole["id"]))
        if strangers and not found:
            raise EspoAmbiguousMatchError(
                f"EspoCRM takes the {self} of {self.entity_type} {strangers[0]} for the same, though it is written "
                "otherwise (accents, perhaps), so nothing was written",
                record_ids=strangers,
                hint="Correct one of the two, or give other attributes in match_by",
            )
        return list(found.values())

    def owners_of_many(self, wires: Sequence[Wire]) -> Operation[dict[Key, list[Found]] | None]:
        """Look up the records that have one of several keys, with a request or two in all.

        :param wires: values with different keys.
        :return: records by key, nothing for a key that no record has; ``None`` where it cannot be told from so few
            requests and each key has to be looked up for itself.
        """
        by_key = {self.of(wire): wire for wire in wires}
        rows = yield from self._rows(wires)
        if len(rows) >= _MOST_FOUND:
            return None
        result: dict[Key, list[Found]] = {}
        others = []
        for record in rows:
            if (key := self._shown_by(record)) in by_key:
                result.setdefault(key, []).append(Found(record))
            else:
                others.append(record)
        if not any(address_kind(self.schema, name) for name in self.names):
            return result
        # A record may show the key of one row and have that of another as its second address.
        missing = [wire for key, wire in by_key.items() if key not in result]
        if missing and result:
            others += yield from self._rows(missing)
        ids = list(dict.fromkeys(str(record["id"]) for record in others))
        if len(ids) > _MOST_READ or not (yield from self._assign(ids, by_key, result)):
            return None
        return result

    def where(self, wires: Sequence[Wire]) -> list[dict[str, Any]]:
        """Return where items for records that may have one of several keys; whether they do has to be looked at."""
        return [self._any_key(wires)]

    def url_bytes(self, wire: Wire) -> int:
        """Length that a key adds to the URL of a look-up, in bytes."""
        if len(self.names) == 1:
            return _url_bytes(list(self._spellings(self.names[0], wire[self.names[0]])))
        return _url_bytes(self._any_key([wire]))

    def select_bytes(self, names: Sequence[str]) -> int:
        """Length of the URL of a look-up without any key, in bytes.

        :param names: attributes that are asked for.
        """
        return _url_bytes([*names, *self.names]) + _URL_FRAME

    def _assign(
        self, ids: Sequence[str], by_key: Mapping[Key, Wire], result: dict[Key, list[Found]]
    ) -> Operation[bool]:
        """Read records whole and add them under the keys they have; ``False`` if one has none of them."""
        for record_id in ids:
            whole = yield from read_whole(self.entity_type, record_id)
            if whole is None:
                continue
            keys = [key for key, wire in by_key.items() if self.is_had(whole, wire)]
            if not keys:
                return False
            for key in keys:
                if all(known.id != record_id for known in result.get(key, ())):
                    result.setdefault(key, []).append(Found(whole, whole=True))
        return True

    def _shown_by(self, record: Wire) -> Key:
        return tuple(match_key(self.schema, name, record.get(name)) for name in self.names)

    def _hidden(self, record: Wire, wire: Wire) -> list[str]:
        """Names of the key whose value a record does not show."""
        return [name for name in self.names if not same_key(self.schema, name, wire[name], record.get(name))]

    def _rows(self, wires: Sequence[Wire]) -> Operation[list[Record]]:
        pager = pager_for(self._search(wires), self.state.config.page_size, limit=_MOST_FOUND)
        rows: list[Record] = []
        while (page := (yield from next_page(pager, record_path(self.entity_type)))) is not None:
            rows += page
        return rows

    def _search(self, wires: Sequence[Wire]) -> Search:
        return Search(
            where=self.where(wires),
            select=sorted({name for wire in wires for name in wire} | set(self.names)),
            order_by="id",
        )

    def _any_key(self, wires: Sequence[Wire]) -> dict[str, Any]:
        if len(self.names) == 1:
            (name,) = self.names
            values = [it for wire in wires for it in self._spellings(name, wire[name])]
            return _is_one_of(name, list(dict.fromkeys(values)))
        items = [
            {
                "type": "and",
                "value": [_is_one_of(name, list(self._spellings(name, wire[name]))) for name in self.names],
            }
            for wire in wires
        ]
        return items[0] if len(items) == 1 else {"type": "or", "value": items}

    def _spellings(self, name: str, value: Any) -> Iterator[Any]:
        """How EspoCRM may have stored a value: it trims texts, and compares a filter's value as it stands."""
        if not isinstance(value, str):
            yield value
            return
        text, kind = value.strip(), address_kind(self.schema, name)
        spellings = [text]
        if kind == "email":
            # Compared with a column in lower case, by PostgreSQL to the letter.
            spellings = [text.lower()] if text.isascii() else [text.lower(), text]
        elif kind == "phone":
            spellings.append(text.translate(_PHONE_FILLERS) or text)
        elif text != value:
            spellings.append(value)
        yield from dict.fromkeys(spellings)

    def _addresses(self, whole: Wire, name: str, wire: Wire) -> list[Any]:
        kind = address_kind(self.schema, name)
        if kind is None:
            return []
        items = whole.get(f"{name}Data")
        if not isinstance(items, list):
            # Hidden from this user: then there is only the server's word.
            return [wire[name]]
        return [item.get(_ADDRESSES[kind]) for item in items if isinstance(item, dict)]


def only_owner(found: Sequence[Found], key: MatchKey) -> Found | None:
    """Return the one record that has a key, ``None`` for none.

    :param found: the records that were found to have it.
    :raises EspoAmbiguousMatchError: there are more.
    """
    if len(found) > 1:
        ids = [one.id for one in found]
        raise EspoAmbiguousMatchError(
            f"More than one record of {key.entity_type} has the same {key}: {', '.join(ids[:5])}", record_ids=ids
        )
    return found[0] if found else None


def read_whole(entity_type: str, record_id: str) -> Operation[Record | None]:
    """Read a record, ``None`` if it was deleted meanwhile."""
    reading = build_request("GET", record_path(entity_type, record_id_segment(record_id)))
    try:
        record = expect_object(reading, (yield reading))
    except EspoNotFoundError:
        return None
    return None if record.get("deleted") else record


def address_kind(schema: EntitySchema | None, name: str) -> str | None:
    """Return ``email`` or ``phone`` for an attribute of which a record has several values and shows one."""
    attribute = schema.attribute(name) if schema is not None else None
    if attribute is not None:
        return attribute.kind if attribute.kind in _ADDRESSES else None
    return next((kind for kind, end in _ADDRESSES.items() if name.lower().endswith(end.lower())), None)


def _is_one_of(name: str, values: list[Any]) -> dict[str, Any]:
    if len(values) == 1:
        return {"type": "equals", "attribute": name, "value": values[0]}
    return {"type": "in", "attribute": name, "value": values}


def _url_bytes(part: object) -> int:
    return len(quote_plus(json.dumps(part, separators=(",", ":"), ensure_ascii=False)))
