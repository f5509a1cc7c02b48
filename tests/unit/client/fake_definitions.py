"""Entity types of the fake EspoCRM, as ``entityDefs`` of its metadata."""

from __future__ import annotations

from typing import Any

READ_ONLY = {
    "createdAt": {"type": "datetime", "readOnly": True},
    "modifiedAt": {"type": "datetime", "readOnly": True},
    "createdBy": {"type": "link", "readOnly": True},
}
PERSON = {
    "name": {"type": "personName"},
    "firstName": {"type": "varchar"},
    "lastName": {"type": "varchar"},
    "emailAddress": {"type": "email"},
    "phoneNumber": {"type": "phone"},
    "description": {"type": "text"},
    "teams": {"type": "linkMultiple"},
    **READ_ONLY,
}
MANY_TEAMS = {"teams": {"type": "hasMany", "entity": "Team"}}
DEFINITIONS: dict[str, Any] = {
    "Lead": {
        "fields": {
            **PERSON,
            "status": {"type": "enum", "options": ["New", "Assigned", "Dead"]},
            "accountName": {"type": "varchar"},
            "website": {"type": "url"},
            "opportunityAmount": {"type": "currency"},
            "doNotCall": {"type": "bool"},
            "importKey": {"type": "varchar", "readOnlyAfterCreate": True},
            "employees": {"type": "int"},
        },
        "links": {
            **MANY_TEAMS,
            "targetLists": {"type": "hasMany", "entity": "TargetList", "foreign": "leads"},
            "createdAccount": {"type": "belongsTo", "entity": "Account"},
        },
    },
    "Contact": {
        "fields": {**PERSON, "account": {"type": "link"}},
        "links": {**MANY_TEAMS, "account": {"type": "belongsTo", "entity": "Account", "foreign": "contacts"}},
    },
    "Account": {
        "fields": {
            "name": {"type": "varchar"},
            "type": {"type": "enum"},
            "website": {"type": "url"},
            **READ_ONLY,
        },
        "links": {"contacts": {"type": "hasMany", "entity": "Contact", "foreign": "account"}},
    },
    "TargetList": {
        "fields": {"name": {"type": "varchar"}, **READ_ONLY},
        "links": {"leads": {"type": "hasMany", "entity": "Lead", "foreign": "targetLists"}},
    },
    "Case": {
        "fields": {"name": {"type": "varchar"}, "number": {"type": "autoincrement"}, **READ_ONLY},
        "links": {},
    },
    "CInvoice": {
        "fields": {"name": {"type": "varchar"}, "number": {"type": "varchar"}, **READ_ONLY},
        "links": {},
    },
    "Email": {"fields": {"name": {"type": "varchar"}, **READ_ONLY}, "links": {}},
}
