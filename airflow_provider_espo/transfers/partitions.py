"""One extraction over several workers: a plan, tasks mapped over it, and a last task that checks that all is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from airflow_provider_espo import compat
from airflow_provider_espo.client.errors import EspoInputError
from airflow_provider_espo.operators.paths import file_at
from airflow_provider_espo.operators.rendered import whole_number
from airflow_provider_espo.transfers import publishing
from airflow_provider_espo.transfers.extraction import FilteringOperator, SelectingOperator, cut_into_parts
from airflow_provider_espo.transfers.object_storage import RECORDS_PER_FILE, run_of
from airflow_provider_espo.transfers.publishing import DeletedMode, DriftMode, Place

if TYPE_CHECKING:
    from airflow.sdk import Context, ObjectStoragePath

    from airflow_provider_espo.client.dataset.entries import FileEntry
    from airflow_provider_espo.client.dataset.manifest import Manifest
    from airflow_provider_espo.client.extraction import Part
    from airflow_provider_espo.transfers.mapped import Partition, Stored
    from airflow_provider_espo.transfers.storing import Layout
    from airflow_provider_espo.transfers.watermarks import WatermarkStore

#: Records that a partition has at least: what is less does not pay for a task.
MIN_RECORDS = 1_000


class EspoPlanPartitionsOperator(SelectingOperator):
    """Cut an extraction into parts of equal size, for as many mapped tasks.

    The parts are ranges of ids, found by a few small requests; they follow each other without a gap. All share one
    window. Map :class:`EspoToObjectStorageOperator` (or :class:`EspoToSqlOperator`) over them with
    ``.expand(partition=plan.output)``, and let :class:`EspoCompletePartitionsOperator` follow where files are written.

    Safe to retry: nothing is written. Where a watermark is kept in an asset's state, give the plan the asset as inlet
    and the last task the same asset as outlet.

    :param entity_type: such as ``Lead``. (templated)
    :param partitions: how many parts at most. (templated)
    :param min_records: records that a part has at least, so that few records make fewer parts.
    :param where: list of items as of :mod:`airflow_provider_espo.where`; all must hold. (templated)
    :param primary_filter: one of EspoCRM's filters, such as ``actual``. (templated)
    :param bool_filters: EspoCRM's on/off filters, such as ``["onlyMy"]``. (templated)
    :param text_filter: text to search for, as in EspoCRM's search box. (templated)
    :param incremental_by: only what is new by this attribute since the last run: ``modifiedAt``, ``createdAt``, or
        ``number`` where that is an autoincrement.
    :param lag: how far a run looks back behind the end of the last one: seconds or a ``timedelta``, five minutes by
        default; for ``number`` how many numbers, 100 by default.
    :param start: with ``incremental_by``: only values from this on, such as ``{{ data_interval_start }}``. (templated)
    :param end: with ``incremental_by``: only values before this. (templated)
    :param watermark_key: name of the watermark; by default made of DAG, this task, entity type and filter. (templated)
    :param page_size: records a request where ids have to be counted, the connection's by default. (templated)
    :param espo_conn_id: Airflow connection. (templated)
    :return: a list of dicts, one for each part, with its range of ids, the number of records expected, and what all
        have in common.
    :raises EspoInputError: more parts than Airflow maps (``[core] max_map_length``), a malformed filter, an attribute
        in ``incremental_by`` that does not exist, is not shown or not ordered by.
    :raises EspoUnknownNameError: the server does not have the entity type.
    """

    template_fields: Sequence[str] = (*SelectingOperator.template_fields, "partitions")

    def __init__(self, *, partitions: int | str, min_records: int = MIN_RECORDS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.partitions = partitions
        self.min_records = min_records

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Plan."""
        from airflow_provider_espo.transfers.mapped import Partition
        from airflow_provider_espo.transfers.watermarks import WatermarkStore, filter_fingerprint, watermark_key

        number = whole_number("partitions", self.partitions)
        if number is None or number < 1:
            raise EspoInputError("partitions is not a whole number from 1 up")
        if number > (most := compat.max_map_length()):
            raise EspoInputError(
                f"{number} parts are more than Airflow maps tasks over ({most})",
                hint="Give fewer, each reads several ranges side by side; or raise [core] max_map_length",
            )
        if isinstance(self.min_records, bool) or not isinstance(self.min_records, int) or self.min_records < 1:
            raise EspoInputError("min_records is not a whole number from 1 up")
        with self.hook as hook:
            question, _ = self.ask(hook, ["id"])
            store = last = None
            if self.keeps_watermark:
                by = str(self.incremental_by)
                store = WatermarkStore(context, self.watermark_key or watermark_key(context, question, by))
                last = store.read(by)
            window = self.window(hook, question, None if last is None else last.value)
            asked = question if window is None else question.narrowed(*window.where())
            parts = cut_into_parts(hook, asked, number, least_records=self.min_records)
        self.log.info("%d parts with %d records", len(parts), sum(part.expected or 0 for part in parts))
        return [
            Partition(
                part=part,
                run=run_of(context),
                entity_type=self.entity_type,
                asked=filter_fingerprint(question),
                window=window,
                last=last,
                watermark_key=None if store is None else store.key,
                watermark_place=None if store is None else store.place,
            ).as_dict()
            for part in parts
        ]


class EspoCompletePartitionsOperator(FilteringOperator):
    """Check that the parts of an extraction are all there and fit together, and make a dataset of them.

    Every part of the plan must have been stored, with its files, for the same question and in the same columns. Then
    the manifest is written and, with ``incremental_by`` in the plan, the watermark moved.

    Safe to retry: what an earlier try did is taken up.

    :param entity_type: such as ``Lead``. (templated)
    :param path: folder that the mapped tasks wrote to. (templated)
    :param partitions: what :class:`EspoPlanPartitionsOperator` returned. (templated)
    :param tolerance: by which share the number of records may differ from what was planned, such as ``0.01``. Records
        come and go between plan and extraction, so that by default a difference is logged and does not fail.
    :param overwrite: replace the dataset of another run in this folder.
    :param deleted: ``detect`` asks which of all records that earlier runs came upon are no longer there or no longer
        match the filter, and writes tombstones; give it to the mapped tasks as well. ``ignore`` by default.
    :param schema_drift: what to do if the columns are not those of the last dataset: ``fail`` (default) or ``warn``.
    :param skip_if_empty: end as skipped where there is neither a record nor a tombstone; the empty dataset is there.
    :param where: as in the plan; only needed with ``deleted='detect'``, like the other filters. (templated)
    :param primary_filter: as in the plan. (templated)
    :param bool_filters: as in the plan. (templated)
    :param text_filter: as in the plan. (templated)
    :param page_size: records a request, the connection's by default. (templated)
    :param espo_conn_id: Airflow connection. (templated)
    :return: ``{"path", "manifest", "records", "files", "bytes", "deleted", "watermark", "action"}``, as of
        :class:`EspoToObjectStorageOperator`.
    :raises EspoInputError: a part is missing or does not fit to the others, a file is not what it was when it was
        stored, too many or too few records, columns that drifted, a target that exists without ``overwrite``.
    :raises EspoStorageError: the manifest cannot be written; what was complete before stays.
    """

    result_has_parts = True
    writes_files = ("path",)
    template_fields: Sequence[str] = (*FilteringOperator.template_fields, "path", "partitions")

    def __init__(
        self,
        *,
        path: str | ObjectStoragePath,
        partitions: Sequence[Mapping[str, Any]],
        tolerance: float | None = None,
        overwrite: bool = False,
        deleted: DeletedMode = "ignore",
        schema_drift: DriftMode = "fail",
        skip_if_empty: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.partitions = partitions
        self.tolerance = tolerance
        self.overwrite = overwrite
        self.deleted = deleted
        self.schema_drift = schema_drift
        self.skip_if_empty = skip_if_empty

    def execute(self, context: Context) -> dict[str, Any]:
        """Check, and write the manifest."""
        from airflow_provider_espo.client.dataset.folder import Folder

        publishing.one_of("deleted", self.deleted, get_args(DeletedMode))
        publishing.one_of("schema_drift", self.schema_drift, get_args(DriftMode))
        share = self.tolerance
        if share is not None and (isinstance(share, bool) or not isinstance(share, int | float) or not share >= 0):
            raise EspoInputError("tolerance is no share", hint="0.01 lets the number differ by one in a hundred")
        place = Place(folder=Folder(file_at("path", self.path)), entity_type=self.entity_type, overwrite=self.overwrite)
        planned = self._planned()
        store = self._store(context, planned[0])
        stored = [self._stored(place, partition) for partition in planned]
        self._check_counts(stored)
        result = self._complete(place, planned[0], stored, store)
        if self.skip_if_empty:
            publishing.skip_empty(result)
        return result

    def _planned(self) -> list[Partition]:
        from airflow_provider_espo.transfers.mapped import Partition

        if isinstance(self.partitions, str | Mapping) or not isinstance(self.partitions, Iterable):
            raise EspoInputError("partitions is no list that a plan returned", hint="Give partitions=plan.output")
        planned = sorted((Partition.from_dict(one) for one in self.partitions), key=lambda one: one.part.number)
        if not planned or [one.part.number for one in planned] != list(range(planned[0].part.of)):
            raise EspoInputError("partitions is no whole plan", hint="Give partitions=plan.output")
        if len({(one.run, one.entity_type, one.asked) for one in planned}) > 1:
            raise EspoInputError("partitions are of different plans", hint="Give partitions=plan.output")
        if planned[0].entity_type != self.entity_type:
            raise EspoInputError(f"The plan is for {planned[0].entity_type} and not for {self.entity_type}")
        check_adjoining([one.part for one in planned], None, None)
        return planned

    def _store(self, context: Context, plan: Partition) -> WatermarkStore | None:
        from airflow_provider_espo.transfers.watermarks import WatermarkStore

        if plan.watermark_key is None:
            if self.deleted == "detect":
                raise EspoInputError(
                    "Deleted records are found by comparing with the run before, and there is none",
                    hint="Give incremental_by to the plan, without start and end, or deleted='ignore'",
                )
            return None
        store = WatermarkStore(context, plan.watermark_key)
        if store.place != plan.watermark_place:
            raise EspoInputError(
                f"The plan read the watermark from {plan.watermark_place}, and this task keeps it in {store.place}",
                hint="Give the plan the asset as inlet, and this task the same asset as outlet, or none to both",
            )
        return store

    def _stored(self, place: Place, partition: Partition) -> Stored:
        """Return what a mapped task stored, checked for itself."""
        from airflow_provider_espo.transfers.mapped import Stored

        number = partition.part.number
        found = Stored.read(place.folder, Stored.name(self.entity_type, partition.run, number))
        if found is None or found.part != partition.part:
            raise EspoInputError(
                f"Part {number} of {partition.part.of} is not in {place.folder}",
                hint="Did its task run, with the same path? Clear it to have it written",
            )
        check_adjoining([one.part for one in found.parts], partition.part.after, partition.part.up_to)
        return found

    def _check_counts(self, stored: Sequence[Stored]) -> None:
        first = stored[0]
        for one in stored:
            same = (one.fingerprint, one.file_format, one.columns) == (
                first.fingerprint,
                first.file_format,
                first.columns,
            )
            if not same:
                raise EspoInputError(
                    f"Part {one.part.number} was stored with other attributes or in another format than part "
                    f"{first.part.number}",
                    hint="Clear the mapped tasks to have all parts written alike",
                )
        expected = sum(one.part.expected or 0 for one in stored)
        read = sum(one.records + one.left_out for one in stored)
        if read == expected:
            return
        self.log.warning("%d records were read, %d were there when it was planned", read, expected)
        if self.tolerance is not None and abs(read - expected) > self.tolerance * max(1, expected):
            raise EspoInputError(
                f"{read} records were read and {expected} planned, which differs by more than {self.tolerance:g} of "
                "them",
                hint="Records come and go meanwhile; look for a mapped task that ended early, or raise tolerance",
            )

    def _complete(
        self, place: Place, plan: Partition, stored: Sequence[Stored], store: WatermarkStore | None
    ) -> dict[str, Any]:
        from airflow_provider_espo.client.dataset.names import FileNames
        from airflow_provider_espo.transfers.mapped import Stored, joined_files
        from airflow_provider_espo.transfers.storing import Layout

        layout = Layout(
            folder=place.folder,
            names=FileNames(self.entity_type, plan.run),
            file_format=stored[0].file_format,
            columns=stored[0].columns,
            records_per_file=RECORDS_PER_FILE,
            keeps_ids=self.deleted == "detect",
        )
        files, parts = joined_files(stored)
        previous = place.previous(plan.run)
        action = "taken_up"
        if previous is not None and previous.run == plan.run and previous.files == files:
            self.log.info("An earlier try of this task had written the manifest")
            manifest = previous
        else:
            self._check_drift(previous, plan, layout)
            deleted, sidecars = self._for_next_run(layout, plan, stored, store)
            manifest = publishing.manifest_of(
                layout,
                fingerprint=stored[0].fingerprint,
                window=plan.window,
                parts=parts,
                files=files,
                deleted=deleted,
                sidecars=sidecars,
            )
            manifest.write(place.folder)
            action = "written"
        self.log.info("%d records in %d files", manifest.records, len(manifest.files))
        # What the mapped tasks told stays as long as the dataset: this task may be cleared and run again.
        told = [Stored.name(self.entity_type, plan.run, one.part.number) for one in stored]
        place.publish(manifest, store, [*told, *(file.name for one in stored for file in one.sidecars.values())])
        return publishing.result_of(place.folder, manifest, action)

    def _check_drift(self, previous: Manifest | None, plan: Partition, layout: Layout) -> None:
        old = previous.columns if previous is not None else publishing.columns_before(plan.last, self.entity_type)
        if old is not None and (drift := publishing.check_drift(old, layout.columns, self.schema_drift)):
            self.log.warning("The columns are not those of the last dataset: %s", drift)

    def _for_next_run(
        self, layout: Layout, plan: Partition, stored: Sequence[Stored], store: WatermarkStore | None
    ) -> tuple[tuple[FileEntry, ...], dict[str, tuple[FileEntry, ...]]]:
        """Join what the mapped tasks kept for the next run, and look for deleted records."""
        from airflow_provider_espo.transfers.deletions import find_deletions
        from airflow_provider_espo.transfers.storing import IDS, SEEN, joined
        from airflow_provider_espo.transfers.watermarks import filter_fingerprint

        purposes = [*([SEEN] if store is not None else []), *([IDS] if layout.keeps_ids else [])]
        sidecars: dict[str, tuple[FileEntry, ...]] = {}
        for purpose in purposes:
            if lacking := [one.part.number for one in stored if purpose not in one.sidecars]:
                raise EspoInputError(
                    f"The mapped tasks kept no {purpose} for the next run, such as that of part {lacking[0]}",
                    hint="Give deleted='detect' to the mapped tasks as well",
                )
            lines = {one.sidecars[purpose].name: one.sidecars[purpose].records for one in stored}
            sidecars[purpose] = (joined(layout.folder, layout.names.own(purpose, "ndjson.gz"), lines),)
        if not layout.keeps_ids or plan.last is None or store is None:
            return (), sidecars
        known = publishing.ids_before(plan.last, self.entity_type, store.key)
        with self.hook as hook:
            question, _ = self.ask(hook, ["id"])
            if filter_fingerprint(question) != plan.asked:
                raise EspoInputError(
                    "The plan was made for another filter",
                    hint="With deleted='detect', give where and the other filters here as well",
                )
            found = find_deletions(
                hook,
                question,
                layout=layout,
                known=known,
                new=sidecars[IDS][0],
                detected_at=publishing.moment_of(plan.window),
            )
        self.log.info("%d records are gone", found.count)
        sidecars[IDS] = (found.ids,)
        return found.files, sidecars


def check_adjoining(parts: Sequence[Part], after: str | None, up_to: str | None) -> None:
    """Refuse parts between which records could be lost or come twice.

    :param parts: in order.
    :param after: where the first begins.
    :param up_to: where the last ends.
    :raises EspoInputError: there is a gap, or they overlap.
    """
    edges = [after, *(part.up_to for part in parts)]
    if not parts or edges[-1] != up_to or any(part.after != edge for part, edge in zip(parts, edges, strict=False)):
        raise EspoInputError("The parts do not follow each other without a gap", hint="Clear the plan and what follows")
