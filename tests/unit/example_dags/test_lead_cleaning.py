"""What becomes of a file of leads before anything of it goes to the CRM."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import lead_cleaning
import pytest

HEADER = ",".join(lead_cleaning.COLUMNS)
Clean = Callable[..., lead_cleaning.Cleaned]


@pytest.fixture
def clean(tmp_path: Path) -> Clean:
    """Clean a file of these lines below the header."""

    def run(*lines: str, header: str = HEADER, end: str = "\n", encoding: str = "utf-8") -> lead_cleaning.Cleaned:
        file = tmp_path / "leads.csv"
        file.write_bytes("".join(line + end for line in (header, *lines)).encode(encoding))
        return lead_cleaning.clean_file(file)

    return run


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[[bytes], str]:
    """Return what is said of a file that is none."""

    def run(content: bytes) -> str:
        file = tmp_path / "leads.csv"
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"^leads\.csv") as caught:
            lead_cleaning.clean_file(file)
        # A decoder's error would show the content to whoever logs the chain.
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return str(caught.value)

    return run


def phone(text: str, country: str = "DE") -> str:
    return lead_cleaning.clean_phone(text, country, [])


# Phone numbers


@pytest.mark.parametrize(
    "text",
    [
        "+49 351 13800277",
        "0049 351 13800277",
        "0351/13800277",
        "(0351) 138-00277",
        "+49 (0)351 13800277",
        "0351.138.00277 ext. 12",
        "0351 13800277x12",
        "0351 13800277 Durchwahl 12",
        "+49 0351 13800277",
        "0049 0351 13800277",
        "49 351 13800277",
        "tel: +49 351 13800277",
        "Tel. 0351 13800277",
        # As wide letters, the way it comes out of some forms.
        "".join(chr(ord(char) + 0xFEE0) for char in "+4935113800277"),
    ],
)
def test_all_notations_of_a_phone_number_give_the_same_number(text: str) -> None:
    assert phone(text) == "+4935113800277"


@pytest.mark.parametrize(
    ("text", "country", "number"),
    [
        ("(415) 555-2671", "US", "+14155552671"),
        ("1-415-555-2671", "US", "+14155552671"),
        ("415.555.2671", "us", "+14155552671"),
        ("020 7946 0958", "GB", "+442079460958"),
        ("067 633 08 05", "UA", "+380676330805"),
        ("380676330805", "UA", "+380676330805"),
        # A Polish number may begin as the country code does.
        ("48 123 45 67", "PL", "+48481234567"),
        # The country's name does not count where the number says it.
        ("+33 6 12 34 56 78", "DE", "+33612345678"),
        ("+33 6 12 34 56 78", "", "+33612345678"),
    ],
)
def test_a_phone_number_is_read_as_its_country_does(text: str, country: str, number: str) -> None:
    assert phone(text, country) == number


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("call the office", "DE"),
        ("n/a", "DE"),
        ("-", "DE"),
        ("0351 13800277", ""),
        ("0351 13800277", "XX"),
        ("12", "DE"),
        ("+999 123456", "DE"),
        ("06 12 34 56 78 99", "FR"),
        ("٠٣٥١٣٨٠٠", "DE"),
    ],
)
def test_what_cannot_be_dialled_is_left_out_and_noted(text: str, country: str) -> None:
    notes: list[str] = []
    assert lead_cleaning.clean_phone(text, country, notes) == ""
    assert len(notes) == 1
    assert "phone number left out" in notes[0]
    assert text not in notes[0]


def test_no_phone_number_is_nothing_to_note() -> None:
    notes: list[str] = []
    assert lead_cleaning.clean_phone("", "DE", notes) == ""
    assert notes == []


# E-mail addresses


@pytest.mark.parametrize(
    "text", ["Anna.Nowak@Example.com", "mailto:anna.nowak@example.com", "MAILTO:anna.nowak@example.com"]
)
def test_forms_of_an_email_address_give_one(text: str) -> None:
    assert lead_cleaning.clean_email(text) == "anna.nowak@example.com"
    assert lead_cleaning.clean_email(f"<{text}>; ") == "anna.nowak@example.com"


@pytest.mark.parametrize(
    "text",
    [
        "anna",
        "anna@",
        "@example.com",
        "anna@example",
        "anna at example.com",
        "a b@example.com",
        "a@b@example.com",
        "anna..nowak@example.com",
        "anna.@example.com",
        "anna@-example.com",
        "a@example.com, b@example.com",
    ],
)
def test_what_is_no_email_address_rejects_the_row_without_repeating_it(text: str) -> None:
    with pytest.raises(lead_cleaning.Reject) as caught:
        lead_cleaning.clean_email(text)
    assert str(caught.value) == "not an e-mail address"


# Sources and dates


def test_a_source_is_what_espocrm_knows() -> None:
    notes: list[str] = []
    assert lead_cleaning.clean_source("Reseller", notes) == "Partner"
    assert lead_cleaning.clean_source("", notes) == ""
    assert notes == []
    assert lead_cleaning.clean_source("carrier pigeon", notes) == "Other"
    assert notes == ["unknown source: taken for Other"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2026-11-04T11:10:00+01:00", "2026-11-04 10:10 UTC"),
        ("2026-11-05 16:10-05:00", "2026-11-05 21:10 UTC"),
        ("2026-11-05T23:30:00-0500", "2026-11-06 04:30 UTC"),
        ("2026-11-05T09:10:00Z", "2026-11-05 09:10 UTC"),
        ("2026-11-05T09:10:00.250Z", "2026-11-05 09:10 UTC"),
        # Nobody said where it was ten past nine.
        ("2026-11-05 09:10", "2026-11-05 09:10"),
        ("2026-11-05", "2026-11-05"),
    ],
)
def test_a_time_is_told_in_utc_and_nothing_is_made_up(text: str, words: str) -> None:
    notes: list[str] = []
    assert lead_cleaning.describe(text, "", notes) == f"Met on {words}."
    assert notes == []


@pytest.mark.parametrize(
    "text",
    # A weekday would be another day each time the file is read, and 04/11 is in April or in November.
    [
        "Tuesday",
        "second day",
        "??",
        "04/11/2026",
        "04.11.2026",
        "2026",
        "2026-11",
        "12:30",
        "P1D",
        "2026-W45",
        "2026-02-30",
        "2026-11-04 24:10",
        "0001-01-01T00:00:00+14:00",
        "2026-11-04T10:00:00+01:00 or so",
    ],
)
def test_a_date_that_is_not_understood_is_left_out_and_noted(text: str) -> None:
    notes: list[str] = []
    assert lead_cleaning.describe(text, "wants a call", notes) == "wants a call"
    assert notes == ["date not understood: left out"]


# Rows


def test_a_row_becomes_a_lead(clean: Clean) -> None:
    cleaned = clean(
        " Matthias ,Weiß,Solarhof eG,M.Weiss@example.org,0351/13800277,DE,reseller,2026-11-04T11:10+01:00,call back"
    )
    assert cleaned.leads == [
        {
            "line": 2,
            "firstName": "Matthias",
            "lastName": "Weiß",
            "accountName": "Solarhof eG",
            "emailAddress": "m.weiss@example.org",
            "source": "Partner",
            "phoneNumber": "+4935113800277",
            "description": "Met on 2026-11-04 10:10 UTC. call back",
        }
    ]
    assert (cleaned.rows, cleaned.rejects, cleaned.notes) == (1, [], [])


def test_an_empty_cell_says_nothing(clean: Clean) -> None:
    assert clean(",Weiß,,w@example.org").leads == [{"line": 2, "lastName": "Weiß", "emailAddress": "w@example.org"}]


def test_one_name_is_the_last_name(clean: Clean) -> None:
    cleaned = clean("Cher,,,cher@example.org")
    assert cleaned.leads[0]["lastName"] == "Cher"
    assert "firstName" not in cleaned.leads[0]
    assert cleaned.notes == [{"line": 2, "note": "one name only: taken for the last name"}]


def test_bad_rows_are_told_by_line_and_the_rest_goes_on(clean: Clean) -> None:
    cleaned = clean(
        "A,One,,one@example.org,,,,,",
        "B,Two,,,,,,,",
        ",,,three@example.org,,,,,",
        "C,Four,,four at example.org,,,,,",
        "D,Five,Acme, Inc.,five@example.org,,,,,",
        ",,Acme,six@example.org,,,,,",
    )
    assert cleaned.rows == 6
    assert [lead["line"] for lead in cleaned.leads] == [2, 7]
    assert cleaned.rejects == [
        {"line": 3, "reason": "no e-mail address"},
        {"line": 4, "reason": "neither name nor company"},
        {"line": 5, "reason": "not an e-mail address"},
        {"line": 6, "reason": "more cells than columns: a comma outside of quotation marks?"},
    ]


def test_doubles_are_merged_into_the_first_and_the_last_word_counts(clean: Clean) -> None:
    cleaned = clean(
        "Anna,Nowak,Acme,anna@example.org,,,call,,first",
        "Bo,Lind,,bo@example.org,,,,,",
        "Anna,Nowak-Berg,,ANNA@example.org,,,,,second",
    )
    assert [lead["line"] for lead in cleaned.leads] == [2, 3]
    assert cleaned.leads[0] == {
        "line": 2,
        "firstName": "Anna",
        "lastName": "Nowak-Berg",
        "accountName": "Acme",
        "emailAddress": "anna@example.org",
        "source": "Call",
        "description": "second",
    }
    assert cleaned.notes == [{"line": 4, "note": "same e-mail address as an earlier line: merged", "of": 2}]


def test_columns_may_stand_in_any_order_and_case_and_others_beside_them(clean: Clean) -> None:
    columns = [*reversed(lead_cleaning.COLUMNS), "badge"]
    cells = {"last_name": "Nowak", "email": "n@example.org", "badge": "17"}
    cleaned = clean(",".join(cells.get(one, "") for one in columns), header=",".join(columns).upper())
    assert cleaned.leads == [{"line": 2, "lastName": "Nowak", "emailAddress": "n@example.org"}]


# Lines


def test_lines_are_counted_over_line_breaks_in_quotes_and_blank_lines(clean: Clean) -> None:
    cleaned = clean(
        '"Anna",Nowak,,anna@example.org,,,,,"first\nsecond ""quoted""\nthird"',
        "",
        "",
        "Bo,Lind,,bo@example.org",
        '"","",,,,,,,"no\naddress"',
        "Cy,Moe,,not one",
    )
    assert [lead["line"] for lead in cleaned.leads] == [2, 7]
    assert cleaned.leads[0]["description"] == 'first second "quoted" third'
    assert [(one["line"], one.get("to_line")) for one in cleaned.rejects] == [(8, 9), (10, None)]
    assert cleaned.rows == 4


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends_of_other_systems_are_line_ends(clean: Clean, end: str) -> None:
    cleaned = clean(f'Anna,Nowak,,a@example.org,,,,,"one{end}two"', "Bo,Lind,,bo@example.org", "Cy,Moe,,", end=end)
    assert [(lead["line"], lead["lastName"]) for lead in cleaned.leads] == [(2, "Nowak"), (4, "Lind")]
    assert cleaned.leads[0]["description"] == "one two"
    assert [one["line"] for one in cleaned.rejects] == [5]


def test_a_byte_order_mark_is_no_part_of_the_first_column(clean: Clean) -> None:
    assert clean("Zoë,Ángel,,z@example.org", encoding="utf-8-sig").leads[0]["firstName"] == "Zoë"


def test_rows_that_a_quotation_mark_swallowed_are_told_with_their_lines(clean: Clean) -> None:
    cleaned = clean(
        "Anna,Nowak,,anna@example.org",
        '"Bo,Lind,,bo@example.org',
        "Cy,Moe,,cy@example.org",
        '"Di",Ray,,di@example.org',
        "Ed,Fox,,ed@example.org",
    )
    assert [lead["line"] for lead in cleaned.leads] == [2, 6]
    assert [(one["line"], one["to_line"]) for one in cleaned.rejects] == [(3, 5)]
    assert "quotation mark" in str(cleaned.rejects[0]["reason"])


def test_inches_are_no_open_quotation_mark(clean: Clean) -> None:
    assert clean('Anna,Nowak,,anna@example.org,,,,,wants 5" pipes').leads[0]["description"] == 'wants 5" pipes'


# Files that are none


def test_an_empty_file_is_said_to_be_empty(refusal: Callable[[bytes], str]) -> None:
    for content in (b"", b"\n\r\n", b"\xef\xbb\xbf"):
        assert refusal(content) == "leads.csv is empty: not even a header is there"


def test_a_file_with_nothing_but_a_header_has_no_rows(clean: Clean) -> None:
    cleaned = clean()
    assert (cleaned.rows, cleaned.leads, cleaned.rejects) == (0, [], [])


def test_missing_columns_are_named(refusal: Callable[[bytes], str]) -> None:
    header = HEADER.replace("email,", "").replace("source,", "")
    assert refusal(f"{header}\n".encode()) == "leads.csv has no column email, source"


def test_a_file_with_semicolons_says_what_is_wrong(refusal: Callable[[bytes], str]) -> None:
    assert refusal(HEADER.replace(",", ";").encode()).endswith("the columns must be separated by commas")


def test_a_column_that_is_there_twice_is_named(refusal: Callable[[bytes], str]) -> None:
    assert refusal(f"{HEADER},E-Mail,email\n".encode()) == "leads.csv has column email twice"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "utf-16-be"])
def test_another_encoding_is_told_with_the_first_line_that_shows_it(
    refusal: Callable[[bytes], str], encoding: str
) -> None:
    content = f"{HEADER}\nAnna,Nowak,,a@example.org\nJörg,Weiß,,j@example.org\n"
    message = refusal(content.encode(encoding))
    line = 3 if encoding == "latin-1" else 1
    assert message == f"leads.csv, line {line}: this is not UTF-8 text. Save the file as CSV in UTF-8"


def test_a_quotation_mark_that_is_never_closed_is_told_by_its_line(refusal: Callable[[bytes], str]) -> None:
    rows = f'{HEADER}\nAnna,Nowak,,a@example.org\n"Bo,Lind,,bo@example.org\nCy,Moe,,cy@example.org\n'
    assert refusal(rows.encode()) == "leads.csv, line 3: a quotation mark is opened here and never closed"


def test_a_cell_of_endless_length_is_told_by_its_line(refusal: Callable[[bytes], str]) -> None:
    assert refusal(f"{HEADER}\nAnna,{'x' * 200_000}\n".encode()).startswith("leads.csv, line 2: ")


def test_a_file_that_cannot_be_read_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lead_cleaning.clean_file(tmp_path / "leads.csv")
    with pytest.raises(IsADirectoryError):
        lead_cleaning.clean_file(tmp_path)


# What is passed on


def test_a_file_is_known_again_by_its_content(clean: Clean, tmp_path: Path) -> None:
    first = clean("Anna,Nowak,,a@example.org").sha256
    assert first == hashlib.sha256((tmp_path / "leads.csv").read_bytes()).hexdigest()
    assert clean("Anna,Nowak,,a@example.org").sha256 == first
    assert clean("Anna,Nowak,,b@example.org").sha256 != first


def test_what_is_told_of_rows_repeats_nothing_that_stands_in_them(clean: Clean) -> None:
    cleaned = clean("Secret,Person,Acme,secret@example.org,call me,XX,pigeon,Tuesday,x", "Secret,,Acme,secret at home")
    told = str(cleaned.rejects) + str(cleaned.notes)
    for word in ("Secret", "secret", "Person", "Acme", "call me", "pigeon", "Tuesday"):
        assert word not in told


def test_counts_come_with_the_most_frequent_first() -> None:
    rows: list[dict[str, str | int]] = [{"reason": "b"}, {"reason": "c"}, {"reason": "a"}, {"reason": "c"}]
    assert list(lead_cleaning.count_by(rows, "reason").items()) == [("c", 2), ("a", 1), ("b", 1)]


def test_chunks_cover_everything_once() -> None:
    assert lead_cleaning.chunks(5, 2) == [[0, 2], [2, 4], [4, 5]]
    assert lead_cleaning.chunks(4, 4) == [[0, 4]]
    assert lead_cleaning.chunks(0, 4) == []
