"""An entity type with a field of each sort, and values for it."""

from __future__ import annotations

from datetime import datetime

from hypothesis import strategies as st

from airflow_provider_espo.client.schema import EntitySchema

DEAL = EntitySchema.from_entity_defs(
    "Deal",
    {
        "fields": {
            "name": {"type": "varchar"},
            "description": {"type": "text"},
            "stage": {"type": "enum", "options": ["", "Open", "Won"]},
            "count": {"type": "int"},
            "ratio": {"type": "float"},
            "amount": {"type": "currency"},
            "price": {"type": "decimal", "scale": 2},
            "urgent": {"type": "bool"},
            "closeDate": {"type": "date"},
            "sentAt": {"type": "datetime"},
            "dateEnd": {"type": "datetimeOptional"},
            "account": {"type": "link"},
            "parent": {"type": "linkParent"},
            "contacts": {"type": "linkMultiple", "columns": {"role": "dealRole"}},
            "tags": {"type": "multiEnum"},
            "settings": {"type": "jsonObject"},
            "emailAddress": {"type": "email"},
            "phoneNumber": {"type": "phone"},
            "externalKey": {"type": "varchar", "readOnlyAfterCreate": True},
        },
        "links": {},
    },
)


def clock(*parts: int) -> datetime:
    """What a clock shows, without a zone."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


#: Points in time, with a zone and without.
points_in_time = st.datetimes(clock(1000, 1, 1), clock(9000, 1, 1)) | st.datetimes(
    clock(1000, 1, 1), clock(9000, 1, 1), timezones=st.timezones()
)
