"""The sandbox as a whole: its parts, and how a request goes through them."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_espo.sandbox.auth import SECRET_COOKIE, Authenticator, AuthError, Login
from airflow_provider_espo.sandbox.custom_fields import CustomFields
from airflow_provider_espo.sandbox.definition_files import load_definitions
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.faults import Faults
from airflow_provider_espo.sandbox.files import store_of
from airflow_provider_espo.sandbox.http import (
    CRASH,
    HTML,
    JSON,
    Context,
    Match,
    Reply,
    Request,
    Router,
    error_reply,
    framework_crash,
    framework_error,
    json_reply,
)
from airflow_provider_espo.sandbox.jobs import DEFAULT_DELAY, Jobs
from airflow_provider_espo.sandbox.records import Records
from airflow_provider_espo.sandbox.routes import JOB_KINDS, register_all
from airflow_provider_espo.sandbox.serialize import Serializer, existing
from airflow_provider_espo.sandbox.storage import Storage, utc_now
from airflow_provider_espo.sandbox.throttle import LoginThrottle
from airflow_provider_espo.sandbox.user_directory import ENTITY_TYPES, UserDirectory
from airflow_provider_espo.sandbox.users import CurrentUser
from airflow_provider_espo.sandbox.webhooks import DEFAULT_DELAY as WEBHOOK_DELAY
from airflow_provider_espo.sandbox.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_provider_espo.sandbox.change import Change
    from airflow_provider_espo.sandbox.definitions import EntityDef, FieldDef, LinkDef
    from airflow_provider_espo.sandbox.settings import Settings

log = logging.getLogger(__name__)

NOBODY = CurrentUser(id="", user_name="", name="", type="")


class Sandbox:
    """A CRM in this process.

    :param database: file, or ``:memory:``
    :param settings: settings of the CRM
    :param throttle: brake on failed logins
    :param clock: gives the time
    :param job_delay: seconds until a background job is done
    :param webhook_delay: seconds until a change is delivered to webhooks, and between two runs
    :raises StorageError: if the database cannot be used
    """

    def __init__(
        self,
        database: str = ":memory:",
        *,
        settings: Settings | None = None,
        throttle: LoginThrottle | None = None,
        clock: Callable[[], datetime] = utc_now,
        job_delay: float = DEFAULT_DELAY,
        webhook_delay: float = WEBHOOK_DELAY,
    ) -> None:
        #: What is to go wrong: nothing, until a fault is added.
        self.faults = Faults()
        self.storage = Storage(database, load_definitions(), settings, clock)
        self.files = store_of(database)
        self.directory = UserDirectory(self.storage)
        self.throttle = throttle or LoginThrottle()
        self.authenticator = Authenticator(self.storage, self.directory, self.throttle)
        self.serializer = Serializer(self.storage)
        self.records = Records(self.storage, self.serializer)
        self.records.listeners.append(self._record_changed)
        self.custom_fields = CustomFields(self.storage)
        self.webhooks = Webhooks(self.storage, self.serializer, self.directory, webhook_delay)
        self.records.observers.append(self.webhooks.events.record_saved)
        self.records.listeners.append(self.webhooks.events.webhook_changed)
        self.jobs = Jobs(self.storage, job_delay)
        for kind, work in JOB_KINDS.items():
            self.jobs.register(kind, partial(work, self))
        self.router = Router()
        register_all(self.router)

    def close(self) -> None:
        """Stop what goes on by itself and close the database."""
        self.stop_helpers()
        self.storage.close()
        self.files.close()

    def start_helpers(self) -> None:
        """Let threads do background jobs and deliver webhooks."""
        self.jobs.start()
        self.webhooks.start()

    def stop_helpers(self) -> None:
        """End these threads."""
        self.jobs.stop()
        self.webhooks.stop()

    def exists(self, entity_def: EntityDef, record_id: str) -> bool:
        """Whether there is such a record that is not deleted."""
        return existing(self.storage, entity_def, record_id)

    def add_field(self, entity_type: str, name: str, spec: str) -> FieldDef:
        """Add a custom field while requests go on; see :meth:`CustomFields.add`."""
        return self.custom_fields.add(entity_type, name, spec)

    def links_changed(self, entity_def: EntityDef, link: LinkDef) -> None:
        """To be told after records were linked or unlinked."""
        if entity_def.name in ENTITY_TYPES or link.entity_type in ENTITY_TYPES:
            self.directory.forget()

    def _record_changed(self, what: str, change: Change) -> None:
        if change.entity_def.name in ENTITY_TYPES:
            self.directory.forget()

    # --- requests ---

    def handle(self, request: Request) -> Reply:
        """Answer a request, or let go wrong what is to go wrong."""
        fault = self.faults.meeting(request)
        if fault is None:
            return self._answer(request)
        lost = self._answer(request) if fault.carried_out else None
        if lost is not None and fault.what == "cut":
            lost.breakage = "cut"
            return lost
        return fault.reply()

    def _answer(self, request: Request) -> Reply:
        match = self.router.match(request.method, request.path)
        if match is None:
            return framework_error(request, self.router.allowed_methods(request.path))
        errors_as = JSON if match.route.action else HTML
        login: Login | None = None
        try:
            login = self._login(request, match)
            reply = self._run(request, match, login)
        except AuthError as error:
            reply = auth_error_reply(request, error)
        except ApiError as error:
            crashed = error.status == 500 and error.body == CRASH
            reply = framework_crash(request) if crashed else error_reply(error, errors_as)
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            reply = Reply(500)
        if login is not None:
            reply.headers["X-App-Timestamp"] = str(int(time.time()))
            if login.new_secret is not None:
                reply.headers["Set-Cookie"] = f"{SECRET_COOKIE}={login.new_secret}; path=/; HttpOnly; SameSite=Lax"
        return reply

    def _login(self, request: Request, match: Match) -> Login | None:
        """Log the sender in. Where no login is needed, what was sent with one counts nevertheless."""
        if match.route.auth:
            return self.authenticator.login(request)
        offered = ("x-api-key", "x-hmac-authorization", "espo-authorization", "authorization")
        if any(request.header(name) for name in offered):
            return self.authenticator.login(request)
        return None

    def _run(self, request: Request, match: Match, login: Login | None) -> Reply:
        user = login.user if login else NOBODY
        context = Context(self, request, user, match.params, login.token if login else None)
        if request.method == "HEAD":
            raise head_error(match)
        value = match.route.handler(context)
        return value if isinstance(value, Reply) else json_reply(value)


def head_error(match: Match) -> ApiError:
    """Controllers have no actions for ``HEAD``."""
    if match.route.action is None:
        return ApiError(404)
    action = match.params.get("action", match.route.action)
    controller = match.params.get("controller") or match.route.pattern.strip("/").partition("/")[0]
    return ApiError(404, f"Action HEAD '{action}' does not exist in controller '{controller}'.")


def auth_error_reply(request: Request, error: AuthError) -> Reply:
    """The answer to a failed login; a browser is asked for a password where it would make sense."""
    reply = error_reply(error, HTML)
    by_script = request.header("referer") or (request.header("x-requested-with") or "").lower() == "xmlhttprequest"
    if error.challenge and request.method != "POST" and not by_script:
        reply.headers["WWW-Authenticate"] = 'Basic realm=""'
    return reply
