"""A small EspoCRM in memory, at the wire: it takes requests and gives the answers a real server gives.

Independent of the package on purpose: what it knows of the protocol is written down here once more.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.unit.client.fake_definitions import DEFINITIONS

Record = dict[str, Any]

WITH_DUPLICATE_CHECK = {"Lead", "Contact", "Account"}
WITH_VERSIONS = {"Account"}
UNCOUNTED = {"Email"}
LIST_TEXT_LIMIT = 10_000


class Broken(Exception):
    """There is no answer: the connection broke, or nothing came in time."""

    def __init__(self, *, timed_out: bool = False) -> None:
        self.timed_out = timed_out


@dataclass(frozen=True)
class Call:
    """A request as it came in."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.url).path.partition("/api/v1/")[2])

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query, keep_blank_values=True))

    @property
    def search(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.query.get("searchParams", "{}"))
        return found

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    content: bytes


class Refused(Exception):
    """The answer is an error."""

    def __init__(self, status: int, reason: str | None = None, body: Any = None) -> None:
        self.status, self.reason, self.body = status, reason, body


@dataclass
class Fault:
    """What goes wrong, with which calls, how often.

    ``before``: nothing is done; otherwise the request is carried out and the answer lost.
    """

    matches: Callable[[Call], bool]
    times: int = 1
    before: bool = False
    timed_out: bool = False
    status: int | None = None


@dataclass
class FakeEspo:
    """The server. Records are kept as stored; ``calls`` holds every request."""

    user_id: str = "00000000000000me0"
    max_size_limit: int = 200
    heeds_no_total: bool = True
    folds_accents: bool = True
    compares_to_the_letter: bool = False
    key_in_metadata: bool = True
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    definitions: dict[str, Any] = field(default_factory=lambda: json.loads(json.dumps(DEFINITIONS)))
    records: dict[str, dict[str, Record]] = field(default_factory=dict)
    linked: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    before_each: Callable[[Call], None] | None = None
    on_save: Callable[[Record], None] | None = None
    refuse_everything: int | None = None

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._count = 0

    # -- for tests -----------------------------------------------------------------------------------------------

    def add(self, entity_type: str, **attributes: Any) -> str:
        """Put a record there, whatever its attributes."""
        return str(self._store(entity_type, attributes)["id"])

    def of(self, entity_type: str) -> list[Record]:
        """All records of a type as a read shows them, in the order of their ids."""
        return [self._whole(one) for _, one in sorted(self.records.get(entity_type, {}).items())]

    def one(self, entity_type: str, record_id: str) -> Record:
        return self._whole(self.records[entity_type][record_id])

    def count(self, method: str, path: str = "") -> int:
        """How many requests with a method came, to paths that begin so."""
        return len(self.seen(method, path))

    def seen(self, method: str, path: str = "") -> list[Call]:
        return [call for call in self.calls if call.method == method and call.path.startswith(path)]

    def fail(self, method: str, path: str = "", **what: Any) -> None:
        self.faults.append(Fault(lambda call: call.method == method and re.match(path, call.path) is not None, **what))

    # -- the wire ------------------------------------------------------------------------------------------------

    def answer(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        call = Call(method, url, {name.lower(): value for name, value in headers.items()}, body or b"")
        with self._lock:
            self.calls.append(call)
            if self.before_each is not None:
                self.before_each(call)
            fault = next((one for one in self.faults if one.times > 0 and one.matches(call)), None)
            if fault is not None:
                fault.times -= 1
                if fault.before and fault.status is None:
                    raise Broken(timed_out=fault.timed_out)
            answer = None if fault and fault.before else self._answered(call)
            if fault is not None and fault.status is not None:
                return Answer(fault.status, {"content-type": "application/json"}, b"")
            if fault is not None or answer is None:
                raise Broken(timed_out=fault.timed_out if fault else False)
            return answer

    def _answered(self, call: Call) -> Answer:
        headers = {"content-type": "application/json"}
        try:
            if self.refuse_everything is not None:
                raise Refused(self.refuse_everything)
            return Answer(200, headers, json.dumps(self._do(call)).encode())
        except Refused as refused:
            if refused.reason is not None:
                headers["x-status-reason"] = refused.reason
            body = b"" if refused.body is None else json.dumps(refused.body).encode()
            return Answer(refused.status, headers, body)

    def _do(self, call: Call) -> Any:
        parts = call.path.split("/")
        if parts[0] in ("App", "Metadata", "Settings"):
            return self._about_itself(call)
        if parts[0] not in self.definitions:
            raise Refused(404, f"Controller '{parts[0]}' does not exist.")
        match call.method, len(parts):
            case "GET", 1:
                return self._list(parts[0], list(self.records.get(parts[0], {}).values()), call)
            case "POST", 1:
                return self._create(parts[0], call)
            case "GET", 2:
                return self._whole(self._find(parts[0], parts[1], "does not exist"))
            case "PUT", 2:
                return self._update(parts[0], self._find(parts[0], parts[1], "not found"), call)
            case "DELETE", 2:
                self._find(parts[0], parts[1], "not found")
                del self.records[parts[0]][parts[1]]
                return True
            case _, 3:
                return self._relationship(parts[0], parts[1], parts[2], call)
        raise Refused(404)

    def _about_itself(self, call: Call) -> Any:
        if call.path == "App/user":
            return {
                "user": {"id": self.user_id, "userName": "airflow", "type": "api", "name": "Airflow"},
                "token": None,
            }
        if call.path == "App/about":
            return {"version": "10.0.0"}
        if call.path == "Settings":
            return {"timeZone": "UTC"}
        value: Any = {"entityDefs": self.definitions}
        for part in call.query.get("key", "").split(".") if self.key_in_metadata and "key" in call.query else []:
            value = value.get(part, {}) if isinstance(value, dict) else {}
        return value or None

    # -- lists ---------------------------------------------------------------------------------------------------

    def _list(self, entity_type: str, records: list[Record], call: Call, *, count: bool = False) -> Any:
        search = call.search
        size = search.get("maxSize", self.max_size_limit)
        if size > self.max_size_limit:
            raise Refused(403, f"Max size should not exceed {self.max_size_limit}. Use offset and limit.")
        found = [one for one in records if all(self._fits(one, item) for item in search.get("where", []))]
        order_by = search.get("orderBy", "createdAt")
        found.sort(
            key=lambda one: (one.get(order_by) is not None, self._fold(one.get(order_by) or ""), one["id"]),
            reverse=search.get("order") == "desc",
        )
        offset = search.get("offset", 0)
        page = found[offset : offset + size]
        total = len(found)
        uncounted = call.headers.get("x-no-total") == "true" and self.heeds_no_total and not count
        if uncounted or entity_type in UNCOUNTED:
            total = -1 if len(found) > offset + size else -2
        return {"total": total, "list": [self._listed(one, search.get("select")) for one in page]}

    def _fits(self, record: Record, item: dict[str, Any]) -> bool:
        kind, value = item["type"], item.get("value")
        if kind in ("and", "or"):
            assert isinstance(value, list)
            return (all if kind == "and" else any)(self._fits(record, one) for one in value)
        name = item["attribute"]
        has = record.get(name)
        several = {"emailAddress": "_emails", "phoneNumber": "_phones"}.get(name)
        candidates = record.get(several, []) if several else [has]
        if kind in ("equals", "in"):
            wanted = value if isinstance(value, list) else [value]
            if self.compares_to_the_letter:
                stored = [one.lower() if name == "emailAddress" else one for one in candidates if one is not None]
                return any(one in wanted for one in stored)
            return any(self._fold(one) == self._fold(it) for one in candidates for it in wanted if one is not None)
        if has is None:
            return False
        a, b = self._fold(has), self._fold(value)
        answers = {
            "greaterThan": a > b,
            "lessThan": a < b,
            "greaterThanOrEquals": a >= b,
            "lessThanOrEquals": a <= b,
        }
        return bool(answers[kind])

    def _fold(self, value: Any) -> Any:
        """As MariaDB's usual collation compares."""
        if not isinstance(value, str):
            return value
        text = value.casefold().rstrip()
        if self.folds_accents:
            text = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
        return text

    def _listed(self, record: Record, select: list[str] | None) -> Record:
        whole = self._whole(record)
        if select is None:
            shown = {name for name in whole if not name.endswith(("Data", "Ids"))}
        else:
            shown = {"id", "createdById", *select}
        return {
            name: value[:LIST_TEXT_LIMIT] if isinstance(value, str) else value
            for name, value in whole.items()
            if name in shown and not name.endswith("Data")
        }

    # -- records -------------------------------------------------------------------------------------------------

    def _whole(self, record: Record) -> Record:
        shown = {name: value for name, value in record.items() if not name.startswith("_")}
        for name, key in (("_emails", "emailAddress"), ("_phones", "phoneNumber")):
            if name in record:
                shown[f"{key}Data"] = [{key: one, "primary": index == 0} for index, one in enumerate(record[name])]
        return shown

    def _find(self, entity_type: str, record_id: str, why_not: str) -> Record:
        record = self.records.get(entity_type, {}).get(record_id)
        if record is None:
            raise Refused(404, f"Record {record_id} {why_not}.")
        return record

    def _create(self, entity_type: str, call: Call) -> Record:
        values = self._cleaned(entity_type, call.json)
        if entity_type in WITH_DUPLICATE_CHECK and call.headers.get("x-skip-duplicate-check") != "true":
            twins = [one for one in self.records.get(entity_type, {}).values() if self._is_twin(one, values)]
            if twins:
                raise Refused(409, "duplicate", [self._listed(one, None) for one in twins[:5]])
        values.pop("createdById", None)
        return self._whole(self._store(entity_type, values))

    def _is_twin(self, record: Record, values: Record) -> bool:
        name = self._fold(_person_name(values)) if _person_name(values) else None
        email = self._fold(values.get("emailAddress"))
        return (name is not None and self._fold(record.get("name")) == name) or (
            email is not None and email in map(self._fold, record.get("_emails", []))
        )

    def _store(self, entity_type: str, values: Record) -> Record:
        self._count += 1
        fields = self.definitions[entity_type]["fields"]
        now = self.clock().strftime("%Y-%m-%d %H:%M:%S")
        record: Record = {
            "id": f"{self._count:017x}",
            "deleted": False,
            "createdAt": now,
            "modifiedAt": now,
            "createdById": self.user_id,
        }
        for name, defs in fields.items():
            if defs["type"] == "linkMultiple":
                record[f"{name}Ids"] = []
            elif defs["type"] == "link":
                record.setdefault(f"{name}Id", None)
            elif defs["type"] == "autoincrement":
                record[name] = self._count
            else:
                record.setdefault(name, None)
        if entity_type in WITH_VERSIONS:
            record["versionNumber"] = 1
        self._set(entity_type, record, values)
        self.records.setdefault(entity_type, {})[record["id"]] = record
        return record

    def _set(self, entity_type: str, record: Record, values: Record) -> None:
        for name, value in values.items():
            if name == "_emails" or name in record:
                record[name] = value
        for name, several in (("emailAddress", "_emails"), ("phoneNumber", "_phones")):
            if name not in self.definitions[entity_type]["fields"]:
                continue
            if several in values:
                record[name] = values[several][0]
            else:
                others = [one for one in record.get(several, [])[1:] if one != record[name]]
                record[several] = [record[name], *others] if record[name] else []
        if "lastName" in record:
            record["name"] = _person_name(record)
        if self.on_save is not None:
            self.on_save(record)

    def _update(self, entity_type: str, record: Record, call: Call) -> Record:
        values = self._cleaned(entity_type, call.json)
        number = call.headers.get("x-version-number")
        if number is not None and "versionNumber" in record and number != str(record["versionNumber"]):
            current = {name: record.get(name) for name in values if record.get(name) != values[name]}
            if current:
                raise Refused(409, "modified", {"values": current, "versionNumber": record["versionNumber"]})
        self._set(entity_type, record, values)
        record["modifiedAt"] = self.clock().strftime("%Y-%m-%d %H:%M:%S")
        if "versionNumber" in record:
            record["versionNumber"] += 1
        return self._whole(record)

    def _cleaned(self, entity_type: str, values: Record) -> Record:
        """Input as EspoCRM takes it in: texts trimmed, empty ones null, its own attributes dropped."""
        cleaned: Record = {}
        for name, value in values.items():
            if name in ("id", "createdAt", "modifiedAt", "createdById", "versionNumber", "deleted"):
                continue
            cleaned[name] = (value.strip() or None) if isinstance(value, str) else value
            options = self.definitions[entity_type]["fields"].get(name, {}).get("options")
            if options and cleaned[name] is not None and cleaned[name] not in options:
                raise Refused(
                    400,
                    f"Field validation failure; entityType: {entity_type}, field: {name}, type: valid.",
                    {"messageTranslation": {"label": "validationFailure", "data": {"field": name, "type": "valid"}}},
                )
        if isinstance(cleaned.get("phoneNumber"), str):
            cleaned["phoneNumber"] = re.sub(r"[^\d+]", "", cleaned["phoneNumber"])
        return cleaned

    # -- relationships -------------------------------------------------------------------------------------------

    def _relationship(self, entity_type: str, record_id: str, link: str, call: Call) -> Any:
        defs = self.definitions[entity_type]["links"].get(link)
        place = (entity_type, record_id, link)
        if call.method == "GET":
            if defs is None:
                raise Refused(404, "Link does not exist.")
            self._find(entity_type, record_id, "does not exist")
            others = self.records.get(defs["entity"], {})
            # X-No-Total is not read here.
            return self._list(defs["entity"], [others[one] for one in self.linked.get(place, [])], call, count=True)
        body = call.json or {}
        ids = [*([body["id"]] if body.get("id") else []), *body.get("ids", [])]
        if not ids:
            return False
        if defs is None:
            raise Refused(404, f"Entity {entity_type} does not have link {link}.")
        if defs["type"] == "belongsTo":
            raise Refused(403, "Only manyMany, hasMany & hasChildren relations are allowed.")
        self._find(entity_type, record_id, "")
        linked = self.linked.setdefault(place, [])
        for one in ids:
            self._find(defs["entity"], one, "")
            if call.method == "POST" and one not in linked:
                linked.append(one)
            elif call.method == "DELETE" and one in linked:
                linked.remove(one)
        return True


def _person_name(values: Record) -> str | None:
    parts = [values.get("firstName"), values.get("lastName")]
    return " ".join(part for part in parts if part) or values.get("name")
