"""Phone numbers: the international form, and whether a number can exist.

A number is taken if it begins with ``+``, a calling code that exists, and has a length that is used there.
(The real server asks a library that also knows which ranges are in use; a number of the right length in an
unused range is taken here and refused there.)
"""

from __future__ import annotations

import re

#: Calling code -> shortest and longest national number, where it is narrower than what the standard allows.
LENGTHS: dict[str, tuple[int, int]] = {
    "1": (10, 10), "7": (10, 10), "20": (8, 10), "27": (9, 9), "30": (10, 11), "31": (9, 11), "32": (8,
    9), "33": (9, 9), "34": (9, 9), "36": (8, 9), "39": (6, 12), "40": (9, 9), "41": (9, 9), "43": (4,
    13), "44": (9, 10), "45": (8, 8), "46": (7, 10), "47": (5, 8), "48": (9, 9), "49": (4, 13), "51": (8,
    9), "52": (10, 10), "53": (6, 8), "54": (10, 11), "55": (10, 11), "56": (9, 11), "57": (8, 11), "58":
    (10, 10), "60": (8, 10), "61": (6, 10), "62": (7, 12), "63": (6, 10), "64": (8, 10), "65": (8, 11),
    "66": (8, 10), "81": (9, 11), "82": (8, 12), "84": (7, 10), "86": (7, 12), "90": (10, 10), "91": (8,
    11), "92": (8, 12), "93": (9, 9), "94": (7, 9), "95": (6, 10), "98": (4, 10), "351": (9, 9), "352":
    (4, 11), "353": (7, 10), "354": (7, 9), "356": (8, 8), "357": (8, 8), "358": (5, 12), "359": (6, 9),
    "370": (8, 8), "371": (8, 8), "372": (7, 10), "380": (9, 10), "385": (6, 9), "386": (5, 8), "420": (9,
    12), "421": (6, 9), "852": (5, 11), "886": (7, 10), "961": (7, 8), "962": (8, 9), "965": (7, 8),
    "966": (9, 10), "971": (5, 12), "972": (7, 12), "974": (7, 8), "994": (9, 9), "995": (6, 9),
}  # fmt: skip
#: Further calling codes, by their first two digits.
OTHER_CODES = frozenset(
    f"{tens}{digit}"
    for tens, digits in {
        "21": "12368",
        "22": "0123456789",
        "23": "0123456789",
        "24": "0123456789",
        "25": "01234567 8",
        "26": "012345689",
        "29": "01789",
        "35": "05",
        "37": "345678",
        "38": "12379",
        "42": "3",
        "50": "0123456789",
        "59": "0123456789",
        "67": "02345678 9",
        "68": "0123456789",
        "69": "012",
        "80": "08",
        "85": "0356",
        "87": "08",
        "88": "0",
        "96": "0347 8",
        "97": "0356 7",
        "99": "2368",
    }.items()
    for digit in digits.replace(" ", "")
)
STANDARD_LENGTH = (4, 14)
#: Calling codes behind which a zero is part of the number.
CODES_WITH_ZERO = frozenset({"39", "225", "241", "242"})
WRITTEN = re.compile(r"\+?[0-9][0-9 ()./\-]*|\+?\([0-9][0-9 ()./\-]*")


def canonical(text: str) -> str:
    """A number as it is stored: ``+`` and digits; text that is no international number stays as it is."""
    stripped = text.strip()
    if not stripped.startswith("+") or not WRITTEN.fullmatch(stripped):
        return stripped
    digits = digits_of(stripped)
    code = calling_code(digits)
    if code and code not in CODES_WITH_ZERO:
        # the zero that is dialled within a country, as in +49 (0)30
        digits = code + digits[len(code) :].removeprefix("0")
    return f"+{digits}"


def calling_code(digits: str) -> str:
    """The calling code that a number begins with; empty if there is no such code."""
    return next((digits[:n] for n in (1, 2, 3) if digits[:n] in LENGTHS or digits[:n] in OTHER_CODES), "")


def is_possible(number: str) -> bool:
    """Whether a number in international form can exist: calling code and length."""
    match = re.fullmatch(r"\+([1-9][0-9]{4,14})", number)
    code = calling_code(match[1]) if match else ""
    if match is None or not code:
        return False
    shortest, longest = LENGTHS.get(code, STANDARD_LENGTH)
    return shortest <= len(match[1]) - len(code) <= longest


def digits_of(number: str) -> str:
    """Only the digits, for comparisons."""
    return re.sub(r"\D", "", number)
