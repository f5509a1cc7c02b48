"""Settings of the sandbox's CRM, as an administrator would have set them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Settings:
    """What answers depend on.

    :param time_zone: the system's time zone; stored times are UTC
    :param week_start: 0 for Sunday, 1 for Monday
    :param fiscal_year_shift: months by which the fiscal year begins after January
    :param currency_rates: worth of one unit in the base currency
    :param list_max_size: most records of one page; more is refused
    :param list_text_length: characters of a text attribute in a list; the rest is cut
    :param duplicate_max_count: most records of a duplicate answer
    :param attachment_max_size: megabytes of an uploaded file
    :param inline_attachment_max_size: megabytes of a file within a text
    :param webhooks_internal: whether webhooks may go to any address; else not to internal ones
    :param webhook_allowed_addresses: ``host:port`` of internal addresses that webhooks may go to nevertheless
    :param webhook_run_size: most events, and most webhooks, of one run
    :param webhook_batch_size: most changes in one request
    :param webhook_max_attempts: how often a delivery is tried
    :param webhook_retry_after: seconds until the next attempt
    :param webhook_timeout: seconds until a receiver that does not answer is given up
    :param webhook_retry_unreachable: whether a connection that fails is tried again, as before EspoCRM 10
    :param mail: what becomes of e-mails that are sent: there is no server for them, or it takes or refuses them
    """

    version: str = "10.0.0"
    time_zone: str = "UTC"
    date_format: str = "DD.MM.YYYY"
    time_format: str = "HH:mm"
    week_start: int = 0
    fiscal_year_shift: int = 0
    language: str = "en_US"
    base_currency: str = "USD"
    default_currency: str = "USD"
    currency_rates: Mapping[str, float] = field(default_factory=lambda: {"USD": 1.0, "EUR": 1.12, "GBP": 1.25})
    currency_list: tuple[str, ...] = ("USD", "EUR", "GBP")
    person_name_format: str = "firstLast"
    phone_number_international: bool = True
    list_max_size: int = 200
    list_text_length: int = 10_000
    duplicate_max_count: int = 5
    attachment_max_size: int = 256
    inline_attachment_max_size: int = 20
    mail: Literal["none", "accept", "refuse"] = "none"
    upload_max_size: float = 256
    webhooks_internal: bool = False
    webhook_allowed_addresses: tuple[str, ...] = (
        "127.0.0.1:18099",
        "localhost:18099",
        "127.0.0.1:18098",
        "localhost:18098",
    )
    webhook_run_size: int = 20
    webhook_batch_size: int = 50
    webhook_max_attempts: int = 4
    webhook_retry_after: float = 600
    webhook_timeout: float = 10
    webhook_retry_unreachable: bool = False
    global_search_types: tuple[str, ...] = ("Account", "Contact", "Lead", "Opportunity")
