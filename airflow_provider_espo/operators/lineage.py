"""What a task read and wrote: counts for asset events, datasets for OpenLineage. Loaded by running tasks only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow_provider_espo.client.asset_uri import SCHEME, asset_uri, namespace_and_name

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider_espo.client.config import ClientConfig
    from airflow_provider_espo.operators.base import EspoTask

#: Numbers of records that results hold.
_NUMBERS = (
    "count",
    "expected",
    "created",
    "updated",
    "unchanged",
    "deleted",
    "skipped",
    "missing",
    "failed",
    "duplicates",
    "linked",
    "unlinked",
    "followed",
    "unfollowed",
)
#: Those among them that say that something was changed, where there is no count.
_CHANGES = ("created", "updated", "deleted", "linked", "unlinked", "followed", "unfollowed")
#: Databases that OpenLineage calls otherwise than SQLAlchemy, and the ports they have by themselves.
_BACKENDS: Mapping[str, str] = {"postgresql": "postgres", "mariadb": "mysql"}
_PORTS: Mapping[str, int] = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
#: Actions that changed nothing.
_IDLE = frozenset({"unchanged", "skipped", "missing"})
#: Numbers of what went out of the CRM: records, files, bytes (``size`` of one file), and records found deleted.
_WENT_OUT = ("records", "files", "bytes", "size", "deleted")
#: What else is remembered of a result: ids, and where files are. Never values of records.
_REMEMBERED = ("id", "action", "job_id", "lead_id", "account_id", "contact_id", "opportunity_id", "path", "dry_run")


def facts_of(result: object, *, is_record: bool) -> dict[str, Any]:
    """Return what links and lineage need of a task's result: numbers, ids and paths.

    :param result: what the task returned.
    :param is_record: whether a dict is a record of EspoCRM and not the provider's own summary.
    """
    if isinstance(result, list):
        return {"count": len(result)}
    if not isinstance(result, Mapping):
        return {}
    if is_record:
        return {"id": result.get("id"), "count": 1}
    facts = {name: result[name] for name in _REMEMBERED if name in result}
    facts |= {name: result[name] for name in (*_NUMBERS, *_WENT_OUT) if _is_number(result.get(name))}
    if isinstance(notes := result.get("note_ids"), list):
        facts["count"] = len(notes)
    return facts


def counts_of(facts: Mapping[str, Any]) -> dict[str, int]:
    """Return how many records a task changed (``count``), and what became of how many.

    :param facts: as :func:`facts_of` gives them.
    """
    counts = {name: facts[name] for name in _NUMBERS if name in facts}
    if facts.get("dry_run"):
        return {"count": 0}
    if (action := facts.get("action")) is not None:
        return {"count": int(action not in _IDLE), str(action): 1}
    if "count" not in counts and (known := [counts[name] for name in _CHANGES if name in counts]):
        counts = {"count": sum(known), **counts}
    return counts


def tell_outlets(task: EspoTask, context: Context) -> None:
    """Put into the events of the task's outlets what was done to how many records, or to which one.

    Outlets of EspoCRM are told what was written to their entity type. Others are told what went out to them, by a task
    that writes to nothing in EspoCRM.

    :param task: a task that is done.
    :param context: Airflow's context.
    """
    events: Any = context.get("outlet_events")
    if events is None:
        return
    from airflow.sdk import Asset

    facts = task.facts or {}
    written = task.records_written()
    went_out = {name: facts[name] for name in _WENT_OUT if name in facts} if not task.writes else {}
    for outlet in getattr(task, "outlets", None) or ():
        if not isinstance(outlet, Asset):
            continue
        if not outlet.uri.startswith(f"{SCHEME}://"):
            events[outlet].extra.update(went_out)
            continue
        entity_type = namespace_and_name(outlet.uri)[1]
        if entity_type in task.may_write and entity_type not in written:
            events[outlet].extra["count"] = 0
        if counts := written.get(entity_type):
            events[outlet].extra.update(counts)
            if facts.get("id") is not None:
                events[outlet].extra["id"] = facts["id"]


def entity_types(task: EspoTask, names: Iterable[str]) -> list[str]:
    """Return the entity types that a task names as what it reads or writes.

    :param task: the task.
    :param names: its ``reads`` or ``writes``.
    """
    found = [name if name[:1].isupper() else _entity_type_in(task, name) for name in names]
    return [one for one in dict.fromkeys(found) if one]


def _entity_type_in(task: EspoTask, attribute: str) -> str | None:
    value = getattr(task, attribute, None)
    if attribute != "link":
        return value if isinstance(value, str) and value else None
    schema = _schema(task, getattr(task, "entity_type", None))
    link = None if schema is None else schema.links.get(value)
    return None if link is None else link.entity_type


def facets(task: EspoTask) -> Any:
    """Return what OpenLineage is told about a task; ``None`` where it is not there.

    Asks nobody: OpenLineage calls it in a process of its own, which cannot talk to Airflow. So a task that ended before
    it got its connection has no datasets of EspoCRM.

    :param task: a task that has run.
    """
    try:
        from airflow.providers.common.compat.openlineage.facet import InputDataset, OutputDataset
        from airflow.providers.openlineage.extractors import OperatorLineage
    except ImportError:
        return None
    facts = task.facts or {}
    read = facts.get("count", facts.get("records"))
    inputs = [InputDataset(**one, inputFacets=_statistics(read, read=True)) for one in _of_espo(task, task.reads)]
    inputs += [InputDataset(**one) for one in _files(task, task.reads_files)]
    written = task.records_written()
    outputs = [
        OutputDataset(**one, outputFacets=_statistics(written[one["name"]].get("count")))
        for one in _of_espo(task, written)
    ]
    went_out = _statistics(facts.get("records"), size=facts.get("bytes", facts.get("size")))
    outputs += [
        OutputDataset(**one, outputFacets=went_out) for one in (*_files(task, task.writes_files), *task.tables_written)
    ]
    return OperatorLineage(inputs=inputs, outputs=outputs)


def _of_espo(task: EspoTask, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    config = _config(task)
    if config is None:
        return
    for entity_type in entity_types(task, names):
        namespace, name = namespace_and_name(asset_uri(config.site_url, entity_type))
        yield {"namespace": namespace, "name": name, "facets": _schema_facet(task, entity_type)}


def _config(task: EspoTask) -> ClientConfig | None:
    hook = vars(task).get("hook")
    config: ClientConfig | None = None if hook is None else hook.known_config
    return config


def _schema(task: EspoTask, entity_type: object) -> Any:
    config = _config(task)
    if config is None:
        return None
    from airflow_provider_espo.client.state import shared_state

    return shared_state(config).schemas.get(str(entity_type))


def _schema_facet(task: EspoTask, entity_type: str) -> dict[str, Any]:
    schema = _schema(task, entity_type)
    if schema is None:
        return {}
    from airflow.providers.common.compat.openlineage.facet import SchemaDatasetFacet, SchemaDatasetFacetFields

    fields = [
        SchemaDatasetFacetFields(name=one.name, type=one.kind)
        for one in sorted(schema.attributes.values(), key=lambda one: str(one.name))
    ]
    return {"schema": SchemaDatasetFacet(fields=fields)}


def _statistics(count: int | None, *, size: int | None = None, read: bool = False) -> dict[str, Any]:
    if count is None and size is None:
        return {}
    if read:
        try:
            from openlineage.client.generated.input_statistics_input_dataset import InputStatisticsInputDatasetFacet
        except ImportError:  # an older client of OpenLineage
            return {}
        return {"inputStatistics": InputStatisticsInputDatasetFacet(rowCount=count)}
    from airflow.providers.common.compat.openlineage.facet import OutputStatisticsOutputDatasetFacet

    return {"outputStatistics": OutputStatisticsOutputDatasetFacet(rowCount=count, size=size)}


def _files(task: EspoTask, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    for name in names:
        # Of a folder the result says which file it became.
        path = (task.facts or {}).get(name) or getattr(task, name, None)
        if path:
            yield file_dataset(str(path))


def file_dataset(path: str) -> dict[str, str]:
    """Return namespace and name of a file, as OpenLineage names it.

    :param path: local path, or URL of an object store; the connection's id in it stays out.
    """
    if "://" not in path:
        from pathlib import Path

        return {"namespace": "file://", "name": str(Path(path).absolute())}
    parts = urlsplit(path)
    if parts.scheme == "file":
        return {"namespace": f"file://{parts.netloc}", "name": parts.path or "/"}
    return {"namespace": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", "name": parts.path.lstrip("/") or "/"}


def table_dataset(engine: Any, table: str, schema: str | None) -> dict[str, str]:
    """Return namespace and name of a table, as OpenLineage names it.

    :param engine: SQLAlchemy's engine, which has talked to the database.
    :param table: name of the table.
    :param schema: its schema; the database's own by default.
    """
    url, backend = engine.url, engine.url.get_backend_name()
    schema = schema or getattr(engine.dialect, "default_schema_name", None)
    # In MySQL and its like a schema is a database.
    parts = (schema or url.database, table) if backend in ("mysql", "mariadb") else (url.database, schema, table)
    port = url.port or _PORTS.get(backend)
    host = "" if url.host is None else f"{url.host}:{port}" if port else url.host
    name = ".".join(str(part) for part in parts if part)
    return {"namespace": f"{_BACKENDS.get(backend, backend)}://{host}", "name": name}


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
