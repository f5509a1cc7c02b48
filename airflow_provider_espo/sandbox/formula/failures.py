"""The ways in which a script fails."""

from __future__ import annotations


class FormulaError(Exception):
    """A script cannot go on."""


class FormulaSyntaxError(FormulaError):
    """A script makes no sense."""
