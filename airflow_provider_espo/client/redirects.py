"""Which redirects are followed: only reads, and only to the same API on the same host.

Everything a request carries (key, signature, filters) would go where the redirect points, so what does not stay is an
error that says where it points.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from airflow_provider_espo.client.errors import EspoBadAnswerError
from airflow_provider_espo.client.wire import Request, Response

_DEFAULT_PORTS = {"http": 80, "https": 443}


def redirect_target(request: Request, response: Response, sent_to: str, api_path: str) -> str:
    """Return the URL to send a request to again.

    :param request: what was sent.
    :param response: the redirect.
    :param sent_to: URL it was sent to.
    :param api_path: path of the API below the site, such as ``/api/v1``.
    :return: the new place with the request's own query, as some servers drop it and a list would then be unfiltered.
    :raises EspoBadAnswerError: the redirect leads elsewhere, or the request is no read.
    """
    old = urlsplit(sent_to)
    new = _split(response.headers.get("location", ""), old)
    if new is None:
        raise _refused(request, response, "The server redirects without saying where")
    site = _site(new)
    if not _stays(old, new):
        hint = f"Give the address it redirects to as host in the connection, if that ({site}) is your EspoCRM"
        if not _is_api(new, api_path, request):
            hint += "; if it is a login page, that has to let requests to api/v1 through"
        raise _refused(request, response, f"The server redirects to {site}", hint)
    if not _is_api(new, api_path, request):
        raise _refused(
            request,
            response,
            "The server redirects to another page, such as a login page",
            "Check that the connection's host is the site URL of EspoCRM, including a sub-path if it has one, "
            "and that no login page stands in front of api/v1",
        )
    if request.method != "GET":
        hint = f"Give {site} in the host of the connection"
        raise _refused(request, response, f"The server redirects to {site}, and only reads are sent again", hint)
    return new._replace(query=old.query).geturl()


def _split(location: str, base: SplitResult) -> SplitResult | None:
    """Parts of a redirect's target; ``None`` if it has none or one that is no web address."""
    try:
        parts = urlsplit(location.strip())
        if parts.netloc:
            parts = parts._replace(scheme=parts.scheme or base.scheme)
        elif parts.path.startswith("/") and not parts.scheme:
            parts = parts._replace(scheme=base.scheme, netloc=base.netloc)
        else:
            return None
        usable = parts.scheme in _DEFAULT_PORTS and parts.hostname and parts.port != 0
    except ValueError:
        return None
    # A user name in it would be sent as a second proof of who we are; a fragment is not sent at all.
    return parts._replace(netloc=_authority(parts), fragment="") if usable else None


def _authority(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port is None or parts.port == _DEFAULT_PORTS[parts.scheme] else f"{host}:{parts.port}"


def _site(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}"


def _stays(old: SplitResult, new: SplitResult) -> bool:
    """Whether the target is the same origin, or the same host's TLS port instead of its plain one."""
    if old.hostname != new.hostname:
        return False
    if old.scheme == new.scheme:
        return _port(old) == _port(new)
    return (old.scheme, _port(old), new.scheme, _port(new)) == ("http", 80, "https", 443)


def _port(parts: SplitResult) -> int:
    return parts.port or _DEFAULT_PORTS[parts.scheme]


def _is_api(target: SplitResult, api_path: str, request: Request) -> bool:
    return target.path.endswith(f"{api_path}/{request.path}")


def _refused(request: Request, response: Response, message: str, hint: str | None = None) -> EspoBadAnswerError:
    return EspoBadAnswerError(message, status=response.status, method=request.method, path=request.path, hint=hint)
