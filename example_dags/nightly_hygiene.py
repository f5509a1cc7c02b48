"""Keep contacts clean: merge doubles, write phone numbers in one way, and file a report in the CRM.

Doubles are contacts with the same e-mail address *and* the same last name: couples and shared mailboxes stay two. The
oldest record stays; what it lacks it takes from the others, and what hangs on them moves to it. Phone numbers become
international ones, as far as it is certain what they mean.

A merge cannot be undone. So the run refuses to touch more records than it is told to expect: the first night after
an import may be meant, and then is run by hand with higher limits. Every task can be tried again. The report and
Airflow hold ids and counts; names, addresses and numbers stay in the CRM.

Needs ``lead_cleaning.py`` beside it.
"""

from __future__ import annotations

import logging
import os
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import lead_cleaning
import pendulum
from airflow.sdk import Param, dag, get_current_context, task

from airflow_provider_espo.hooks.espo import EspoHook
from airflow_provider_espo.operators.action import EspoActionOperator
from airflow_provider_espo.operators.attachment import EspoUploadAttachmentOperator
from airflow_provider_espo.operators.record import EspoUpsertRecordOperator
from airflow_provider_espo.where import in_

try:
    from airflow.sdk.exceptions import AirflowFailException
except ImportError:  # Airflow 3.1
    from airflow.exceptions import AirflowFailException

log = logging.getLogger(__name__)

REPORT_DIR = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "nightly_hygiene"

#: What the contact that stays takes from its doubles where it has nothing. Addresses and numbers EspoCRM moves itself.
TAKE_OVER = ["firstName", "salutationName", "accountId", "description", "assignedUserId", "campaignId"]

#: Countries as people write them in addresses; a number without a country code is one of its contact's country.
COUNTRY_NAMES = {
    "austria": "AT", "österreich": "AT", "czechia": "CZ", "česko": "CZ", "germany": "DE", "deutschland": "DE",
    "spain": "ES", "españa": "ES", "france": "FR", "uk": "GB", "united kingdom": "GB", "poland": "PL", "polska": "PL",
    "sweden": "SE", "sverige": "SE", "ukraine": "UA", "usa": "US", "united states": "US",
}  # fmt: skip


def international(number: str, country: str, default_country: str) -> str:
    """Return a phone number with its country code; nothing where it is not certain.

    :param number: as somebody wrote it.
    :param country: of the contact's address; may be empty.
    :param default_country: two-letter code for contacts without a country.
    """
    if re.fullmatch(r"\+[1-9][0-9]{6,14}", number):
        return number
    code = COUNTRY_NAMES.get(country.strip().lower(), country.strip().upper()) if country.strip() else default_country
    return lead_cleaning.clean_phone(number, code, [])


@dag(
    schedule="0 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Two runs at once would merge the same contacts.
    max_active_runs=1,
    tags=["espo", "example"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=30)},
    params={
        "max_merged": Param(50, type="integer", minimum=0, maximum=1000, title="Contacts to merge away, at most"),
        "max_phones": Param(500, type="integer", minimum=0, title="Phone numbers to change, at most"),
        "country": Param("", type="string", title="Two-letter code for numbers without any country; empty: leave them"),
        "report_dir": Param(str(REPORT_DIR), type="string", title="Folder for the report, the same for every worker"),
    },
)
def nightly_hygiene() -> None:
    """See the module's text."""

    @task
    def find_doubles() -> list[dict[str, Any]]:
        """Which contact stays, and which are merged into it."""
        most = get_current_context()["params"]["max_merged"]
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        with EspoHook() as hook:
            for contact in hook.iter_records("Contact", select=["emailAddress", "lastName"], order_by="createdAt"):
                if contact["emailAddress"]:
                    groups[contact["emailAddress"].lower(), (contact["lastName"] or "").casefold()].append(
                        contact["id"]
                    )
        doubles = [ids for ids in groups.values() if len(ids) > 1]
        if (count := sum(len(ids) - 1 for ids in doubles)) > most:
            raise AirflowFailException(f"{count} contacts would be merged away, and max_merged is {most}")
        log.info("%d contacts are doubles of %d others", count, len(doubles))
        return [{"record_id": ids[0], "data": {"sourceIdList": ids[1:], "attributes": {}}} for ids in doubles]

    @task
    def take_over(doubles: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Give the contacts that stay what only their doubles have; return those that may be merged now.

        By the hook, so that no value passes through Airflow. Where EspoCRM refuses a value it would be lost.
        """
        with EspoHook() as hook:
            rows = [_with_values_of_doubles(hook, double) for double in doubles]
            refused = _update(hook, [row for row in rows if len(row) > 1])
        return [double for double in doubles if double["record_id"] not in refused]

    # Also where there was nothing to merge.
    @task(trigger_rule="none_failed")
    def normalise_phones() -> dict[str, Any]:
        """Write phone numbers in the international form."""
        params: Any = get_current_context()["params"]
        with EspoHook() as hook:
            wanted, unclear = _phones(hook, params["country"])
            if len(wanted) > params["max_phones"]:
                raise AirflowFailException(f"{len(wanted)} numbers would change, max_phones is {params['max_phones']}")
            rows = [_with_number(hook, contact_id, number) for contact_id, number in wanted.items()]
            refused = _update(hook, rows)
        return {"changed": len(rows) - len(refused), "unclear": unclear + refused}

    @task
    def write_report(doubles: list[dict[str, Any]], ready: list[dict[str, Any]], phones: dict[str, Any]) -> str:
        """Write what happened to a file, and return its path."""
        context = get_current_context()
        lists = {
            "Merged into these contacts": [double["record_id"] for double in ready],
            "Left alone, because EspoCRM refused what they should take over": [
                double["record_id"] for double in doubles if double not in ready
            ],
            "Phone numbers that are not clear": phones["unclear"],
        }
        lines = ["# Contact hygiene", "", f"Phone numbers written anew: {phones['changed']}", ""]
        with EspoHook() as hook:
            for title, ids in lists.items():
                links = [f"* {hook.record_url('Contact', contact_id)}" for contact_id in ids]
                lines += [f"## {title}: {len(ids)}", "", *links, ""]
        day = context["dag_run"].run_after.strftime("%Y-%m-%d")
        path = Path(context["params"]["report_dir"]) / f"hygiene-{day}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines), encoding="utf-8")
        return str(path)

    doubles = find_doubles()
    ready = take_over(doubles)
    merge = EspoActionOperator.partial(task_id="merge", entity_type="Contact", action="merge").expand_kwargs(ready)
    phones = normalise_phones()
    merge >> phones
    upload = EspoUploadAttachmentOperator(
        task_id="upload_report", path=write_report(doubles, ready, phones), entity_type="Document", field="file"
    )
    # One document a day: a second run puts the new report into it.
    EspoUpsertRecordOperator(
        task_id="file_report",
        entity_type="Document",
        attributes={
            "name": "Contact hygiene {{ dag_run.run_after | ds }}",
            "publishDate": "{{ dag_run.run_after | ds }}",
            "fileId": upload.output["attachment_id"],
        },
        match_by=["name"],
    )


def _phones(hook: EspoHook, default_country: str) -> tuple[dict[str, str], list[str]]:
    """Phone numbers that should be written in another way, by contact, and contacts where it is not certain how."""
    wanted, unclear = {}, []
    for contact in hook.iter_records("Contact", select=["phoneNumber", "addressCountry"]):
        if not (number := contact["phoneNumber"]):
            continue
        clean = international(number, contact["addressCountry"] or "", default_country)
        if not clean:
            unclear.append(contact["id"])
        elif re.sub("[^0-9+]", "", clean) != re.sub("[^0-9+]", "", number):
            # Blanks and dashes make no other number: neither the provider nor EspoCRM would see a difference.
            wanted[contact["id"]] = clean
    return wanted, unclear


def _with_number(hook: EspoHook, contact_id: str, number: str) -> dict[str, Any]:
    """Attributes by which a contact's first number becomes another one, and the others stay as they are."""
    contact = hook.get_record("Contact", contact_id)
    numbers = contact["phoneNumberData"] or []
    first = [{**one, "phoneNumber": number} for one in numbers if one["primary"]]
    others = [one for one in numbers if not one["primary"] and one["phoneNumber"] != number]
    return {"id": contact_id, "phoneNumber": number, "phoneNumberData": [*first, *others]}


def _with_values_of_doubles(hook: EspoHook, double: dict[str, Any]) -> dict[str, Any]:
    """Attributes that the contact that stays lacks, from the first double that has them."""
    # What a hundred doubles do not know, nobody knows; more ids make a URL that web servers refuse.
    ids = [double["record_id"], *double["data"]["sourceIdList"]][:100]
    found = hook.list_records("Contact", where=[in_("id", ids)], select=TAKE_OVER)
    by_id = {contact["id"]: contact for contact in found}
    # In a later try some of them are merged already.
    there = [by_id[contact_id] for contact_id in ids if contact_id in by_id]
    row = {"id": double["record_id"]}
    for name in TAKE_OVER:
        value = next((contact[name] for contact in there if contact[name]), None)
        if value and not by_id.get(row["id"], {}).get(name):
            row[name] = value
    return row


def _update(hook: EspoHook, rows: list[dict[str, Any]]) -> list[str]:
    """Update contacts; return the ids of those that EspoCRM refused, which do not stop the others."""
    outcomes = hook.write_many("Contact", rows, operation="update")
    failed = {rows[outcome["index"]]["id"]: outcome["error"] for outcome in outcomes if outcome["error"]}
    for contact_id, error in failed.items():
        log.warning("Contact %s: %s", contact_id, error)
    return list(failed)


nightly_hygiene()
