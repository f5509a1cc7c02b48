"""The messages between operations and transports.

An operation is a generator: it yields :class:`Request` objects and is sent the :class:`Response` to each. A stream is
an operation that also yields :class:`Emit` objects, one for each thing it has for its caller. An operation on files
yields :class:`Work` as well. None does any I/O itself, so each is written once for the blocking and the asynchronous
client and can be tested by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar
from urllib.parse import quote, unquote

from airflow_provider_espo.client.bodies import Body, Sink, Work
from airflow_provider_espo.client.errors import EspoBadAnswerError, EspoError, EspoInputError
from airflow_provider_espo.client.wording import a_kind

T = TypeVar("T")
Record: TypeAlias = dict[str, Any]

#: How a request proves who sends it: the connection's method, user name and password (to log in), the token at hand
#: (to log out), or not at all.
Proof: TypeAlias = Literal["connection", "password", "token", "none"]


class _NoBody:
    def __repr__(self) -> str:
        return "NO_BODY"


NO_BODY: Final = _NoBody()

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_REPEATABLE: Final = frozenset({"GET", "PUT", "PATCH", "DELETE"})
_ENTITY_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,99}")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_RECORD_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LEADS_ELSEWHERE: Final = re.compile(r"[/\\\x00-\x1f\x7f]")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# What both HTTP libraries take: ASCII, no control characters, no blanks around it.
_HEADER_VALUE: Final = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")
_FRAMING_HEADERS: Final = frozenset({"content-length", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request to EspoCRM's API.

    :param method: HTTP method, upper case.
    :param path: path below ``api/v1`` without leading slash, percent-encoded as it is sent and signed.
    :param query: pairs of the query string, not encoded.
    :param json: JSON body, :data:`NO_BODY` for none.
    :param headers: headers beside those every request has.
    :param repeatable: whether sending it twice does no harm; by default all but ``POST``.
    :param proof: how the request proves who sends it.
    :param content: a body that is no JSON.
    :param sink: where the file goes that is asked for; any other answer comes as :class:`Response`.
    :param repeat_when_slow: whether it is tried again as it is when no answer came in time; not, where the operation
        rather asks for less.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    json: Any = field(default=NO_BODY, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    repeatable: bool = field(default=True)
    proof: Proof = "connection"
    content: Body | None = field(default=None, repr=False)
    sink: Sink | None = field(default=None, repr=False)
    repeat_when_slow: bool = True

    def body(self) -> bytes | None:
        """Encode the JSON body strictly: what JSON cannot say is an error and not a near thing."""
        if self.json is NO_BODY:
            return None
        try:
            text = json.dumps(self.json, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            return text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            # The error's own text may quote the value; its kind says enough.
            raise EspoInputError(
                f"The body is not JSON ({type(error).__name__})",
                method=self.method,
                path=self.path,
                hint="Give only text, numbers, booleans, null, lists and dicts with text keys",
            ) from None


def build_request(
    method: str,
    path: str,
    *,
    query: tuple[tuple[str, str], ...] = (),
    json: Any = NO_BODY,
    headers: Mapping[str, str] | None = None,
    repeatable: bool | None = None,
    proof: Proof = "connection",
    content: Body | None = None,
    sink: Sink | None = None,
) -> Request:
    """Return a request; ``repeatable`` follows from the method unless said."""
    return Request(
        method=method,
        path=path,
        query=query,
        json=json,
        headers=headers or {},
        repeatable=method in _REPEATABLE if repeatable is None else repeatable,
        proof=proof,
        content=content,
        sink=sink,
    )


@dataclass(frozen=True, slots=True)
class Response:
    """An answer.

    :param status: HTTP status.
    :param headers: headers with lower-case names.
    :param content: body.
    :param in_sink: whether the body went to the request's sink instead.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(repr=False)
    in_sink: bool = False

    @property
    def reason(self) -> str | None:
        """EspoCRM's own word on what is wrong, from ``X-Status-Reason``."""
        return self.headers.get("x-status-reason") or None

    @property
    def has_reason_header(self) -> bool:
        """Whether ``X-Status-Reason`` came at all. EspoCRM sends it, perhaps empty, once it knows who asks."""
        return "x-status-reason" in self.headers

    @property
    def is_json(self) -> bool:
        """Whether the body calls itself JSON."""
        return "json" in self.headers.get("content-type", "").lower()

    def json(self) -> Any:
        """Decode the body; ``None`` for an empty one.

        :raises ValueError: when it is not JSON.
        """
        if not self.content.strip():
            return None
        import msgspec

        try:
            return msgspec.json.decode(self.content)
        except msgspec.DecodeError as error:
            # It is a ValueError only since msgspec 0.21, and Airflow 3.1 comes with 0.20.
            raise ValueError(str(error)) from None


def header_map(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Decode an answer's headers, so that both transports read the same text in them.

    :param pairs: names and values as they came; a repeated name's values are joined.
    :return: values by lower-case name.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name = raw_name.decode("latin-1").lower()
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


@dataclass(frozen=True, slots=True)
class Emit(Generic[T]):
    """What a stream hands to its caller."""

    value: T


Operation: TypeAlias = Generator[Request, Response, T]
#: An operation that has to do with files. Every other operation passes for one.
FileOperation: TypeAlias = Generator[Request | Work[Any], Any, T]
Stream: TypeAlias = Generator[Request | Emit[T], Any, None]


def relay(
    source: Generator[Any, Any, T], answer_of: Callable[[Request], Generator[Any, Any, Response]]
) -> Generator[Any, Any, T]:
    """Run an operation or a stream, answering each of its requests by another generator.

    Errors are thrown into it where it stands, so that it can handle them; what it emits, and the work it has for the
    transport, pass through.
    """
    try:
        item = next(source)
        while True:
            if isinstance(item, Emit | Work):
                item = source.send((yield item))
                continue
            try:
                response = yield from answer_of(item)
            except EspoError as error:
                item = source.throw(error)
            else:
                item = source.send(response)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        source.close()


def drain(stream: Stream[T], take: Callable[[T], object]) -> Operation[None]:
    """Make an operation of a stream: hand everything it emits to ``take``."""
    outcome: Response | EspoError | None = None
    try:
        while True:
            try:
                item = stream.throw(outcome) if isinstance(outcome, EspoError) else stream.send(outcome)
            except StopIteration:
                return
            outcome = None
            if isinstance(item, Emit):
                take(item.value)
                continue
            try:
                outcome = yield item
            except EspoError as error:
                outcome = error
    finally:
        stream.close()


def entity_type_segment(entity_type: object) -> str:
    """Return an entity type fit for a path, or refuse what only looks like one."""
    if not isinstance(entity_type, str) or not _ENTITY_TYPE.fullmatch(entity_type):
        raise EspoInputError(
            f"{_shown(entity_type)} is not an entity type",
            hint="Give a name such as Lead, Account or CMyCustomType, letters and digits only",
        )
    return entity_type


def record_id_segment(record_id: object) -> str:
    """Return a record id fit for a path, or refuse what only looks like one."""
    if not isinstance(record_id, str) or not _RECORD_ID.fullmatch(record_id):
        raise EspoInputError(f"{_described(record_id)} is not a record id", hint=_id_hint(record_id))
    return record_id


def name_segment(name: object, what: str) -> str:
    """Return a link's or an action's name fit for a path, or refuse it."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise EspoInputError(f"{_shown(name)} is not a {what}", hint="Give its name as in EspoCRM, such as contacts")
    return name


def record_path(entity_type: object, record_id: object | None = None, link: object | None = None) -> str:
    """Path of a list, a record or a record's link.

    >>> record_path("Lead", "6746d1f3a0b1c2d3e", "targetLists")
    'Lead/6746d1f3a0b1c2d3e/targetLists'
    """
    parts = [entity_type_segment(entity_type)]
    if record_id is not None or link is not None:
        parts.append(record_id_segment(record_id))
    if link is not None:
        parts.append(name_segment(link, "link"))
    return "/".join(parts)


def free_path(path: object) -> str:
    """Return any path below ``api/v1`` in the form that is sent and signed.

    A leading slash and ``api/v1/`` are taken off. Every character that is not unreserved is percent-encoded, in the
    one form that both HTTP libraries leave as it is, because HMAC signs the path to the letter.
    """
    if not isinstance(path, str):
        raise EspoInputError(f"{_described(path)} is not a path")
    text = path.strip().lstrip("/").removeprefix("api/v1/")
    if "?" in text or "#" in text:
        raise EspoInputError("The path has a query string or fragment", hint="Give the query in its own argument")
    sent = _quoted_path(text)
    if sent is None:
        # Described and not shown: a whole URL may hold a user name and password.
        raise EspoInputError(
            f"{_described(path, '/._-')} is not a path below api/v1",
            hint="Give it as in EspoCRM's docs, as Lead/action/convert: no host, no part empty or nothing but dots",
        )
    return sent


def _quoted_path(text: str) -> str | None:
    """Percent-encode a path; ``None`` if it has no such form or would lead elsewhere."""
    try:
        segments = [unquote(segment, errors="strict") for segment in text.split("/")]
        if any(segment in ("", ".", "..") or _LEADS_ELSEWHERE.search(segment) for segment in segments):
            return None
        return "/".join(quote(segment, safe="") for segment in segments)
    except UnicodeError:
        return None


def http_method(method: object) -> str:
    """Return an HTTP method that EspoCRM has a route for, upper case."""
    name = method.upper() if isinstance(method, str) else ""
    if name not in _METHODS:
        raise EspoInputError(f"{_shown(method)} is not one of {', '.join(sorted(_METHODS))}")
    return name


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that would break out of their line, or that only one of the HTTP libraries can send."""
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise EspoInputError("A header's name cannot be sent", hint="Give only letters, digits and '-'")
        if name.lower() in _FRAMING_HEADERS or not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise EspoInputError(
                f"Header {name!r} cannot be sent",
                hint="A value is a text of ASCII characters on one line, without blanks around it; "
                "lengths are the provider's to set",
            )


def merge_headers(*sets: Mapping[str, str]) -> dict[str, str]:
    """Merge headers; a later one replaces an earlier one whatever the letter case of its name.

    Otherwise one library would send both and the other the last.
    """
    merged: dict[str, tuple[str, str]] = {}
    for headers in sets:
        for name, value in headers.items():
            merged[str(name).lower()] = (name, value)
    return dict(merged.values())


def expect_object(request: Request, response: Response) -> Record:
    """Return the answer as an object, or say that it is none."""
    value = expect_json(request, response)
    if not isinstance(value, dict):
        raise _unexpected(request, response, f"a JSON object was expected and a {type(value).__name__} came")
    return value


def expect_json(request: Request, response: Response) -> Any:
    """Return the answer's JSON, ``None`` for an empty body."""
    try:
        return response.json()
    except ValueError:
        raise _unexpected(request, response, "the body is not JSON") from None


def _unexpected(request: Request, response: Response, what: str) -> EspoBadAnswerError:
    return EspoBadAnswerError(
        f"This is not an answer of EspoCRM's API: {what}",
        status=response.status,
        method=request.method,
        path=request.path,
        # It said success: what was to be written may be written.
        outcome_unknown=request.method != "GET",
    )


def _shown(value: object) -> str:
    """Show a value that should be a name, cut so that a mistaken big one does not fill the log."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _id_hint(value: object) -> str:
    """Say where an id that is none may come from."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return "Was an upstream task's result empty, or a param not given?"
    if isinstance(value, Mapping):
        return "Give the record's id alone, such as lead.output['id'] or lead['id']"
    if isinstance(value, str) and "{{" in value:
        return "A template was not rendered: templates work in an operator's templated arguments only"
    return "An id has letters, digits, '-' and '_' only"


def _described(value: object, ok: str = "_-") -> str:
    """Describe a value that may be somebody's e-mail address or name in the wrong place, without repeating it.

    :param ok: characters beside letters and digits that are not to blame.
    """
    if not isinstance(value, str):
        words = a_kind(value)
        return words[0].upper() + words[1:]
    if not value.strip():
        return "An empty text"
    odd = next((char for char in value if not (char.isalnum() or char in ok)), None)
    return f"A text of {len(value)} characters" + (f" with {odd!r} in it" if odd else "")
