"""Makes a sandbox's database with leads in it: ``python -m benchmarks.stock FILE COUNT``."""

from __future__ import annotations

import sys

from airflow_provider_espo.sandbox.application import Sandbox
from airflow_provider_espo.sandbox.fill import fill
from airflow_provider_espo.sandbox.fixture import ensure_fixture

if __name__ == "__main__":
    crm = Sandbox(sys.argv[1])
    ensure_fixture(crm.storage)
    fill(crm.storage, "Lead", int(sys.argv[2]))
    crm.close()
