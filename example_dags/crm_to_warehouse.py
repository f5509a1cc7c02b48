"""Keep a warehouse in step with the CRM, and see there what the sales team has in hand.

Every hour the opportunities that changed since the last run are upserted into a table, and rows of deleted ones are
marked; the accounts, of which there are few, are replaced as a whole; of the contacts, of which there may be a million,
mapped tasks upsert a part each, on as many workers as there are. The tables are made by the CRM's metadata, and a field
that somebody adds to the opportunities gets a column. Then plain SQL counts what is open, by customer.

The connection may be to any database that Airflow has a provider for.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import Asset, Param, dag

from airflow_provider_espo.transfers.partitions import EspoPlanPartitionsOperator
from airflow_provider_espo.transfers.sql import EspoToSqlOperator

WAREHOUSE = "{{ params.warehouse }}"

#: Keeps the watermark (Airflow 3.3 and later), and lets other DAGs run when the table has news.
OPPORTUNITIES = Asset("crm_opportunities_in_warehouse")

#: Mapped tasks keep no watermark: each run takes what changed between the start of the last one that succeeded and its
#: own, and of the five minutes before, for clocks that differ. Rows that are written again are the same. The first run
#: takes all. Rows of deleted contacts stay: only a task that knows all of a table's records can tell which they are.
CONTACTS_SINCE = """{{
    (prev_start_date_success - macros.timedelta(minutes=5)).isoformat() if prev_start_date_success else "2000-01-01"
}}"""

OPEN_BY_CUSTOMER = """
    SELECT crm_account.name AS customer, COUNT(*) AS number, SUM(crm_opportunity.amount_converted) AS amount,
        (SELECT COUNT(*) FROM crm_contact WHERE crm_contact.account_id = crm_account.id) AS contacts
    FROM crm_opportunity LEFT JOIN crm_account ON crm_account.id = crm_opportunity.account_id
    WHERE crm_opportunity.stage NOT IN ('Closed Won', 'Closed Lost') AND crm_opportunity.espo_deleted_at IS NULL
    GROUP BY crm_account.id, crm_account.name ORDER BY amount DESC
"""


@dag(
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Runs that go by one watermark follow each other.
    max_active_runs=1,
    tags=["espo", "example"],
    doc_md=__doc__,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=30)},
    params={"warehouse": Param("warehouse", type="string", title="Airflow connection to the database")},
)
def crm_to_warehouse() -> None:
    """See the module's text."""
    opportunities = EspoToSqlOperator(
        task_id="opportunities",
        entity_type="Opportunity",
        sql_conn_id=WAREHOUSE,
        table="crm_opportunity",
        column_names="snake",
        incremental_by="modifiedAt",
        deleted="mark",
        add_columns=True,
        outlets=[OPPORTUNITIES],
    )
    accounts = EspoToSqlOperator(
        task_id="accounts",
        entity_type="Account",
        sql_conn_id=WAREHOUSE,
        table="crm_account",
        column_names="snake",
        mode="replace",
        select=["name", "type", "industry", "teamsIds", "modifiedAt"],
    )
    plan = EspoPlanPartitionsOperator(
        task_id="plan",
        entity_type="Contact",
        partitions=4,
        min_records=500,
        incremental_by="modifiedAt",
        start=CONTACTS_SINCE,
        end="{{ dag_run.start_date }}",
    )
    contacts = EspoToSqlOperator.partial(
        task_id="contacts",
        entity_type="Contact",
        sql_conn_id=WAREHOUSE,
        table="crm_contact",
        column_names="snake",
        select=["name", "accountId", "assignedUserId", "createdAt", "modifiedAt"],
    ).expand(partition=plan.output)
    in_hand = SQLExecuteQueryOperator(task_id="in_hand", conn_id=WAREHOUSE, sql=OPEN_BY_CUSTOMER)
    [opportunities, accounts, contacts] >> in_hand


crm_to_warehouse()
