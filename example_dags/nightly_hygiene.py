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
    def take_over(doubles: list[dict[str, Any]]) -> int:
        """Give the contacts that stay what only their doubles have. By the hook, so that no value passes Airflow."""
        rows = []
        with EspoHook() as hook:
            for double in doubles:
                ids = [double["record_id"], *double["data"]["sourceIdList"]]
                found = hook.list_records("Contact", where=[in_("id", ids)], select=TAKE_OVER)
                kept, *others = sorted(found, key=lambda contact: ids.index(contact["id"]))
                lacking = [name for name in TAKE_OVER if not kept[name]]
                values = {name: next((one[name] for one in others if one[name]), None) for name in lacking}
                rows.append({"id": kept["id"], **{name: value for name, value in values.items() if value}})
            return _write(hook, rows)

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
            return {"changed": _write(hook, rows), "unclear": unclear}

    @task
    def write_report(doubles: list[dict[str, Any]], phones: dict[str, Any]) -> str:
        """Write what happened to a file, and return its path."""
        context = get_current_context()
        with EspoHook() as hook:
            merged = [hook.record_url("Contact", double["record_id"]) for double in doubles]
            unclear = [hook.record_url("Contact", contact_id) for contact_id in phones["unclear"]]
        lines = ["# Contact hygiene", "", f"Phone numbers written anew: {phones['changed']}", ""]
        lines += [f"## Merged into these contacts: {len(merged)}", "", *[f"* {url}" for url in merged], ""]
        lines += [f"## Phone numbers that nobody can dial: {len(unclear)}", "", *[f"* {url}" for url in unclear], ""]
        day = context["dag_run"].run_after.strftime("%Y-%m-%d")
        path = Path(context["params"]["report_dir"]) / f"hygiene-{day}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines), encoding="utf-8")
        return str(path)

    doubles = find_doubles()
    merge = EspoActionOperator.partial(task_id="merge", entity_type="Contact", action="merge").expand_kwargs(doubles)
    phones = normalise_phones()
    take_over(doubles) >> merge >> phones
    upload = EspoUploadAttachmentOperator(
        task_id="upload_report", path=write_report(doubles, phones), entity_type="Document", field="file"
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
        elif clean != number:
            wanted[contact["id"]] = clean
    return wanted, unclear


def _with_number(hook: EspoHook, contact_id: str, number: str) -> dict[str, Any]:
    """Attributes by which a contact's first number becomes another one, and the others stay as they are."""
    contact = hook.get_record("Contact", contact_id)
    numbers = contact["phoneNumberData"] or []
    first = [{**one, "phoneNumber": number} for one in numbers if one["primary"]]
    others = [one for one in numbers if not one["primary"] and one["phoneNumber"] != number]
    return {"id": contact_id, "phoneNumber": number, "phoneNumberData": [*first, *others]}


def _write(hook: EspoHook, rows: list[dict[str, Any]]) -> int:
    """Update contacts; return how many changed. One that EspoCRM refuses does not stop the others."""
    outcomes = hook.write_many("Contact", rows, operation="update")
    for outcome in outcomes:
        if outcome["error"]:
            log.warning("Contact %s: %s", rows[outcome["index"]]["id"], outcome["error"])
    return sum(outcome["action"] == "updated" for outcome in outcomes)


nightly_hygiene()
