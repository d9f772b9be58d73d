"""What the names in a roster's header mean: which columns they are, and which may say who has access.

Pure. docs/csv.md shows the table of spellings.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.domain.characters import find_hidden
from app.imports.errors import UnclearColumns, UnreadableCsv
from app.learners.fields import ACTIVE, EXPIRATION_DATE, ROSTER_COLUMNS
from app.platform.csv_cells import read_cell

MOST_COLUMNS = 200
# In UTF-8. The header is stored with its operation.
MOST_HEADER_BYTES = 16_384
# Bounds of `ignore_columns`, which is stored as well.
MOST_IGNORED = 50
LONGEST_NAME = 255
# How many names, and how much of each, a sentence shows.
_MOST_SHOWN = 20
_LONGEST_SHOWN = 40

# Other spellings of the columns, English and then German, besides their titles. None of them may turn a value around.
SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "username": (
        "Login",
        "Login Name",
        "Login ID",
        "Logon Name",
        "User Login",
        "Account Name",
        "Benutzername",
        "Benutzerkennung",
        "Anmeldename",
        "Nutzername",
    ),
    "external_id": (
        "Employee ID",
        "Employee Number",
        "Employee No",
        "Personnel ID",
        "Personnel Number",
        "Personnel No",
        "Staff ID",
        "Staff Number",
        "Student ID",
        "Student Number",
        "HR ID",
        "ID Number",
        "Externe ID",
        "Personalnummer",
        "Personal-Nr",
        "Mitarbeiter-ID",
        "Mitarbeiternummer",
        "Mitarbeiter-Nr",
        "Matrikelnummer",
    ),
    "email": (
        "Email Address",
        "Mail",
        "Mail Address",
        "E-Mail-Adresse",
        "Mailadresse",
    ),
    "first_name": ("Given Name", "Forename", "Vorname"),
    "last_name": ("Surname", "Family Name", "Nachname", "Familienname"),
    ACTIVE.name: ("Aktiv",),
    EXPIRATION_DATE.name: (
        "Expiration",
        "Expires",
        "Expires On",
        "Expiry",
        "Expiry Date",
        "End Date",
        "Ablaufdatum",
        "Enddatum",
        "Läuft ab am",
    ),
}
# Words around a name that do not change what it means.
_AROUND = ("is", "account", "ist", "konto")
# Longer than every spelling with words around it, so that a name costs little.
_LONGEST_SPELLING = 60

_TITLES = {column.name: column.title for column in ROSTER_COLUMNS}
_ACCESS_COLUMNS = (ACTIVE.name, EXPIRATION_DATE.name)
# The columns that a report adds. An import knows them, because a corrected report can be sent back.
_PROBLEM_COLUMN = "problem"
_REPORT_COLUMNS = {"line", "outcome", _PROBLEM_COLUMN}

_IGNORED_CHARACTERS = re.compile(r"""[\s_\-?*.:'"\u2010-\u2015\u2212]""")
_REMARK = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}")
# Remarks that cannot change what a column about access means: formats, Yes and No, and whether it must be filled in.
_FORMATS = """
yes no y n ja nein j or oder required optional mandatory pflicht pflichtfeld iso 8601 date datum inclusive inklusive
yyyy yy mm m dd d jjjj tt t
"""
_HARMLESS_REMARK = frozenset(_FORMATS.split())
# What speaks of access or its end, in a name without accents, spaces and signs.
_ACCESS = re.compile(
    r"suspen|activ(?!it)|aktiv(?!it)|enabl|disable|delet|remov|blocked|blocki|(?<![bcf])lock(?:ed|out)|unlock"
    r"|terminat|expir|valid(?!at)|status|banned|barred|frozen|freez|archiv|revok|cancel|withdraw|dormant|lapse|ceas"
    r"|allowed|permitted|denied|forbid|authori[sz]ed|can(?:log|sign)[io]n|no(?:log|sign)[io]n"
    r"|enddate|endson|until|lastday|lastworking|finalday|leaving|leaver|leavedate|leaveday|exit|resign|dismiss"
    r"|departed|departure|separat|offboard|retire|closed|closure|quitdate"
    r"|accountcontrol|deprovision|former|onhold|paused|discharg|restrict|prohibit|fired|maylog|granted"
    r"|stopdate|finishdate|dropdate|todate|dateto|stillgelegt|pausiert|ruhend|ehemalig|terminiert|widerruf|abgemeldet"
    r"|abmelde|ausgeschloss|zustand"
    r"|(?:contract|employment|access|membership|service|term|assignment|enroll?ment|licen[sc]e)ends?(?:$|on|date)"
    r"|access(?!ed|ib|or)"
    r"|sperr|losch|loesch|gultig|gueltig|ablauf|lauftab|laeuftab|abgelaufen|enddatum|austritt|ausgetreten"
    r"|ausscheid|ausgeschied|kundig|kuendig|beend|befrist|entlass|abgang|verlass|freigegeben|freigabe|freigeschalt"
    r"|freischalt|zugang|zugriff|erlaubt|berechtig|gesperrt|storniert|letzter(?:arbeits)?tag"
    r"|(?:vertrags?|dienst|beschaftigungs|beschaeftigungs|arbeits|laufzeit|zugangs|ausbildungs|mitgliedschafts)ende"
)
# Words that speak of it only when they stand alone: "end" is also in Gender, and "state" in Estate.
_WORDS = "state end ends ended ending till thru through left block lock ban quit bis ende employed"
_ACCESS_WORDS = frozenset(_WORDS.split())
# The last time that somebody used their access says nothing about the next.
_USE = re.compile(r"(?:last|latest|first|recent|letzter?|erster?)(?:training)?(?:access|zugang|zugriff)")
# Of these, what speaks of a day rather than of Yes or No.
_END = re.compile(
    r"expir|valid|until|termination|enddat|endson|ends?$|enddate|ablauf|abgelaufen|lauftab|laeuftab|last|final|leav"
    r"|left|exit|resign|depart|separation|retire|austritt|ausscheid|ausgeschied|ausgetreten|kundig|kuendig|befrist"
    r"|gultig|gueltig|ende$|letzter|bis$|till$|thru$|through$|closure|quitdate|stopdate|finishdate|dropdate|todate"
    r"|dateto|dischargedate|abmelde"
)
_END_WORDS = frozenset(["end", "ends", "ending", "ende", "till", "thru", "through", "bis", "left"])
_BEGIN = re.compile(r"from|since|start|begin|seit|(?:ab|von)$")


class RecognizedName(NamedTuple):
    """The roster column that a name in a header stands for, and whether it is the column's own title."""

    column: str
    is_title: bool


@dataclass(frozen=True, slots=True)
class Header:
    """The names in a header, and what an import makes of them.

    `columns` says at which index the known columns are, Username or External ID among them. `unknown` holds the names
    that are not read although no one asked for that.
    """

    names: tuple[str, ...]
    columns: Mapping[str, int]
    unknown: tuple[str, ...]


def read_header(
    cells: Sequence[str], line: int, other_delimiters: str, ignore_columns: Sequence[str] = ()
) -> Header:
    """Find the columns in the cells of a header, of which at least one is not empty.

    `ignore_columns` names columns that are not read: each entry is one name, or several with commas between them.
    Raises UnreadableCsv if the header is too large, names no key or names a column twice, and if a column may say
    who has access but is not understood.
    """
    names = [cell.strip() for cell in cells]
    while not names[-1]:
        names.pop()
    _check_size(names, line)
    ignored = _find_ignored(names, ignore_columns)
    asked = {index: name for index, name in enumerate(names) if index not in ignored}
    columns = _find_columns(asked, line)
    unknown = {
        index: name
        for index, name in asked.items()
        if index not in columns.values() and not is_report_column(name)
    }
    _refuse_mixed_delimiters(unknown.values(), line, other_delimiters)
    _refuse_access_columns(unknown.values(), line, columns)
    if not columns.keys() & {"username", "external_id"}:
        raise UnreadableCsv(
            f"The header on line {line} has no column Username and no column External ID. It has: "
            f"{list_names(names)}. Rename one of these, or add a column.",
            line,
        )
    return Header(tuple(names), columns, tuple(unknown.values()))


def recognize(name: str) -> RecognizedName | None:
    """Return which column a name stands for.

    Case, accents, spaces, signs such as _ - ? * and the words `is` and `account` around it do not matter, nor does a
    remark in brackets.
    """
    plain = _normalize(name)
    remarks = _REMARK.findall(plain)
    base = _compact(_REMARK.sub(" ", plain) if remarks else plain)
    if base in _COLUMNS_BY_TITLE and not remarks:
        return RecognizedName(_COLUMNS_BY_TITLE[base], is_title=True)
    column = _find_spelling(base)
    if column is None or (column in _ACCESS_COLUMNS and not all(map(_is_harmless, remarks))):
        return None
    return RecognizedName(column, is_title=False)


def find_access_column(name: str) -> str | None:
    """Return the column, Active or Expiration Date, that a name which is not understood may stand for."""
    plain = _normalize(name)
    compact = _USE.sub("", _compact(plain))
    words = set(
        re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", _normalize(name, fold=False)).lower())
    )
    alone = words & _ACCESS_WORDS
    if not alone and not _ACCESS.search(compact):
        return None
    is_end = not _BEGIN.search(compact) and (_END.search(compact) or alone & _END_WORDS)
    return EXPIRATION_DATE.name if is_end else ACTIVE.name


def is_report_column(name: str) -> bool:
    """Return whether the report of an earlier import added this column."""
    return _compact(_normalize(name)) in _REPORT_COLUMNS


def is_problem_column(name: str) -> bool:
    """Return whether this column says what was wrong in an earlier import of the row."""
    return _compact(_normalize(name)) == _PROBLEM_COLUMN


def list_names(names: Sequence[str]) -> str:
    """Return names in quotation marks for a sentence, shortened and not more than twenty."""
    listed = ", ".join(map(quote_name, names[:_MOST_SHOWN]))
    return listed if len(names) <= _MOST_SHOWN else f"{listed} and {len(names) - _MOST_SHOWN} more"


def quote_name(name: str) -> str:
    """Return a name in quotation marks for a sentence, shortened."""
    return repr(name if len(name) <= _LONGEST_SHOWN else f"{name[:_LONGEST_SHOWN]}…")


def _check_size(names: Sequence[str], line: int) -> None:
    if len(names) > MOST_COLUMNS:
        raise UnreadableCsv(
            f"The header on line {line} has {len(names):,} columns. A roster may have {MOST_COLUMNS}. Delete the "
            "columns that Rollcall does not need.",
            line,
        )
    size = sum(len(name.encode()) for name in names)
    if size > MOST_HEADER_BYTES:
        raise UnreadableCsv(
            f"The header on line {line} has {size:,} bytes. It may have {MOST_HEADER_BYTES:,}. Shorten the names of "
            "the columns.",
            line,
        )


def _find_ignored(names: Sequence[str], asked: Sequence[str]) -> frozenset[int]:
    """Return the indexes of the columns that the request names, without regard to case and spaces."""
    indexes: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        indexes.setdefault(_fold(name), []).append(index)
    found: set[int] = set()
    for entry in asked:
        # A name may contain a comma itself, so the whole entry comes first.
        each = [entry] if _fold(entry) in indexes else entry.split(",")
        found.update(index for name in each for index in indexes.get(_fold(name), ()))
    return frozenset(found)


def _fold(name: str) -> str:
    return " ".join(_remove_invisible(name).casefold().split())[:LONGEST_NAME]


def _find_columns(asked: Mapping[int, str], line: int) -> dict[str, int]:
    """Return where the known columns are. The title of a column counts before its other spellings."""
    titles: dict[str, list[int]] = {}
    synonyms: dict[str, list[int]] = {}
    for index, name in asked.items():
        recognized = recognize(name)
        if recognized is not None:
            (titles if recognized.is_title else synonyms).setdefault(recognized.column, []).append(index)
    columns: dict[str, int] = {}
    for column, indexes in (synonyms | titles).items():
        if len(indexes) > 1:
            raise _refuse_twice([asked[index] for index in indexes], column, line)
        columns[column] = indexes[0]
    return dict(sorted(columns.items(), key=lambda item: item[1]))


def _refuse_twice(names: Sequence[str], column: str, line: int) -> UnreadableCsv:
    detail = (
        f"The header on line {line} has the column {_TITLES[column]} twice: {quote_name(names[0])} and "
        f"{quote_name(names[1])}. Keep one of them."
    )
    # To ignore a name ignores every column of that name.
    others = tuple(name for name in names[1:] if _fold(name) != _fold(names[0]))
    return UnclearColumns(detail, others, line) if others else UnreadableCsv(detail, line)


def _refuse_mixed_delimiters(unknown: Iterable[str], line: int, other_delimiters: str) -> None:
    for name in unknown:
        parts = re.split(f"[{re.escape(other_delimiters)}]", name)
        found = {recognized.column for part in parts if (recognized := recognize(part)) is not None}
        # A quoted "Last Name, First Name" is a column of its own.
        if len(parts) > 1 and found - {"first_name", "last_name"}:
            raise UnclearColumns(
                f"The column {quote_name(name)} on line {line} has a second delimiter in its name. Use one delimiter "
                "in the whole file.",
                (name,),
                line,
            )


def _refuse_access_columns(unknown: Iterable[str], line: int, columns: Mapping[str, int]) -> None:
    found = [
        (name, column)
        for name in unknown
        if (column := find_access_column(name)) is not None and column not in columns
    ]
    if found:
        names = tuple(name for name, _ in found)
        raise UnclearColumns(_describe_access_columns(names, found[0][1], line), names[:_MOST_SHOWN], line)


def _describe_access_columns(names: Sequence[str], column: str, line: int) -> str:
    if len(names) > 1:
        return (
            f"The columns {list_names(names)} on line {line} may say who has access, but Rollcall does not know them. "
            "If one of them does, rename it: Active has Yes or No, Expiration Date has the last day of access."
        )
    values = "Yes or No" if column == ACTIVE.name else "the last day of access"
    return (
        f"The column {list_names(names)} on line {line} may say who has access, but Rollcall does not know it. If it "
        f"does, rename it to {_TITLES[column]}, and write {values} in its cells."
    )


def _normalize(name: str, *, fold: bool = True) -> str:
    """Return a name without guards, invisible characters, accents and differences of width, and of case if `fold`."""
    text = unicodedata.normalize("NFKD", _remove_invisible(read_cell(name.strip())))
    text = "".join(character for character in text if not unicodedata.combining(character))
    return text.casefold() if fold else text


def _remove_invisible(name: str) -> str:
    if name.isascii():
        return name
    return "".join(each for each in name if each.isspace() or find_hidden(each) is None)


def _compact(normalized: str) -> str:
    return _IGNORED_CHARACTERS.sub("", normalized)


def _find_spelling(base: str) -> str | None:
    """Return the column of a compact name, with or without the words around it."""
    if len(base) > _LONGEST_SPELLING:
        return None
    tried: set[str] = set()
    left = {base}
    while left:
        name = left.pop()
        if name in _SPELLINGS:
            return _SPELLINGS[name]
        tried.add(name)
        for word in _AROUND:
            left |= {name.removeprefix(word), name.removesuffix(word)} - tried
    return None


def _is_harmless(remark: str) -> bool:
    return set(re.findall(r"[^\W_]+", remark)) <= _HARMLESS_REMARK


_COLUMNS_BY_TITLE = {_compact(_normalize(title)): column for column, title in _TITLES.items()}
_SPELLINGS = _COLUMNS_BY_TITLE | {
    _compact(_normalize(spelling)): column for column, spellings in SYNONYMS.items() for spelling in spellings
}
