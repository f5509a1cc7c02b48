"""A part of EspoCRM's formula language: enough to run small scripts.

There are values, variables, attributes of the target record and of records that it points to, assignments,
operators, ``ifThen`` and ``ifThenElse``, and the functions of ``functions.py``. There are no ``if`` and ``while``
statements with braces, and no functions beside those.
"""

from __future__ import annotations

from airflow_provider_espo.sandbox.formula.evaluate import Script, Target
from airflow_provider_espo.sandbox.formula.failures import FormulaError, FormulaSyntaxError
from airflow_provider_espo.sandbox.formula.parse import parse

__all__ = ["FormulaError", "FormulaSyntaxError", "Script", "Target", "parse"]
