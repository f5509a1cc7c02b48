"""How the webhook receiver is configured."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_espo import config_options as options


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """Options of ``[espo]`` that the receiver goes by.

    :param enabled: whether there is a receiver.
    :param repeat_seconds: for how long an equal delivery counts as a repeat; 0: never.
    :param max_body_bytes: how big a delivery may be.
    """

    enabled: bool = False
    repeat_seconds: int = int(options.DEFAULTS[options.WEBHOOK_REPEAT_SECONDS])
    max_body_bytes: int = int(options.DEFAULTS[options.WEBHOOK_MAX_BODY_BYTES])


def read_settings() -> ReceiverSettings:
    """Read Airflow's configuration.

    :raises AirflowConfigException: a value is not of its kind, or a number is too small.
    """
    from airflow.configuration import conf

    # With a fallback: whether Airflow has read the providers' defaults already depends on what it has done so far.
    def number(name: str, at_least: int) -> int:
        found = conf.getint(options.SECTION, name, fallback=options.DEFAULTS[name])
        if found < at_least:
            from airflow.exceptions import AirflowConfigException

            raise AirflowConfigException(f"[{options.SECTION}] {name} is less than {at_least}")
        return int(found)

    enabled = options.WEBHOOK_RECEIVER_ENABLED
    return ReceiverSettings(
        enabled=conf.getboolean(options.SECTION, enabled, fallback=options.DEFAULTS[enabled] == "True"),
        repeat_seconds=number(options.WEBHOOK_REPEAT_SECONDS, 0),
        max_body_bytes=number(options.WEBHOOK_MAX_BODY_BYTES, 1024),
    )
