"""What the front end calls entity types, fields and options, worked out from their names."""

from __future__ import annotations

import re

#: Labels that do not follow from the name.
FIELD_LABELS = {
    "emailAddress": "Email",
    "phoneNumber": "Phone",
    "createdAt": "Created At",
    "modifiedAt": "Modified At",
    "createdBy": "Created By",
    "modifiedBy": "Modified By",
    "assignedUser": "Assigned User",
    "id": "ID",
}
TYPE_LABELS = {"KnowledgeBaseArticle": "Knowledge Base Article", "TargetList": "Target List"}
PLURALS = {"Opportunity": "Opportunities", "KnowledgeBaseArticle": "Knowledge Base Articles"}


def words(name: str) -> str:
    """``closeDate`` as ``Close Date``."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return parted[:1].upper() + parted[1:]


def field_label(name: str) -> str:
    """Label of a field."""
    return FIELD_LABELS.get(name) or words(name)


def type_label(entity_type: str) -> str:
    """Label of one record of a type."""
    return TYPE_LABELS.get(entity_type) or words(entity_type)


def type_plural(entity_type: str) -> str:
    """Label of several records of a type."""
    return PLURALS.get(entity_type) or f"{type_label(entity_type)}s"
