"""The methods of clients and hooks: the two lists of names under which operations can be called.

What a method does, takes and returns stands in ``operations/``, once. Here each operation is made a blocking and an
asynchronous method. A test holds the two lists equal.

A DAG file that imports the hook is parsed all the time and runs none of the operations. So their modules, and with
them most of the client, are imported when a method is first used.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=Callable[..., Any])

if TYPE_CHECKING:
    from airflow_provider_espo.client.errors import EspoError
    from airflow_provider_espo.client.operations import (
        actions,
        attachments,
        bulk,
        convert,
        currency,
        email,
        export,
        file_fields,
        finding,
        imports,
        jobs,
        listing,
        posting,
        preflight,
        records,
        relations,
        stream,
        system,
        upsert,
        webhooks,
    )
    from airflow_provider_espo.client.operations import (
        mass_action as mass,
    )
    from airflow_provider_espo.client.state import ClientState
    from airflow_provider_espo.client.wire import FileOperation, Stream
else:

    class _Operation:
        """Stands for an operation until it is needed."""

        def __init__(self, module: str, name: str) -> None:
            self._module = module
            self._name = name

        @functools.cached_property
        def function(self) -> Callable[..., Any]:
            """The operation itself."""
            return getattr(importlib.import_module(f"{__package__}.operations.{self._module}"), self._name)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return self.function(*args, **kwargs)

    class _Operations:
        """Stands for a module of operations."""

        def __init__(self, module: str) -> None:
            self._module = module

        def __getattr__(self, name: str) -> _Operation:
            return _Operation(self._module, name)

    actions = _Operations("actions")
    attachments = _Operations("attachments")
    bulk = _Operations("bulk")
    convert = _Operations("convert")
    currency = _Operations("currency")
    email = _Operations("email")
    export = _Operations("export")
    file_fields = _Operations("file_fields")
    imports = _Operations("imports")
    finding = _Operations("finding")
    jobs = _Operations("jobs")
    listing = _Operations("listing")
    mass = _Operations("mass_action")
    posting = _Operations("posting")
    preflight = _Operations("preflight")
    records = _Operations("records")
    relations = _Operations("relations")
    stream = _Operations("stream")
    system = _Operations("system")
    upsert = _Operations("upsert")
    webhooks = _Operations("webhooks")


class Blocking(Protocol):
    """What a blocking method needs of the object it stands on."""

    @property
    def state(self) -> ClientState:
        """What operations work with."""

    def run(self, operation: FileOperation[T]) -> T:
        """Carry out an operation."""

    def iterate(self, stream: Stream[T]) -> Iterator[T]:
        """Carry out a stream."""

    def run_many(
        self, operations: Iterable[FileOperation[T]], max_workers: int | None = None
    ) -> Iterator[T | EspoError]:
        """Carry out operations side by side; results in the order given."""


class Awaiting(Protocol):
    """What an asynchronous method needs of the object it stands on."""

    async def ready(self) -> ClientState:
        """Return what operations work with."""

    async def run(self, operation: FileOperation[T]) -> T:
        """Carry out an operation."""

    def iterate(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Carry out a stream."""

    def run_many(
        self, operations: Iterable[FileOperation[T]], max_workers: int | None = None
    ) -> AsyncIterator[T | EspoError]:
        """Carry out operations side by side; results in the order given."""


class _Method:
    """Becomes a method when it is first looked at: only then its operation is imported.

    :param operation: stands for the operation.
    :param function: the method, still without the operation's name, text and arguments.
    """

    def __init__(self, operation: Any, function: Callable[..., Any]) -> None:
        self._operation = operation
        self._function = function

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._owner = owner
        self._name = name

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Any:
        method: Any = _named_as(self._operation.function, self._function)
        setattr(self._owner, self._name, method)
        return method.__get__(instance, owner)


def _named_as(operation: Callable[..., Any], method: M) -> M:
    """Give a method the operation's name, text and arguments, for ``help()`` and editors."""
    functools.update_wrapper(method, operation)
    del method.__wrapped__  # type: ignore[attr-defined]
    signature = inspect.signature(operation)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    _state, *arguments = signature.parameters.values()
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[itself, *arguments], return_annotation=inspect.Signature.empty
    )
    return method


def _later(operation: Callable[..., Any], method: M) -> M:
    return cast("M", _Method(operation, method))


def blocking(
    operation: Callable[Concatenate[ClientState, P], FileOperation[T]],
) -> Callable[Concatenate[Blocking, P], T]:
    """Make an operation a method that waits for the result."""

    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(operation(self.state, *args, **kwargs))

    return _later(operation, method)


def blocking_stream(
    stream: Callable[Concatenate[ClientState, P], Stream[T]],
) -> Callable[Concatenate[Blocking, P], Iterator[T]]:
    """Make a stream a method that yields as things arrive."""

    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self.iterate(stream(self.state, *args, **kwargs))

    return _later(stream, method)


def blocking_many(
    plan: Callable[Concatenate[ClientState, P], bulk.Plan],
) -> Callable[Concatenate[Blocking, P], list[bulk.Outcome]]:
    """Make a plan of many operations a method that carries them out side by side."""

    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> list[bulk.Outcome]:
        todo = plan(self.state, *args, **kwargs)
        for done in self.run_many(todo.operations(self.run(todo.prepare()))):
            todo.add(done)
        return todo.outcomes()

    return _later(plan, method)


def awaiting(
    operation: Callable[Concatenate[ClientState, P], FileOperation[T]],
) -> Callable[Concatenate[Awaiting, P], Awaitable[T]]:
    """Make an operation a coroutine method."""

    async def method(self: Awaiting, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(operation(await self.ready(), *args, **kwargs))

    return _later(operation, method)


def awaiting_stream(
    stream: Callable[Concatenate[ClientState, P], Stream[T]],
) -> Callable[Concatenate[Awaiting, P], AsyncIterator[T]]:
    """Make a stream an asynchronous generator method."""

    async def method(self: Awaiting, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        async for item in self.iterate(stream(await self.ready(), *args, **kwargs)):
            yield item

    return _later(stream, method)


def awaiting_many(
    plan: Callable[Concatenate[ClientState, P], bulk.Plan],
) -> Callable[Concatenate[Awaiting, P], Awaitable[list[bulk.Outcome]]]:
    """Make a plan of many operations a coroutine method that carries them out side by side."""

    async def method(self: Awaiting, /, *args: P.args, **kwargs: P.kwargs) -> list[bulk.Outcome]:
        todo = plan(await self.ready(), *args, **kwargs)
        async for done in self.run_many(todo.operations(await self.run(todo.prepare()))):
            todo.add(done)
        return todo.outcomes()

    return _later(plan, method)


class BlockingMethods:
    """All operations as blocking methods."""

    request = blocking(system.request)
    whoami = blocking(system.whoami)
    server_version = blocking(system.server_version)
    metadata = blocking(system.metadata)
    settings = blocking(system.settings)
    get_record = blocking(records.get_record)
    create_record = blocking(records.create_record)
    update_record = blocking(records.update_record)
    delete_record = blocking(records.delete_record)
    upsert_record = blocking(upsert.upsert_record)
    list_records = blocking(listing.list_records)
    iter_records = blocking_stream(listing.iter_records)
    count_records = blocking(listing.count_records)
    list_related = blocking(listing.list_related)
    link = blocking(relations.link)
    unlink = blocking(relations.unlink)
    write_many = blocking_many(bulk.write_many)
    list_notes = blocking(stream.list_notes)
    post_note = blocking(posting.post_note)
    preflight = blocking(preflight.preflight)
    convert_lead = blocking(convert.convert_lead)
    run_action = blocking(actions.run_action)
    merge_records = blocking(actions.merge_records)
    restore_deleted = blocking(actions.restore_deleted)
    run_formula = blocking(actions.run_formula)
    print_pdf = blocking(actions.print_pdf)
    opt_out = blocking(actions.opt_out)
    link_matching = blocking(actions.link_matching)
    get_currency_rates = blocking(currency.get_currency_rates)
    set_currency_rates = blocking(currency.set_currency_rates)
    send_email = blocking(email.send_email)
    draft_email = blocking(email.draft_email)
    send_draft = blocking(email.send_draft)
    prepare_email_template = blocking(email.prepare_email_template)
    global_search = blocking(finding.global_search)
    i18n = blocking(finding.i18n)
    capture_lead = blocking(finding.capture_lead)
    follow = blocking(posting.follow)
    unfollow = blocking(posting.unfollow)
    job_status = blocking(jobs.job_status)
    mass_action = blocking(mass.mass_action)
    mass_update = blocking(mass.mass_update)
    mass_delete = blocking(mass.mass_delete)
    upload_attachment = blocking(attachments.upload_attachment)
    download_attachment = blocking(attachments.download_attachment)
    attach_file = blocking(file_fields.attach_file)
    start_export = blocking(export.start_export)
    upload_import_file = blocking(imports.upload_import_file)
    start_import = blocking(imports.start_import)
    import_errors = blocking(imports.import_errors)
    revert_import = blocking(imports.revert_import)
    list_webhooks = blocking(webhooks.list_webhooks)
    create_webhook = blocking(webhooks.create_webhook)


class AsyncMethods:
    """All operations as coroutine methods."""

    request = awaiting(system.request)
    whoami = awaiting(system.whoami)
    server_version = awaiting(system.server_version)
    metadata = awaiting(system.metadata)
    settings = awaiting(system.settings)
    get_record = awaiting(records.get_record)
    create_record = awaiting(records.create_record)
    update_record = awaiting(records.update_record)
    delete_record = awaiting(records.delete_record)
    upsert_record = awaiting(upsert.upsert_record)
    list_records = awaiting(listing.list_records)
    iter_records = awaiting_stream(listing.iter_records)
    count_records = awaiting(listing.count_records)
    list_related = awaiting(listing.list_related)
    link = awaiting(relations.link)
    unlink = awaiting(relations.unlink)
    write_many = awaiting_many(bulk.write_many)
    list_notes = awaiting(stream.list_notes)
    post_note = awaiting(posting.post_note)
    preflight = awaiting(preflight.preflight)
    convert_lead = awaiting(convert.convert_lead)
    run_action = awaiting(actions.run_action)
    merge_records = awaiting(actions.merge_records)
    restore_deleted = awaiting(actions.restore_deleted)
    run_formula = awaiting(actions.run_formula)
    print_pdf = awaiting(actions.print_pdf)
    opt_out = awaiting(actions.opt_out)
    link_matching = awaiting(actions.link_matching)
    get_currency_rates = awaiting(currency.get_currency_rates)
    set_currency_rates = awaiting(currency.set_currency_rates)
    send_email = awaiting(email.send_email)
    draft_email = awaiting(email.draft_email)
    send_draft = awaiting(email.send_draft)
    prepare_email_template = awaiting(email.prepare_email_template)
    global_search = awaiting(finding.global_search)
    i18n = awaiting(finding.i18n)
    capture_lead = awaiting(finding.capture_lead)
    follow = awaiting(posting.follow)
    unfollow = awaiting(posting.unfollow)
    job_status = awaiting(jobs.job_status)
    mass_action = awaiting(mass.mass_action)
    mass_update = awaiting(mass.mass_update)
    mass_delete = awaiting(mass.mass_delete)
    upload_attachment = awaiting(attachments.upload_attachment)
    download_attachment = awaiting(attachments.download_attachment)
    attach_file = awaiting(file_fields.attach_file)
    start_export = awaiting(export.start_export)
    upload_import_file = awaiting(imports.upload_import_file)
    start_import = awaiting(imports.start_import)
    import_errors = awaiting(imports.import_errors)
    revert_import = awaiting(imports.revert_import)
    list_webhooks = awaiting(webhooks.list_webhooks)
    create_webhook = awaiting(webhooks.create_webhook)
