"""Records of EspoCRM to files on a disk or in an object store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.operators.paths import file_at
from airflow_provider_espo.operators.tries import generation
from airflow_provider_espo.transfers import publishing
from airflow_provider_espo.transfers.extraction import ExtractionOperator
from airflow_provider_espo.transfers.publishing import DeletedMode, DriftMode, Place

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_espo.client.column_types.columns import Column
    from airflow_provider_espo.client.dataset.formats import FileFormat
    from airflow_provider_espo.client.dataset.manifest import Manifest
    from airflow_provider_espo.client.dataset.progress import Progress
    from airflow_provider_espo.client.extraction import Question
    from airflow_provider_espo.client.incremental import Watermark
    from airflow_provider_espo.hooks.espo import EspoHook
    from airflow_provider_espo.transfers.storing import Layout, Storing

RECORDS_PER_FILE = 100_000


class EspoToObjectStorageOperator(ExtractionOperator):
    """Extract records to files: NDJSON, CSV or Parquet, on a disk or in any object store.

    The records are read by id, several ranges side by side, and stored as they come: the memory needed does not grow
    with their number. A manifest, ``_manifest.json``, is written last. Whoever reads by it sees the whole result of a
    run; until then it names the last one's files, which stay.

    With ``incremental_by`` each run extracts what is new since the last one. The watermark is moved when the data are
    in place; what the lag makes a run look at again is left out if it was handed out as it is. It is kept in the
    state of the task's asset (Airflow 3.3, first outlet or else inlet), and otherwise in a Variable. With ``start`` or
    ``end``, for backfills, none is used, and the same data give the same files.

    With ``partition`` it is one of several mapped tasks, see :class:`EspoPlanPartitionsOperator`.

    Safe to retry: what an earlier try stored is kept, and a retry goes on behind it. A cleared task extracts anew.

    :param entity_type: such as ``Lead``. (templated)
    :param path: folder for the files: local path, URL of an object store (``s3://conn_id@bucket/key``), or
        ``ObjectStoragePath``. (templated)
    :param where: list of items as of :mod:`airflow_provider_espo.where`; all must hold. (templated)
    :param primary_filter: one of EspoCRM's filters, such as ``actual``. (templated)
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``. (templated)
    :param text_filter: text to search for, as in EspoCRM's search box. (templated)
    :param select: attributes, ``id`` comes along. By default all that the entity type itself holds: no names of linked
        records, no lists of ids, no stars. Attributes that only a single record shows (``emailAddressData``) may be
        named, at the cost of a request for each record. (templated)
    :param file_format: ``ndjson`` (default), ``csv``, or ``parquet``, which needs pyarrow. (templated)
    :param compression: ``gzip`` or ``None``. (templated)
    :param records_per_file: after how many records the next file begins.
    :param overwrite: replace the dataset of another run in this folder. Its files go when the new manifest is there.
    :param incremental_by: only what is new by this attribute since the last run: ``modifiedAt``, ``createdAt``, or
        ``number`` where that is an autoincrement.
    :param lag: how far a run looks back behind the end of the last one, for changes that were stored late and clocks
        that differ: seconds or a ``timedelta``, five minutes by default; for ``number`` how many numbers, 100 by
        default.
    :param start: with ``incremental_by``: only values from this on, such as ``{{ data_interval_start }}``. (templated)
    :param end: with ``incremental_by``: only values before this. (templated)
    :param watermark_key: name of the watermark; by default made of DAG, task, entity type and filter, so that another
        question begins anew. (templated)
    :param deleted: ``detect`` asks, after the records, which of all records that earlier runs came upon are no longer
        there or no longer match the filter, and writes tombstones; needs ``incremental_by`` without ``start`` and
        ``end``. ``ignore`` by default.
    :param schema_drift: what to do if the columns are not those of the last dataset: ``fail`` (default) or ``warn``.
    :param skip_if_empty: end as skipped where there is neither a record nor a tombstone; the empty dataset is there.
    :param page_size: records a request, the connection's by default. (templated)
    :param parts: ranges of ids that are read side by side, by default two for each of the connection's ``max_workers``,
        fewer where there are few records. (templated)
    :param partition: one of the dicts that :class:`EspoPlanPartitionsOperator` returned; the window is the plan's.
        (templated)
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"path", "manifest", "records", "files", "bytes", "deleted", "watermark", "action"}``: ``bytes`` of the
        files with records, ``deleted`` the number of tombstones, ``action`` ``written``, or ``taken_up`` where an
        earlier try had all done but for tidying up.
    :raises EspoInputError: before anything is written: an unknown format or compression, a target that exists without
        ``overwrite``, columns that drifted, an attribute in ``incremental_by`` that does not exist, is not shown or
        not ordered by.
    :raises EspoUnknownNameError: the server does not have the entity type or a name in ``select``.
    :raises EspoStorageError: a file cannot be written, or went while the task was at work; what was complete before
        stays.
    """

    result_has_parts = True
    writes_files = ("path",)
    template_fields: Sequence[str] = (
        *ExtractionOperator.template_fields,
        "path",
        "file_format",
        "compression",
    )

    def __init__(
        self,
        *,
        path: str | ObjectStoragePath,
        file_format: Literal["ndjson", "csv", "parquet"] = "ndjson",
        compression: Literal["gzip"] | None = None,
        records_per_file: int = RECORDS_PER_FILE,
        overwrite: bool = False,
        deleted: DeletedMode = "ignore",
        schema_drift: DriftMode = "fail",
        skip_if_empty: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.file_format = file_format
        self.compression = compression
        self.records_per_file = records_per_file
        self.overwrite = overwrite
        self.deleted = deleted
        self.schema_drift = schema_drift
        self.skip_if_empty = skip_if_empty

    def execute(self, context: Context) -> dict[str, Any]:
        """Extract."""
        from airflow_provider_espo.client.dataset.folder import Folder

        file_format = self._checked()
        place = Place(folder=Folder(file_at("path", self.path)), entity_type=self.entity_type, overwrite=self.overwrite)
        with self.hook as hook:
            if self.partition is not None:
                from airflow_provider_espo.transfers.mapped import extract_partition

                return extract_partition(self, hook, context, place=place, file_format=file_format)
            result = self._extract(hook, context, place, file_format)
        if self.skip_if_empty:
            publishing.skip_empty(result)
        return result

    def layout(
        self, place: Place, file_format: FileFormat, columns: tuple[Column, ...], run: str, partition: int | None = None
    ) -> Layout:
        """Return how the records are stored."""
        from airflow_provider_espo.client.dataset.names import FileNames
        from airflow_provider_espo.transfers.storing import Layout

        return Layout(
            folder=place.folder,
            names=FileNames(self.entity_type, run, partition),
            file_format=file_format,
            columns=columns,
            records_per_file=self.records_per_file,
            keeps_ids=self.deleted == "detect",
        )

    def fingerprint(self, question: Question, layout: Layout, *more: object) -> str:
        """Return a checksum of all that the files depend on: what was stored for something else is no use.

        :param question: without its window.
        :param layout: how the records are stored.
        :param more: what else they depend on.
        """
        facts = [
            question.fingerprint(),
            [column.to_dict() for column in layout.columns],
            [layout.file_format.name, layout.file_format.compression, layout.records_per_file, layout.keeps_ids],
            *map(str, more),
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def store(self, hook: EspoHook, question: Question, storing: Storing) -> None:
        """Read and store what is left of all parts.

        :param hook: hook over the connection.
        :param question: without its window.
        :param storing: the dataset in the making.
        """
        window = storing.window
        asked = question if window is None else question.narrowed(*window.where())
        parts = storing.parts_left
        self.log.info(
            "%d of %d parts are left to be read%s",
            len(parts),
            len(storing.progress.parts),
            "" if window is None else f"; {window.by} from {window.low} up to {window.high}",
        )
        try:
            self.run_parts(hook, asked, parts, storing.sink_of, storing.after())
        except BaseException:
            storing.discard()
            raise

    def _checked(self) -> FileFormat:
        """Check what needs no server."""
        from airflow_provider_espo.client.dataset.formats import FileFormat

        file_format = FileFormat.of(self.file_format, self.compression)
        publishing.one_of("deleted", self.deleted, get_args(DeletedMode))
        publishing.one_of("schema_drift", self.schema_drift, get_args(DriftMode))
        number = self.records_per_file
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise EspoInputError("records_per_file is not a whole number from 1 up")
        if self.deleted == "detect" and self.partition is None and not self.keeps_watermark:
            raise EspoInputError(
                "Deleted records are found by comparing with the run before, and there is none",
                hint="Give incremental_by without start and end, or deleted='ignore'",
            )
        return file_format

    def _extract(self, hook: EspoHook, context: Context, place: Place, file_format: FileFormat) -> dict[str, Any]:
        from airflow_provider_espo.client.column_types.columns import columns_of
        from airflow_provider_espo.client.dataset.progress import Progress
        from airflow_provider_espo.client.incremental import Window
        from airflow_provider_espo.transfers.storing import Storing
        from airflow_provider_espo.transfers.watermarks import WatermarkStore, watermark_key

        question, schema = self.ask(hook, self.select)
        layout = self.layout(place, file_format, columns_of(schema, question.columns), run_of(context))
        store = None
        if self.keeps_watermark:
            key = self.watermark_key or watermark_key(context, question, str(self.incremental_by))
            store = WatermarkStore(context, key)
        previous = place.previous(layout.names.tag)
        if previous is not None and previous.run == layout.names.tag:
            self.log.info("An earlier try of this task had written all of it")
            place.publish(previous, store)
            return publishing.result_of(place.folder, previous, "taken_up")
        last = None if store is None else store.read(str(self.incremental_by))
        old = previous.columns if previous is not None else publishing.columns_before(last, self.entity_type)
        self._check_drift(old, layout.columns)
        bounds = (self.incremental_by, self.lag, self.start, self.end, self.parts, self.page_size)
        progress = Progress.take_up(place.folder, layout.names, self.fingerprint(question, layout, *bounds))
        if progress.parts:
            last = self._last_of(progress)
        else:
            self._plan(hook, question, progress, last)
        window = Window.from_dict(progress.notes["window"]) if progress.notes.get("window") else None
        seen = None
        if last is not None and (seen := publishing.seen_before(last, self.entity_type)) is None:
            self.log.warning(
                "What the last run handed out is not there any more: of the records that it and this one look at, all "
                "come once more"
            )
        known = None
        if layout.keeps_ids and last is not None and store is not None:
            known = publishing.ids_before(last, self.entity_type, store.key)
        storing = Storing(layout=layout, progress=progress, window=window, seen=seen)
        self.store(hook, question, storing)
        manifest = self._write_manifest(hook, question, storing, known)
        place.publish(manifest, store)
        return publishing.result_of(place.folder, manifest, "written")

    def _plan(self, hook: EspoHook, question: Question, progress: Progress, last: Watermark | None) -> None:
        """Settle what all tries of this run do."""
        window = self.window(hook, question, None if last is None else last.value)
        parts = self.plan(hook, question if window is None else question.narrowed(*window.where()))
        progress.plan(
            parts,
            window=None if window is None else window.as_dict(),
            last=None if last is None else last.as_dict(),
        )

    def _last_of(self, progress: Progress) -> Watermark | None:
        from airflow_provider_espo.client.incremental import Watermark

        self.log.info("Going on where an earlier try ended: %d files are there", len(progress.files))
        last = progress.notes.get("last")
        return None if last is None else Watermark.from_dict(last, str(self.incremental_by))

    def _check_drift(self, old: tuple[Column, ...] | None, new: tuple[Column, ...]) -> None:
        if old is not None and (drift := publishing.check_drift(old, new, self.schema_drift)):
            self.log.warning("The columns are not those of the last dataset: %s", drift)

    def _write_manifest(
        self, hook: EspoHook, question: Question, storing: Storing, known: Iterable[str] | None
    ) -> Manifest:
        """Make what was stored the folder's dataset.

        :param known: ids that the last run kept; ``None`` if nothing is to be compared with.
        """
        from airflow_provider_espo.client.dataset.manifest import PartEntry
        from airflow_provider_espo.transfers.deletions import find_deletions
        from airflow_provider_espo.transfers.storing import IDS

        layout, progress = storing.layout, storing.progress
        with publishing.lost_meanwhile(layout.folder):
            sidecars = {purpose: (storing.merged(purpose),) for purpose in storing.purposes}
        deleted: tuple[Any, ...] = ()
        if known is not None:
            found = find_deletions(
                hook,
                question,
                layout=layout,
                known=known,
                new=sidecars[IDS][0],
                detected_at=publishing.moment_of(storing.window),
            )
            deleted, sidecars[IDS] = found.files, (found.ids,)
            self.log.info("%d records are gone", found.count)
        parts = [
            PartEntry(part=part, records=sum(file.records for file in progress.files_of(part.number)))
            for part in progress.parts
        ]
        manifest = publishing.manifest_of(
            layout,
            fingerprint=question.fingerprint(),
            window=storing.window,
            parts=parts,
            files=progress.files,
            deleted=deleted,
            sidecars=sidecars,
        )
        with publishing.lost_meanwhile(layout.folder):
            manifest.write(layout.folder)
        self.log.info("%d records in %d files", manifest.records, len(manifest.files))
        return manifest


def run_of(context: Context) -> str:
    """Return the tag of a task instance: the same for all its tries until it is cleared, or its DAG run made anew.

    :param context: Airflow's context.
    """
    from airflow_provider_espo.client.dataset.names import tag_of

    ti, task_id = context["ti"], context["task"].task_id
    # A DAG run that was deleted and made again has the same id and does its work anew; it began at another time.
    began = getattr(context["dag_run"], "start_date", None)
    instance = (ti.dag_id, ti.run_id, task_id, getattr(ti, "map_index", -1), generation(context))
    return tag_of(*instance, None if began is None else began.isoformat())
