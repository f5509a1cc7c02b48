"""Register webhooks in EspoCRM, and unregister them; their secrets are kept as Airflow Variables."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_espo import compat
from airflow_provider_espo.client.errors import EspoError, EspoForbiddenError, EspoNotFoundError
from airflow_provider_espo.links.espo import EspoRecordLink
from airflow_provider_espo.operators.base import EspoOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.client.webhook_secret import WebhookSecret
    from airflow_provider_espo.hooks.espo import EspoHook

_ENTITY_TYPE = "Webhook"
#: How often it is looked again whether there is one webhook. Twice, unless others register the same one.
_ROUNDS = 8


class _WebhookOperator(EspoOperator):
    """What registering and unregistering have in common: a webhook is known by its event and address.

    :param event: ``Lead.create``, ``Lead.update``, ``Lead.delete`` or ``Lead.fieldUpdate.status``. (templated)
    :param url: address that EspoCRM posts to. (templated)
    :param espo_conn_id: Airflow connection. (templated)
    """

    result_has_parts = True
    template_fields: Sequence[str] = ("espo_conn_id", "event", "url")

    def __init__(self, *, event: str, url: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event = event
        self.url = url

    def _own(self, hook: EspoHook) -> list[dict[str, Any]]:
        """Webhooks of the connection's user for this event and address."""
        from airflow_provider_espo.client.operations.webhooks import check_event, check_url

        check_event(self.event)
        check_url(self.url)
        own = hook.list_webhooks(event=self.event, url=self.url)
        for webhook in own:
            compat.mask(webhook["secret_key"])
        return own

    def _remove(self, hook: EspoHook, webhook: dict[str, Any]) -> None:
        # The secret first: a retry still finds the webhook, and by it the secret, but not the other way round.
        kept = _kept(webhook["id"])
        # A copy of an EspoCRM has webhooks with the same ids.
        if kept is None or kept.site_url == hook.config.site_url:
            _forget(webhook["id"])
        hook.delete_record(_ENTITY_TYPE, webhook["id"])

    def _forget_gone(self, hook: EspoHook, there: str | None = None) -> None:
        """Forget secrets of webhooks for this event and address that EspoCRM does not have any more.

        :param there: id of one that it has.
        """
        from airflow_provider_espo.client.webhook_secret import VARIABLE_PREFIX

        for name in compat.variable_names(VARIABLE_PREFIX):
            webhook_id = name.removeprefix(VARIABLE_PREFIX)
            kept = None if webhook_id == there else _kept(webhook_id)
            if kept is not None and self._is_of(hook, kept) and _is_gone(hook, webhook_id):
                self.log.info("Webhook %s is not in EspoCRM any more: its secret is forgotten", webhook_id)
                _forget(webhook_id)

    def _is_of(self, hook: EspoHook, kept: WebhookSecret) -> bool:
        return (kept.event, kept.url, kept.site_url) == (self.event, self.url, hook.config.site_url)

    def _result(self, webhook_id: str | None, action: str) -> dict[str, Any]:
        from airflow_provider_espo.client.webhook_secret import variable_name

        self.log.info("Webhook %s for %s: %s", webhook_id, self.event, action)
        return {
            "id": webhook_id,
            "action": action,
            "event": self.event,
            "url": self.url,
            "secret_variable": None if webhook_id is None else variable_name(webhook_id),
        }


class EspoRegisterWebhookOperator(_WebhookOperator):
    """Have EspoCRM post changes to an address: register a webhook, once.

    The key with which EspoCRM signs what it posts is kept in the Airflow Variable ``espo_webhook_secret_<id>``, beside
    event, address and site; it is in no XCom and no log. The webhook is registered inactive, its key is stored and
    read back, and only then is it switched on: if the key cannot be stored, the webhook is taken back.

    Safe to repeat, as retry or in each run: a webhook of the connection's user for the same event and address is left
    as it is, and switched on if it was off. Where its Variable is gone or holds another key, a new webhook takes its
    place; so to have a new key, delete the Variable. A second webhook for the same event and address is removed, also
    if several runs register it at the same time.

    :param event: ``Lead.create``, ``Lead.update``, ``Lead.delete`` or ``Lead.fieldUpdate.status``. (templated)
    :param url: address that EspoCRM posts to. (templated)
    :param skip_own: leave out changes that the connection's user makes (EspoCRM 9.2 and later).
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"id", "action", "event", "url", "secret_variable"}``, action ``created``, ``updated`` or ``unchanged``;
        ``secret_variable`` is the Variable's name.
    :raises EspoInputError: that is no event or no address; or EspoCRM is older than 9.2 and ``skip_own`` is asked for.
    :raises EspoValidationError: EspoCRM refused the address; internal ones need its administrator's permission.
    :raises EspoForbiddenError: EspoCRM refused the event, or the user may not have webhooks.
    :raises EspoError: the key could not be stored, so the webhook was taken back.
    """

    operator_extra_links = (EspoRecordLink(),)

    def __init__(self, *, event: str, url: str, skip_own: bool = False, **kwargs: Any) -> None:
        super().__init__(event=event, url=url, **kwargs)
        self.skip_own = skip_own

    def execute(self, context: Context) -> dict[str, Any]:
        """Register the webhook."""
        with self.hook as hook:
            webhook_id, action = self._settle(hook)
            self._forget_gone(hook, webhook_id)
        return self._result(webhook_id, action)

    def record_shown(self) -> tuple[str | None, str | None]:
        """Return the webhook, whose page EspoCRM shows to administrators."""
        return _ENTITY_TYPE, (self.facts or {}).get("id")

    def _settle(self, hook: EspoHook) -> tuple[str, str]:
        """Have one webhook with a kept key, and no other.

        Others may be at it at the same time, and each sees what the rest has made so far. All of them prefer the same
        one, and whoever registered or removed one looks again: the last one to do so sees what is left.
        """
        done: dict[str, str] = {}
        taken: EspoNotFoundError | None = None
        for _ in range(_ROUNDS):
            own = self._own(hook)
            usable = [webhook for webhook in own if self._is_usable(hook, webhook)]
            try:
                if not usable:
                    done[self._register(hook, own)] = "created"
                    continue
                kept = min(usable, key=lambda webhook: str(webhook["id"]))
                if self._keep(hook, kept):
                    done.setdefault(kept["id"], "updated")
            except EspoNotFoundError as error:
                # Somebody else, to whom its key seemed lost, removed it.
                taken = error
                continue
            others = [webhook for webhook in own if webhook["id"] != kept["id"]]
            for other in others:
                self.log.info("Webhook %s for the same event and address is removed", other["id"])
                self._remove(hook, other)
            if not others:
                return kept["id"], done.get(kept["id"], "unchanged")
        raise EspoError(
            f"Others register and remove the webhook for {self.event} at the same time",
            hint="Register a webhook in one DAG only, with max_active_runs=1",
        ) from taken

    def _is_usable(self, hook: EspoHook, webhook: dict[str, Any]) -> bool:
        kept = _kept(webhook["id"])
        return kept is not None and self._is_of(hook, kept) and kept.is_for(webhook["secret_key"])

    def _register(self, hook: EspoHook, own: Sequence[dict[str, Any]]) -> str:
        known = [webhook["id"] for webhook in own]
        webhook = hook.create_webhook(self.event, self.url, skip_own=self.skip_own, is_active=False, known_ids=known)
        compat.mask(webhook["secret_key"])
        try:
            self._keep_secret(hook, webhook)
        except Exception:
            with suppress(EspoError):
                hook.delete_record(_ENTITY_TYPE, webhook["id"])
            raise
        try:
            self._change(hook, webhook["id"], {"isActive": True})
        except EspoNotFoundError:
            _forget(webhook["id"])
            raise
        return str(webhook["id"])

    def _keep(self, hook: EspoHook, webhook: dict[str, Any]) -> bool:
        """Have a webhook as it is asked for; returns whether it was otherwise."""
        changes: dict[str, Any] = {}
        if not webhook["is_active"]:
            changes["isActive"] = True
        if bool(webhook["skip_own"]) != self.skip_own:
            changes["skipOwn"] = self.skip_own
        if changes:
            self._change(hook, webhook["id"], changes)
        return bool(changes)

    def _change(self, hook: EspoHook, webhook_id: str, changes: dict[str, Any]) -> None:
        hook.update_record(_ENTITY_TYPE, webhook_id, changes, only_changes=False, validate=False)

    def _keep_secret(self, hook: EspoHook, webhook: dict[str, Any]) -> None:
        from airflow.sdk import Variable

        from airflow_provider_espo.client.webhook_secret import WebhookSecret, variable_name

        name = variable_name(webhook["id"])
        kept = WebhookSecret(webhook["secret_key"], self.event, self.url, hook.config.site_url)
        said = f"Key of EspoCRM's webhook for {self.event}; kept by airflow-provider-espo"
        try:
            Variable.set(name, kept.to_text(), description=said)
        except Exception as error:
            raise EspoError(
                f"The webhook's key could not be stored in the Airflow Variable {name}, so the webhook was taken back",
                hint="Whatever is in the way is said above",
            ) from error
        if _kept(webhook["id"]) != kept:
            raise EspoError(
                f"Airflow reads something else from the Variable {name} than was stored, so the webhook was taken back",
                hint="A secrets backend or an environment variable has a Variable of that name",
            )


class EspoUnregisterWebhookOperator(_WebhookOperator):
    """Remove a webhook from EspoCRM, and its key from Airflow.

    One that is not there is a success, so it is safe to retry. What EspoCRM has not delivered yet is dropped with it.

    :param event: event that it was registered for. (templated)
    :param url: address that it was registered for. (templated)
    :param espo_conn_id: Airflow connection, of the same user. (templated)
    :return: ``{"id", "action", "event", "url", "secret_variable"}``, action ``deleted`` or ``missing``; ``id`` and
        ``secret_variable`` are ``None`` where there was none.
    :raises EspoInputError: that is no event or no address.
    :raises EspoForbiddenError: the user may not have webhooks.
    """

    def execute(self, context: Context) -> dict[str, Any]:
        """Remove the webhook."""
        with self.hook as hook:
            own = self._own(hook)
            for webhook in own:
                self._remove(hook, webhook)
            self._forget_gone(hook)
        return self._result(own[0]["id"], "deleted") if own else self._result(None, "missing")


def _is_gone(hook: EspoHook, webhook_id: str) -> bool:
    try:
        hook.get_record(_ENTITY_TYPE, webhook_id, validate=False)
    except EspoNotFoundError:
        return True
    except EspoForbiddenError:
        # It is another user's.
        return False
    return False


def _kept(webhook_id: str) -> WebhookSecret | None:
    """What is kept of a webhook, ``None`` if nothing that makes sense is."""
    from airflow.sdk import Variable

    from airflow_provider_espo.client.webhook_secret import WebhookSecret, variable_name

    kept = WebhookSecret.from_text(Variable.get(variable_name(webhook_id), default=None))
    if kept is not None:
        compat.mask(kept.secret)
    return kept


def _forget(webhook_id: str) -> None:
    from airflow.sdk import Variable

    from airflow_provider_espo.client.webhook_secret import variable_name

    name = variable_name(webhook_id)
    if Variable.get(name, default=None) is not None:
        Variable.delete(name)
