"""What EspoCRM posts to a webhook's address: who sent it, as it says, whether that is so, and what has changed.

Whoever finds the address can post to it. So nothing is believed before the signature is checked, what is refused is
never repeated in a message, and nothing here takes more than one pass over what came.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.client.wire import record_id_segment

#: Levels of lists and objects. A record has three or four: links and addresses are lists of objects in it.
MAX_DEPTH = 32
#: EspoCRM delivers 50 changes at once, unless its administrator set another number.
MAX_CHANGES = 1000

_MAX_HEADER = 512
_HEX_LENGTH, _RAW_LENGTH = 64, 32

# A whole string, or what opens or closes something. A quotation mark alone opens a string that never ends.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{}]', re.DOTALL)


class NotADelivery(ValueError):
    """A body that EspoCRM would not send. The message says what it is instead, without any of it."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request's signature headers say, to be checked.

    :param webhook_id: id of the webhook that it says it is of.
    :param hex_digest: digest of ``Signature`` (EspoCRM 9.0 and later).
    :param raw_digest: digest of ``X-Signature`` (up to EspoCRM 10).
    """

    webhook_id: str
    hex_digest: bytes | None = field(default=None, repr=False)
    raw_digest: bytes | None = field(default=None, repr=False)

    def holds(self, secret: str, body: bytes) -> bool:
        """Whether every digest that was sent is that of the body. Takes the same time wherever they differ.

        :param secret: the webhook's secret key.
        :param body: the body as it came, byte for byte.
        """
        mac = hmac.new(secret.encode(), body, "sha256")
        checks = [
            hmac.compare_digest(sent, expected)
            for sent, expected in ((self.hex_digest, mac.hexdigest().encode()), (self.raw_digest, mac.digest()))
            if sent is not None
        ]
        return bool(checks) and all(checks)


def read_claim(signature: Sequence[str], x_signature: Sequence[str]) -> Claim | None:
    """Read the signature headers; ``None`` if there is none, or they are not such as EspoCRM sends.

    :param signature: values of all headers ``Signature``.
    :param x_signature: values of all headers ``X-Signature``.
    """
    if max(len(signature), len(x_signature)) != 1:
        return None
    sent_hex, sent_raw = _read(signature, _HEX_LENGTH), _read(x_signature, _RAW_LENGTH)
    if (signature and sent_hex is None) or (x_signature and sent_raw is None):
        return None
    ids = {sent[0] for sent in (sent_hex, sent_raw) if sent is not None}
    if len(ids) != 1:
        return None
    return Claim(ids.pop(), sent_hex and sent_hex[1], sent_raw and sent_raw[1])


def _read(values: Sequence[str], digest_length: int) -> tuple[str, bytes] | None:
    if not values or len(values[0]) > _MAX_HEADER:
        return None
    try:
        # A raw digest may hold colons, an id cannot.
        webhook_id, _, digest = base64.b64decode(values[0], validate=True).partition(b":")
        found = record_id_segment(webhook_id.decode("ascii"))
    except (ValueError, EspoInputError):
        return None
    return (found, digest) if len(digest) == digest_length else None


def repeat_key(secret: str, webhook_id: str, body: bytes) -> str:
    """Return what tells a delivery from others and is the same when it comes again.

    It is no signature: whoever reads it can neither sign with it nor try out what the body may have been.

    :param secret: the webhook's secret key.
    :param webhook_id: the webhook's id.
    :param body: the body as it came.
    """
    # No body that EspoCRM signs begins so.
    return hmac.new(secret.encode(), b"repeat:%b:" % webhook_id.encode() + body, "sha256").hexdigest()[:32]


class _Change(msgspec.Struct):
    id: str


def read_changes(body: bytes) -> list[str]:
    """Return the ids of changed records, in order and as often as they are named. Attributes are passed over.

    :param body: the body as it came; its signature is checked.
    :raises NotADelivery: it is not a JSON list of objects with an id, or is nested too deeply.
    """
    _check_depth(body)
    try:
        body.decode()
        ids = [record_id_segment(change.id) for change in msgspec.json.decode(body, type=list[_Change])]
    except (UnicodeDecodeError, msgspec.DecodeError):
        raise NotADelivery("The body is not a JSON list of objects with an id") from None
    except EspoInputError:
        raise NotADelivery("An id in the body is not that of a record") from None
    if not 1 <= len(ids) <= MAX_CHANGES:
        raise NotADelivery(f"The body has {len(ids)} changes, and not from 1 to {MAX_CHANGES}")
    return ids


def _check_depth(body: bytes) -> None:
    """Refuse deep nesting before a parser gets it, as parsers nest calls."""
    depth = 0
    for token in _TOKEN.finditer(body):
        match body[token.start()]:
            case 0x5B | 0x7B:
                depth += 1
                if depth > MAX_DEPTH:
                    raise NotADelivery(f"The body is nested more than {MAX_DEPTH} deep")
            case 0x5D | 0x7D:
                depth -= 1
            case _ if len(token[0]) == 1:
                raise NotADelivery("The body is not JSON: a string in it never ends")
