"""A small CRM to look at, made from a seed: companies, people, leads, sales, tasks, up to today."""

from __future__ import annotations

import datetime as dt
import random
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.sandbox.collation import fold
from airflow_provider_espo.sandbox.links import relation
from airflow_provider_espo.sandbox.user_rules import set_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_espo.sandbox.application import Sandbox
    from airflow_provider_espo.sandbox.users import CurrentUser

SEED = 1_812
#: Days back over which the records are spread.
DAYS = 200
MARK = "demoData"

# name, industry, city, country
COMPANIES: Sequence[tuple[str, str, str, str]] = (
    ("Nordlicht Energie GmbH", "Energy", "Hamburg", "Germany"),
    ("Café São Jorge Lda.", "Food & Beverage", "Lisboa", "Portugal"),
    ("Grünwald & Söhne", "Manufacturing", "München", "Germany"),
    ("Fjordkraft Båt AS", "Shipping", "Bergen", "Norway"),
    ("Łódź Tekstylia Sp. z o.o.", "Apparel & Accessories", "Łódź", "Poland"),
    ("Hibernia Software Ltd", "Software", "Dublin", "Ireland"),
    ("Atelier Dufrêne", "Architecture", "Lyon", "France"),
    ("Øresund Robotics ApS", "Electronics", "København", "Denmark"),
    ("Banco del Sureste", "Banking", "Murcia", "Spain"),
    ("Prairie Grain Co-op", "Agriculture", "Des Moines", "USA"),
    ("Bluewater Insurance", "Insurance", "Boston", "USA"),
    ("České Sklo a.s.", "Building Materials & Equipment", "Plzeň", "Czechia"),
    ("Kyoto Instruments", "Electronics", "Kyoto", "Japan"),
    ("Tamarind Travel Pvt", "Travel", "Chennai", "India"),
    ("Maple & Moss Design", "Creative", "Montréal", "Canada"),
    ("Helvetia Präzision AG", "Manufacturing", "Winterthur", "Switzerland"),
    ("Sunrise Clinics", "Healthcare", "Nairobi", "Kenya"),
    ("Vulcan Steel Works", "Manufacturing", "Sheffield", "UK"),
    ("Bosphorus Logistics", "Transportation", "İstanbul", "Türkiye"),
    ("Aurora Games Oy", "Software", "Tampere", "Finland"),
    ("Tierra Verde Ltda.", "Agriculture", "Valparaíso", "Chile"),
    ("Daugava Timber SIA", "Construction", "Rīga", "Latvia"),
    ("Peninsula Telecom", "Telecommunications", "Cape Town", "South Africa"),
    ("Old Harbour Press", "Publishing", "Gdańsk", "Poland"),
    ("Lumière Cosmetics", "Retail", "Marseille", "France"),
)
FIRST_NAMES = (
    "Aoife", "Björn", "Camille", "Dagmar", "Eero", "Françoise", "Gonçalo", "Hanna", "İlker", "Jana", "Kacper", "Lucía",
    "Mårten", "Ngozi", "Olivia", "Piotr", "Quentin", "Ruža", "Søren", "Tomás", "Ursula", "Vojtěch", "Wanjiru",
    "Yuki", "Zoë",
)  # fmt: skip
LAST_NAMES = (
    "Andersson", "Brennan", "Čapek", "Duarte", "Ekström", "Fernández", "Gruber", "Håkansson", "Ishikawa", "Jović",
    "Kowalczyk", "Lefèvre", "Mäkinen", "Núñez", "O'Malley", "Pereira", "Quist", "Różycki", "Šimek", "Tanaka", "Übel",
    "Vasiljević", "Wójcik", "Aydoğan", "Zábranský",
)  # fmt: skip
TITLES = ("CEO", "Head of Purchasing", "IT Manager", "Marketing Director", "Office Manager", "Owner", "Sales Engineer")
SOURCES = ("Call", "Email", "Existing Customer", "Partner", "Public Relations", "Web Site", "Campaign", "Other")
LEAD_STATUSES = ("Assigned", "Assigned", "In Process", "In Process", "Recycled", "Dead", "New")
STAGES = ("Prospecting", "Qualification", "Proposal", "Negotiation", "Closed Won", "Closed Won", "Closed Lost")
PRODUCTS = ("pilot project", "annual licence", "maintenance", "training days", "extension", "replacement")
TASKS = (
    "Call back",
    "Send the offer",
    "Prepare the demo",
    "Check the contract",
    "Ask for a reference",
    "Plan the visit",
)
TARGET_LISTS = ("Spring newsletter", "Trade fair 2026", "Customers in Scandinavia")


def ensure_demo_data(sandbox: Sandbox, variables: Mapping[str, str]) -> bool:
    """Fill in the demo data, unless the database has it.

    :param variables: ids of the fixture's users
    :return: whether it was filled in now
    """
    if sandbox.storage.value('SELECT 1 FROM "Secret" WHERE name = ?', [MARK]):
        return False
    with sandbox.storage.transaction():
        DemoData(sandbox, variables).make()
        set_secret(sandbox.storage, MARK, "1")
    return True


class DemoData:
    """Makes the records, as the sales user."""

    def __init__(self, sandbox: Sandbox, variables: Mapping[str, str]) -> None:
        self._sandbox = sandbox
        self._storage = sandbox.storage
        self._sales_id = variables["sales_user_id"]
        self._user: CurrentUser = sandbox.directory.get(self._sales_id)
        self._chance = random.Random(SEED)  # noqa: S311 - sample data
        self._now = sandbox.storage.clock()
        self._names: set[str] = set()

    def make(self) -> None:
        """Make everything."""
        accounts = [self._account(*company) for company in COMPANIES]
        contacts = [self._contact(accounts[i % len(accounts)], COMPANIES[i % len(accounts)]) for i in range(60)]
        leads = [self._lead() for _ in range(80)]
        for i in range(20):
            self._opportunity(accounts[i], contacts[i])
        for i in range(24):
            self._task(leads[i * 3] if i % 2 else accounts[i], "Lead" if i % 2 else "Account")
        for i, name in enumerate(TARGET_LISTS):
            self._target_list(name, leads[i * 12 : i * 12 + 15], contacts[i * 8 : i * 8 + 10])

    def _create(self, entity_type: str, days_ago: float, values: Mapping[str, Any]) -> str:
        entity_def = self._storage.definitions[entity_type]
        record = self._sandbox.records.create(entity_def, values, self._user, skip_duplicate_check=True)
        created = self._now - dt.timedelta(days=days_ago, minutes=self._chance.randrange(600))
        modified = created + (self._now - created) * self._chance.random() * 0.8
        stamps = {
            "createdAt": f"{created:%Y-%m-%d %H:%M:%S}",
            "modifiedAt": f"{modified:%Y-%m-%d %H:%M:%S}",
            "streamUpdatedAt": f"{modified:%Y-%m-%d %H:%M:%S}",
        }
        self._storage.update(entity_type, record["id"], {k: v for k, v in stamps.items() if k in entity_def.attributes})
        record_id: str = record["id"]
        self._storage.execute(
            'UPDATE "Note" SET "createdAt" = ?, "modifiedAt" = ? WHERE "parentId" = ? OR "relatedId" = ?',
            [stamps["createdAt"], stamps["createdAt"], record_id, record_id],
        )
        return record_id

    def _days_ago(self) -> float:
        return self._chance.random() * DAYS

    def _day(self, first: int, last: int) -> str:
        return f"{self._now + dt.timedelta(days=self._chance.randint(first, last)):%Y-%m-%d}"

    def _person(self) -> tuple[str, str, str]:
        """First name, last name, and an e-mail name that nobody else has."""
        while True:
            first, last = self._chance.choice(FIRST_NAMES), self._chance.choice(LAST_NAMES)
            if f"{first} {last}" not in self._names:
                self._names.add(f"{first} {last}")
                return first, last, f"{plain(first)}.{plain(last)}"

    def _account(self, name: str, industry: str, city: str, country: str) -> str:
        domain = plain(name.split(" ", maxsplit=1)[0])
        values = {
            "name": name,
            "industry": industry,
            "type": self._chance.choice(("Customer", "Customer", "Partner", "Reseller", "Investor")),
            "website": f"https://www.{domain}.example",
            "emailAddress": f"info@{domain}.example",
            "billingAddressCity": city,
            "billingAddressCountry": country,
            "assignedUserId": self._sales_id,
        }
        return self._create("Account", DAYS + self._days_ago() / 4, values)

    def _contact(self, account_id: str, company: tuple[str, str, str, str]) -> str:
        first, last, mail = self._person()
        values = {
            "firstName": first,
            "lastName": last,
            "title": self._chance.choice(TITLES),
            "accountId": account_id,
            "emailAddress": f"{mail}@{plain(company[0].split(' ')[0])}.example",
            "addressCity": company[2],
            "addressCountry": company[3],
            "assignedUserId": self._sales_id,
        }
        return self._create("Contact", self._days_ago(), values)

    def _lead(self) -> str:
        first, last, mail = self._person()
        status = self._chance.choice(LEAD_STATUSES)
        values: dict[str, Any] = {
            "firstName": first,
            "lastName": last,
            "accountName": f"{last} {self._chance.choice(('& Co', 'Group', 'Consulting', 'Trading', 'Works'))}",
            "emailAddress": f"{mail}@mail.example",
            "status": status,
            "source": self._chance.choice(SOURCES),
            "industry": self._chance.choice(COMPANIES)[1],
            "title": self._chance.choice(TITLES),
            "addressCity": self._chance.choice(COMPANIES)[2],
        }
        if status != "New":
            values["assignedUserId"] = self._sales_id
        if self._chance.random() < 0.5:
            values["phoneNumber"] = "+49151" + "".join(self._chance.choice("0123456789") for _ in range(8))
        if self._chance.random() < 0.4:
            values |= {
                "opportunityAmount": self._chance.randrange(5, 400) * 100,
                "opportunityAmountCurrency": self._chance.choice(("USD", "EUR", "GBP")),
            }
        return self._create("Lead", self._days_ago(), values)

    def _opportunity(self, account_id: str, contact_id: str) -> None:
        stage = self._chance.choice(STAGES)
        closed = stage.startswith("Closed")
        values = {
            "name": f"{self._chance.choice(PRODUCTS).capitalize()} {self._now.year}",
            "accountId": account_id,
            "contactsIds": [contact_id],
            "amount": self._chance.randrange(10, 900) * 250,
            "amountCurrency": self._chance.choice(("USD", "EUR", "GBP")),
            "stage": stage,
            "leadSource": self._chance.choice(SOURCES),
            "closeDate": self._day(-60, -1) if closed else self._day(5, 90),
            "assignedUserId": self._sales_id,
        }
        self._create("Opportunity", self._days_ago(), values)

    def _task(self, parent_id: str, parent_type: str) -> None:
        status = self._chance.choice(("Not Started", "Started", "Completed", "Deferred"))
        values = {
            "name": self._chance.choice(TASKS),
            "status": status,
            "priority": self._chance.choice(("Low", "Normal", "Normal", "High", "Urgent")),
            "dateEnd": f"{self._day(-20, 30)} {self._chance.randrange(8, 18):02d}:00:00",
            "parentType": parent_type,
            "parentId": parent_id,
            "assignedUserId": self._sales_id,
        }
        self._create("Task", self._days_ago() / 4, values)

    def _target_list(self, name: str, lead_ids: Sequence[str], contact_ids: Sequence[str]) -> None:
        values = {"name": name, "assignedUserId": self._sales_id}
        list_id = self._create("TargetList", self._days_ago(), values)
        for link_name, ids in (("leads", lead_ids), ("contacts", contact_ids)):
            targets = relation(self._storage, "TargetList", link_name, list_id)
            for record_id in ids:
                targets.add(record_id)


def plain(text: str) -> str:
    """Lower-case ASCII letters of a text, for mail names and domains."""
    replaced = fold(text).replace("æ", "ae").translate(str.maketrans("øłıđ", "olid"))
    return "".join(c for c in replaced if c.isascii() and c.isalnum())
