"""The application that takes what EspoCRM's webhooks deliver."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import traceback
from pathlib import Path

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from airflow_provider_espo.client.webhook_delivery import Claim, NotADelivery, read_changes, read_claim, repeat_key
from airflow_provider_espo.client.webhook_secret import WebhookSecret
from airflow_provider_espo.plugins.webhook_receiver_answers import Answer
from airflow_provider_espo.plugins.webhook_receiver_events import Changes, UnusableVariable, find_webhook, record
from airflow_provider_espo.plugins.webhook_receiver_settings import ReceiverSettings

log = logging.getLogger(__name__)

PATH = "/webhooks"
#: Seconds in which a body has to arrive. EspoCRM itself does not wait that long.
READ_SECONDS = 30.0


class _TooBig(Exception):
    pass


def build_app(settings: ReceiverSettings) -> FastAPI:
    """Return the application, to be mounted.

    :param settings: how it is configured.
    """
    # EspoCRM does not follow redirects, and takes one for done: so none to the path with or without a slash.
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    receiver = _Receiver(settings)
    for path in (PATH, f"{PATH}/"):
        app.add_route(path, receiver.take, methods=["POST"], include_in_schema=False)
    return app


class _Receiver:
    """Takes deliveries: nothing that blocks is done on the event loop, and nothing that came is logged or repeated."""

    def __init__(self, settings: ReceiverSettings) -> None:
        self._settings = settings

    async def take(self, request: Request) -> Response:
        """Answer a delivery."""
        answer = await self._answer(request)
        return JSONResponse({"outcome": answer.text}, status_code=answer.status)

    async def _answer(self, request: Request) -> Answer:
        claim = read_claim(request.headers.getlist("signature"), request.headers.getlist("x-signature"))
        if claim is None:
            log.info("A delivery was refused: it has no signature of EspoCRM")
            return Answer.NOT_SIGNED
        try:
            webhook = await self._find(claim.webhook_id)
            async with asyncio.timeout(READ_SECONDS):
                body = await self._read(request, keep=webhook is not None)
            if webhook is None:
                return Answer.NOT_SIGNED
            return await run_in_threadpool(self._record, claim, webhook, body)
        except _TooBig:
            log.error(
                "A delivery of webhook %s was refused: more than %d bytes, [espo] webhook_max_body_bytes",
                claim.webhook_id,
                self._settings.max_body_bytes,
            )
            return Answer.TOO_BIG
        except (TimeoutError, ClientDisconnect):
            log.warning("A delivery of webhook %s did not arrive to its end", claim.webhook_id)
            return Answer.CUT_OFF
        except UnusableVariable as error:
            log.error("A delivery of webhook %s could not be recorded: %s", claim.webhook_id, error)
            return Answer.UNAVAILABLE
        except Exception as error:
            log.error("A delivery of webhook %s could not be recorded: %s", claim.webhook_id, _told(error))
            return Answer.UNAVAILABLE

    async def _find(self, webhook_id: str) -> WebhookSecret | None:
        """Return what is kept of a webhook, ``None`` where no signature of it could be checked."""
        try:
            webhook = await run_in_threadpool(find_webhook, webhook_id)
        except UnusableVariable as error:
            log.error("A delivery of webhook %s is refused: %s", webhook_id, error)
            return None
        if webhook is None:
            log.warning("A delivery is refused: webhook %s is not known here", webhook_id)
        return webhook

    async def _read(self, request: Request, *, keep: bool) -> bytes:
        """Read the body as far as it may go.

        :param keep: whether the sender names a webhook that is known. Of others the body is read as well, so that the
            answer does not tell which are known, neither by what it says nor by when it comes; but not kept in memory.
        """
        limit = self._settings.max_body_bytes
        said = request.headers.get("content-length", "")
        if said.isascii() and said.isdigit() and (len(said) > 18 or int(said) > limit):
            raise _TooBig
        body, size, unkept = bytearray(), 0, hashlib.sha256()
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _TooBig
            if keep:
                body += chunk
            else:
                # What checking the signature would take.
                unkept.update(chunk)
        return bytes(body)

    def _record(self, claim: Claim, webhook: WebhookSecret, body: bytes) -> Answer:
        """Check a delivery and record it. It blocks."""
        if not claim.holds(webhook.secret, body):
            log.warning("A delivery was refused: the signature of webhook %s is wrong", claim.webhook_id)
            return Answer.NOT_SIGNED
        try:
            ids = read_changes(body)
        except NotADelivery as error:
            log.error("A delivery of webhook %s was refused: %s", claim.webhook_id, error)
            return Answer.NOT_A_DELIVERY
        key = repeat_key(webhook.secret, claim.webhook_id, body)
        changes = Changes.of(claim.webhook_id, webhook, ids, key)
        answer = record(changes, self._settings.repeat_seconds)
        if answer is Answer.NO_ASSET:
            log.error(
                "A delivery of webhook %s was not recorded: no DAG names the asset %s", claim.webhook_id, changes.uri
            )
        else:
            log.info("Webhook %s, %d changes for %s: %s", claim.webhook_id, len(ids), changes.uri, answer.text)
        return answer


def _told(error: Exception) -> str:
    """What went wrong and where, without the error's own words: those of a database repeat what it was given."""
    kinds = [type(error).__name__]
    if (cause := getattr(error, "orig", None)) is not None:
        kinds.append(type(cause).__name__)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{' of '.join(kinds)}{place}"
