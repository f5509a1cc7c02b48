"""The ways in which a search can fail, as a real server tells them apart."""

from __future__ import annotations

from airflow_provider_espo.sandbox.errors import ApiError


def bad_request(reason: str) -> ApiError:
    """Input that EspoCRM checks: 400 with a reason."""
    return ApiError(400, reason)


def forbidden(reason: str) -> ApiError:
    """What the caller may not ask: 403 with a reason."""
    return ApiError(403, reason)


def server_error() -> ApiError:
    """Input that EspoCRM does not expect, or that its database cannot run: 500 without a word."""
    return ApiError(500)


def crash() -> ApiError:
    """Input of a type that PHP itself refuses, a text for an object: 500 from the framework."""
    return ApiError(500, body={"message": "Slim Application Error"})
