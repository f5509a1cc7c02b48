"""Converts leads into accounts, contacts and opportunities.

As on a real server a conversion is not all or nothing: each record that is created stays, also if the next one
cannot be created, and the lead learns of them only at the end. Nothing keeps a lead from being converted twice.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox import subscriptions
from airflow_provider_espo.sandbox.errors import ApiError
from airflow_provider_espo.sandbox.http import CRASH
from airflow_provider_espo.sandbox.lead_attributes import TARGETS
from airflow_provider_espo.sandbox.links import relation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.users import CurrentUser


class NotKept(Exception):
    """Takes back a record that was created only to see whether it could be."""


@dataclass
class Conversion:
    """A conversion under way.

    :param lead_id: the lead; the caller has checked that the user may edit it
    :param skip_duplicate_check: whether to create records that look like ones that are there
    :param created: ids of the records that were created, by type
    :param duplicates: records that new ones look like
    """

    sandbox: Sandbox
    lead_id: str
    user: CurrentUser
    skip_duplicate_check: bool = False
    created: dict[str, str] = field(default_factory=dict)
    duplicates: list[dict[str, Any]] = field(default_factory=list)

    def run(self, records: Mapping[str, Any]) -> dict[str, Any]:
        """Create the records and note them on the lead.

        :param records: attributes of the records by type; other types than those of a conversion are not looked at
        :return: the lead, with the names of contact and opportunity from before
        :raises ApiError: 400, 403; 409 with the duplicates
        """
        for entity_type in TARGETS:
            if entity_type in records:
                values = records[entity_type]
                if not isinstance(values, dict):
                    raise ApiError(500, body=CRASH)
                self.create(entity_type, {**values, **self.relatives(entity_type)})
        if self.duplicates:
            raise ApiError(409, "duplicate", self.duplicates)
        lead_def = self.sandbox.storage.definitions["Lead"]
        before = self.sandbox.records.stored(lead_def, self.lead_id, self.user)
        values = {"status": "Converted", **{f"created{name}Id": i for name, i in self.created.items()}}
        lead = self.sandbox.records.set_values(lead_def, self.lead_id, values, self.user)
        for name in ("createdContactName", "createdOpportunityName"):
            lead[name] = before[name]
        self.move_activities()
        self.link_documents()
        self.carry_followers_over()
        return lead

    def relatives(self, entity_type: str) -> dict[str, str]:
        """Links of a record with those that were created before it."""
        found = {}
        if entity_type != "Account" and "Account" in self.created:
            found["accountId"] = self.created["Account"]
        if entity_type == "Opportunity" and "Contact" in self.created:
            found["contactId"] = self.created["Contact"]
        return found

    def create(self, entity_type: str, values: Mapping[str, Any]) -> None:
        """Create a record. After the first duplicate the others are only checked.

        :raises ApiError: 400, 403
        """
        storage, records = self.sandbox.storage, self.sandbox.records
        entity_def = storage.definitions[entity_type]
        try:
            with suppress(NotKept), storage.transaction():
                record = records.create(entity_def, values, self.user, skip_duplicate_check=self.skip_duplicate_check)
                if self.duplicates:
                    raise NotKept
                self.created[entity_type] = record["id"]
        except ApiError as error:
            if error.reason != "duplicate":
                raise
            self.duplicates += [{"id": d["id"], "name": d["name"], "_entityType": entity_type} for d in error.body]

    def move_activities(self) -> None:
        """Meetings and calls that the lead attends, and e-mails about it, belong to the opportunity or account then."""
        storage, records = self.sandbox.storage, self.sandbox.records
        parent_type = next((name for name in ("Opportunity", "Account") if name in self.created), None)
        for entity_type, link_name in (("Meeting", "meetings"), ("Call", "calls"), ("Email", "emails")):
            for record_id in relation(storage, "Lead", link_name, self.lead_id).ids():
                if "Contact" in self.created and entity_type != "Email":
                    relation(storage, entity_type, "contacts", record_id).add(self.created["Contact"])
                if parent_type is not None:
                    parent = {"parentType": parent_type, "parentId": self.created[parent_type]}
                    records.set_values(storage.definitions[entity_type], record_id, parent, self.user)

    def link_documents(self) -> None:
        """The lead's documents are those of account and opportunity too."""
        storage = self.sandbox.storage
        for document_id in relation(storage, "Lead", "documents", self.lead_id).ids():
            for name in ("Account", "Opportunity"):
                if name in self.created:
                    relation(storage, name, "documents", self.created[name]).add(document_id)

    def carry_followers_over(self) -> None:
        """Who follows the lead follows what it was converted into."""
        storage = self.sandbox.storage
        for user_id in subscriptions.user_ids(storage, subscriptions.FOLLOWED, "Lead", self.lead_id):
            for name, record_id in self.created.items():
                subscriptions.follow(storage, name, record_id, user_id)
