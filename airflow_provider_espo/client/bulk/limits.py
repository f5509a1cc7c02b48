"""How many rows may fail before the whole fails."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_espo.client.errors import EspoInputError


@dataclass(frozen=True)
class FailureLimit:
    """Rows that may fail: a number of them, or a share of all.

    :param number: rows; ``None`` for any number.
    :param share: part of all rows, below 1; ``None`` where a number is given.
    """

    number: int | None = None
    share: float | None = None

    @classmethod
    def of(cls, given: object) -> FailureLimit:
        """Read what an author gave, maybe rendered to a text.

        :param given: a whole number, a fraction below 1, the text of one, or ``None``.
        :raises EspoInputError: none of these.
        """
        value = _number(given)
        if value is None:
            return cls()
        if isinstance(value, int) and value >= 0:
            return cls(number=value)
        if isinstance(value, float) and 0 <= value < 1:
            return cls(share=value)
        raise EspoInputError(
            "max_failures is neither a whole number of 0 or more nor a share below 1",
            hint="20 lets 20 rows fail, 0.05 lets one in twenty fail, None any number",
        )

    def stops(self, failed: int) -> bool:
        """Whether so many failures are too many whatever comes."""
        return self.number is not None and failed > self.number

    def exceeded(self, failed: int, rows: int) -> bool:
        """Whether so many failures are too many in the end.

        :param failed: rows that failed.
        :param rows: all rows.
        """
        if self.share is not None:
            return failed > self.share * rows
        return self.stops(failed)

    def __str__(self) -> str:
        if self.share is not None:
            return f"{self.share:g} of all"
        return "any number" if self.number is None else str(self.number)


def _number(given: object) -> int | float | None:
    if isinstance(given, str):
        text = given.strip()
        try:
            return int(text)
        except ValueError:
            pass
        try:
            return float(text)
        except ValueError:
            raise EspoInputError("max_failures is not a number") from None
    if given is None or (isinstance(given, int | float) and not isinstance(given, bool)):
        return given
    raise EspoInputError("max_failures is not a number")
