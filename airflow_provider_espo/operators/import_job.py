"""How an import task works: the file uploaded and imported once, rows that failed counted and fetched, reverting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_espo.client.errors import EspoError, EspoInputError, EspoJobError
from airflow_provider_espo.operators.durable import DurableJobOperator
from airflow_provider_espo.operators.paths import file_at, is_folder
from airflow_provider_espo.operators.rendered import whole_number

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from airflow.sdk import ObjectStoragePath

    from airflow_provider_espo.client.operations.imports import ImportAction, ImportOptions
    from airflow_provider_espo.hooks.espo import EspoHook
    from airflow_provider_espo.operators.durable import JobMemory
    from airflow_provider_espo.operators.import_file import Columns, ImportFile

#: Rows with errors that are told in the error's text.
_TOLD = 5


class ImportJobOperator(DurableJobOperator):
    """Base of the import task; what its arguments mean is said there."""

    job_kind = "import"
    jobs_can_be_found = True

    entity_type: str
    path: str | ObjectStoragePath | None
    rows: Sequence[Mapping[str, Any]] | None
    columns: Columns
    action: ImportAction
    update_by: Sequence[str] | None
    default_values: Mapping[str, Any] | None
    csv_format: Mapping[str, Any] | None
    skip_duplicate_check: bool
    silent: bool
    max_errors: int | None
    errors_path: str | ObjectStoragePath | None
    revert_on_failure: bool
    validate: bool

    def prepare_job(self, hook: EspoHook, memory: JobMemory) -> bool:
        """Check the file and its columns, and upload it."""
        from airflow_provider_espo.client.operations.imports import prepare_import

        whole_number("max_errors", self.max_errors)
        if self.errors_path is not None:
            file_at("errors_path", self.errors_path)
        if (self.path is None) == (self.rows is None):
            raise EspoInputError("Give either path or rows")
        if self.rows is not None and not self.rows:
            return self._nothing_to_do(memory, 0, None)
        with self._file(hook) as file:
            # The id stands for the one that is not there yet.
            hook.run(prepare_import(hook.state, self.entity_type, "0", file.columns, **self._options()))
            if not file.facts.rows:
                return self._nothing_to_do(memory, file.facts.size, file.facts.sha256)
            uploaded = hook.upload_import_file(file.file)
            if uploaded["sha256"] != file.facts.sha256:
                raise EspoInputError("The file changed while it was being sent")
            memory.notes = self._notes(file, uploaded["attachment_id"])
        return True

    def submit_job(self, hook: EspoHook, memory: JobMemory) -> str:
        """Start the import."""
        notes = memory.notes
        started = hook.start_import(self.entity_type, notes["attachment_id"], notes["columns"], **self._options())
        return str(started["job_id"])

    def find_job(self, hook: EspoHook, memory: JobMemory) -> str | None:
        """Look for the import by its file, or by the file's content."""
        from airflow_provider_espo.client.operations.import_lookup import find_import, find_import_of
        from airflow_provider_espo.client.operations.lost import CLOCK_SKEW

        if memory.since is None:
            return None
        since = memory.since - CLOCK_SKEW
        if "attachment_id" in memory.notes:
            return hook.run(find_import(hook.state, since, attachment_id=memory.notes["attachment_id"]))
        if self.rows is not None and not self.rows:
            return None
        with self._file(hook) as file:
            found = hook.run(
                find_import_of(
                    hook.state,
                    since,
                    entity_type=self.entity_type,
                    columns=file.columns,
                    size=file.facts.size,
                    sha256=file.facts.sha256,
                )
            )
            if found is not None:
                memory.notes = self._notes(file, None)
        return found

    @property
    def job_is_repeatable(self) -> bool:
        """Whether rows that were imported already are found again by their key."""
        return self.action != "create"

    def job_result(self, hook: EspoHook, job: Mapping[str, Any] | None, memory: JobMemory) -> dict[str, Any]:
        """Count what was done, fetch the rows that failed, and fail if they are too many."""
        notes = memory.notes
        counts = dict.fromkeys(("created", "updated", "duplicates", "failed", "skipped"), 0)
        errors_path = None
        if job is not None:
            errors = hook.import_errors(job["id"], limit=_TOLD)
            counts |= {name: job.get(name) or 0 for name in ("created", "updated", "duplicates")}
            counts["failed"] = errors["count"]
            counts["skipped"] = max(0, notes.get("rows", 0) - counts["created"] - counts["updated"] - counts["failed"])
            if errors["count"]:
                self.log.warning("%s", _in_words(errors))
                errors_path = self._fetch_errors(hook, job["id"])
            self._judge(hook, job, memory, errors)
        self.log.info("%s", ", ".join(f"{number} {name}" for name, number in counts.items()))
        return {
            "job_id": None if job is None else job["id"],
            **counts,
            "errors_path": errors_path,
            "size": notes.get("size"),
            "sha256": notes.get("sha256"),
        }

    def job_failure(self, hook: EspoHook, job: Mapping[str, Any], memory: JobMemory) -> EspoError:
        """Return the error for an import that failed, after reverting it if that was asked."""
        error = super().job_failure(hook, job, memory)
        return self._reverted(hook, job, memory, error)

    def _job_of_earlier_try(self, hook: EspoHook, memory: JobMemory) -> Mapping[str, Any] | None:
        if memory.job_id is not None and memory.notes.get("reverting"):
            self.log.info("An earlier try was reverting import %s", memory.job_id)
            hook.revert_import(memory.job_id)
            memory.forget()
        return super()._job_of_earlier_try(hook, memory)

    def _nothing_to_do(self, memory: JobMemory, size: int, sha256: str | None) -> bool:
        self.log.info("There are no rows to import")
        memory.notes = {"size": size, "sha256": sha256}
        return False

    def _file(self, hook: EspoHook) -> AbstractContextManager[ImportFile]:
        from airflow_provider_espo.operators.import_file import import_file

        return import_file(
            hook,
            self.entity_type,
            path=self.path,
            rows=self.rows,
            columns=self.columns,
            csv_format=self._csv_format(),
        )

    def _options(self) -> ImportOptions:
        options: ImportOptions = {
            "action": self.action,
            "update_by": self.update_by,
            "default_values": self.default_values,
            "skip_duplicate_check": self.skip_duplicate_check,
            "silent": self.silent,
            "validate": self.validate,
        }
        options.update(self._csv_format())  # type: ignore[typeddict-item]
        return options

    def _csv_format(self) -> dict[str, Any]:
        from airflow_provider_espo.operators.import_file import check_csv_format

        return check_csv_format(self.csv_format, of_rows=self.rows is not None)

    @staticmethod
    def _notes(file: ImportFile, attachment_id: str | None) -> dict[str, Any]:
        known = {} if attachment_id is None else {"attachment_id": attachment_id}
        facts = file.facts
        return {"columns": file.columns, "rows": facts.rows, "size": facts.size, "sha256": facts.sha256, **known}

    def _fetch_errors(self, hook: EspoHook, job_id: str) -> str | None:
        if self.errors_path is None:
            return None
        from airflow_provider_espo.client.operations.imports import export_import_errors

        attachment_id = hook.run(export_import_errors(hook.state, job_id))
        if attachment_id is None:
            return None
        fetched = hook.download_attachment(
            attachment_id, file_at("errors_path", self.errors_path), into_folder=is_folder(self.errors_path)
        )
        return str(fetched["path"])

    def _judge(self, hook: EspoHook, job: Mapping[str, Any], memory: JobMemory, errors: Mapping[str, Any]) -> None:
        most = whole_number("max_errors", self.max_errors)
        if most is None or errors["count"] <= most:
            return
        where = (
            f"The rows are in {self.errors_path}" if self.errors_path is not None else "errors_path fetches the rows"
        )
        error = EspoJobError(
            f"{_in_words(errors)}; {most} may (max_errors)",
            job_id=job["id"],
            kind=self.job_kind,
            job_status=job["status"],
            hint=f"{where}. A retry counts again and imports nothing twice",
        )
        raise self._reverted(hook, job, memory, error)

    def _reverted(self, hook: EspoHook, job: Mapping[str, Any], memory: JobMemory, error: EspoError) -> EspoError:
        if not self.revert_on_failure:
            return error
        # Remembered before: if this try dies here, the next one reverts to the end and then imports anew.
        memory.notes["reverting"] = True
        memory.submitted(str(job["id"]))
        hook.revert_import(str(job["id"]))
        memory.forget()
        error.hint = "The records it had created were deleted. A retry imports anew"
        return error


def _in_words(errors: Mapping[str, Any]) -> str:
    """Say how many rows failed and why the first did, without any of their values."""
    told = []
    for one in errors["errors"][:_TOLD]:
        fields = ", ".join(f"{field} {rule}" for field, rule in one["fields"].items())
        told.append(f"line {one['line']}: {fields or one['type'] or 'no reason given'}")
    more = "; …" if errors["count"] > len(told) else ""
    return f"{errors['count']} rows failed ({'; '.join(told)}{more})"
