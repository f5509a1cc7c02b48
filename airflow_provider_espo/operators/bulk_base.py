"""How a bulk write works as a task: its memory, its result files, its rows in chunks."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from airflow_provider_espo import compat
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.links.espo import EspoListLink
from airflow_provider_espo.operators.base import EspoOperator
from airflow_provider_espo.operators.paths import file_at
from airflow_provider_espo.operators.tries import earlier_tries_since, generation

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_espo.client.bulk.memory import Memory
    from airflow_provider_espo.client.bulk.results import ResultFiles
    from airflow_provider_espo.client.bulk.work import BulkWrite
    from airflow_provider_espo.hooks.espo import EspoHook
    from airflow_provider_espo.operators.bulk_sources import Source

WriteOperation: TypeAlias = Literal["create", "update", "upsert", "delete"]
Columns: TypeAlias = "Mapping[str, str | None] | Sequence[str] | None"


class BulkWriteTask(EspoOperator):
    """Base of tasks that write many rows; what its arguments mean is said there."""

    operator_extra_links = (EspoListLink(),)
    result_has_parts = True
    writes = ("entity_type",)
    template_fields: Sequence[str] = (
        "espo_conn_id",
        "entity_type",
        "operation",
        "columns",
        "match_by",
        "on_duplicate",
        "route",
        "max_failures",
        "results_path",
    )
    template_fields_renderers = {"columns": "json"}

    def __init__(
        self,
        *,
        entity_type: str,
        operation: WriteOperation,
        columns: Columns = None,
        match_by: Sequence[str] | None = None,
        on_duplicate: Literal["fail", "skip", "update", "force"] = "fail",
        route: Literal["auto", "records", "import", "mass_action"] = "auto",
        chunk_size: int = 500,
        max_failures: float | str | None = 0,
        results_path: str | ObjectStoragePath | None = None,
        overwrite: bool = False,
        validate: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.entity_type = entity_type
        self.operation = operation
        self.columns = columns
        self.match_by = match_by
        self.on_duplicate = on_duplicate
        self.route = route
        self.chunk_size = chunk_size
        self.max_failures = max_failures
        self.results_path = results_path
        self.overwrite = overwrite
        self.validate = validate
        self._killed = False

    @abstractmethod
    def open_source(self) -> Source:
        """Return the rows; what is wrong with where they come from is said here, before the CRM is asked."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Write the rows."""
        self._check()
        source = self.open_source()
        with self.hook as hook:
            work = self._work(hook, source, context)
            since = None
            if compat.task_state_store(context) is None and work.results is None:
                since = earlier_tries_since(context, "bulk")
            result = work.write(source.rows, earlier_since=since)
        return {**result, "results_path": None if self.results_path is None else str(self.results_path)}

    def on_kill(self) -> None:
        """Begin no other chunk."""
        self._killed = True
        self.log.warning("The task was killed. What is under way is finished by EspoCRM; a retry looks for it")

    def _check(self) -> None:
        """Refuse what can be told to be wrong without asking anybody."""
        from airflow_provider_espo.client.bulk.chunks import check_chunk_size
        from airflow_provider_espo.client.bulk.limits import FailureLimit
        from airflow_provider_espo.client.bulk.routes import check_route
        from airflow_provider_espo.client.bulk.shaping import Shaping
        from airflow_provider_espo.client.operations.bulk import check_operation
        from airflow_provider_espo.client.operations.keys import check_match_names
        from airflow_provider_espo.client.operations.records import check_on_duplicate

        check_operation(self.operation)
        check_route(self.route)
        check_on_duplicate(self.on_duplicate)
        check_chunk_size(self.chunk_size)
        FailureLimit.of(self.max_failures)
        Shaping(self.columns)
        if self.match_by is not None:
            check_match_names(self.match_by)
        elif self.operation == "upsert" or self.on_duplicate in ("skip", "update"):
            raise EspoInputError(
                f"operation={self.operation!r} wants match_by here",
                hint="Give the attributes that make the key, such as ['emailAddress']",
            )
        if self.operation != "create" and self.on_duplicate != "fail":
            raise EspoInputError("on_duplicate goes with operation='create' only")

    def _work(self, hook: EspoHook, source: Source, context: Context) -> BulkWrite:
        from airflow_provider_espo.client.bulk.limits import FailureLimit
        from airflow_provider_espo.client.bulk.preparing import Preparing
        from airflow_provider_espo.client.bulk.routes import check_route
        from airflow_provider_espo.client.bulk.shaping import Shaping
        from airflow_provider_espo.client.bulk.work import BulkWrite
        from airflow_provider_espo.client.bulk.writer import Writer
        from airflow_provider_espo.client.operations.bulk import default_match_by
        from airflow_provider_espo.client.operations.keys import MatchKey, check_match_names
        from airflow_provider_espo.client.operations.schema import checked_schema
        from airflow_provider_espo.client.wire import entity_type_segment

        entity_type = entity_type_segment(self.entity_type)
        names = check_match_names(self.match_by if self.match_by is not None else default_match_by(self.operation))
        results = self._results()
        run, run_began = self._run(context)
        memory = self._memory(context, results)
        if results is not None:
            self._check_folder(results, memory, run, run_began)
        schema = hook.run(checked_schema(hook.state, entity_type, lambda it: it)) if self.validate else None
        key = MatchKey(hook.state, entity_type, names, schema)
        keyed = self.match_by is not None
        return BulkWrite(
            writer=Writer(hook, key, self.operation, keyed, self.on_duplicate, check_route(self.route)),
            preparing=Preparing(
                key,
                self.operation,
                keyed or self.operation != "create",
                Shaping(self.columns, texts=source.texts),
            ),
            memory=memory,
            results=results,
            limit=FailureLimit.of(self.max_failures),
            chunk_size=self.chunk_size,
            run=run,
            task=self._fingerprint(names),
            log=self.log,  # type: ignore[arg-type]  # a structlog logger, which takes what logging's takes
            stopped=lambda: self._killed,
            run_began=run_began,
        )

    def _results(self) -> ResultFiles | None:
        if self.results_path is None:
            return None
        from airflow_provider_espo.client.bulk.results import ResultFiles
        from airflow_provider_espo.client.dataset.folder import Folder

        return ResultFiles(Folder(file_at("results_path", self.results_path)))

    def _memory(self, context: Context, results: ResultFiles | None) -> Memory:
        from airflow_provider_espo.client.bulk.memory import FolderMemory, NoMemory, StoreMemory

        if results is not None:
            return FolderMemory(results.folder)
        store = compat.task_state_store(context)
        return NoMemory() if store is None else StoreMemory(store, f"espo_bulk_{generation(context)}")

    def _run(self, context: Context) -> tuple[str, str | None]:
        """Return the task instance, until it is cleared, and when its DAG run began."""
        ti = context["ti"]
        place = [ti.dag_id, ti.run_id, self.task_id, str(getattr(ti, "map_index", -1))]
        began = getattr(context.get("dag_run"), "start_date", None)
        return "/".join(place) + f"#{generation(context)}", None if began is None else began.isoformat()

    def _check_folder(self, results: ResultFiles, memory: Memory, run: str, run_began: str | None) -> None:
        """Refuse a folder with the results of another run; those of this task before it was cleared are removed."""
        known = memory.load()
        if known is not None and known.is_of(run, run_began):
            return
        if known is None and not results.is_used():
            return
        cleared = known is not None and known.run.rpartition("#")[0] == run.rpartition("#")[0]
        if not (self.overwrite or cleared):
            raise EspoInputError(
                f"{results.folder} holds the results of another run",
                hint="Give each run its own, such as .../{{ run_id }}, or set overwrite=True",
            )
        results.clear()

    def _fingerprint(self, names: Sequence[str]) -> str:
        """Checksum of what decides which rows are in which chunk, and what is done to them."""
        columns = dict(self.columns) if isinstance(self.columns, Mapping) else self.columns and list(self.columns)
        facts = [self.entity_type, self.operation, list(names), self.on_duplicate, self.chunk_size, columns]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
