"""Sentences about faulty requests: the libraries' error types become the service's own words here."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NO_SUCH_DATE = "This date does not exist: check the month and the day."
NO_SUCH_TIME = "This time does not exist: check the date, the hour and the minute."

# By pydantic's type of error. Braces hold the error's context; `units` is what a length counts.
SENTENCES = {
    "missing": "This is required.",
    "string_type": "Must be text.",
    "string_unicode": "Must be text in UTF-8.",
    "string_too_short": "Must have at least {min_length} {units}.",
    "string_too_long": "Must have at most {max_length} {units}.",
    "too_short": "Must have at least {min_length} {units}.",
    "too_long": "Must have at most {max_length} {units}.",
    "enum": "Must be {expected}.",
    "literal_error": "Must be {expected}.",
    "bool_type": "Must be true or false.",
    "bool_parsing": "Must be true or false.",
    "int_type": "Must be a whole number.",
    "int_parsing": "Must be a whole number.",
    "int_parsing_size": "This number has too many digits.",
    "int_from_float": "Must be a whole number.",
    "finite_number": "Must be a whole number.",
    "out_of_range": "Must be between {lowest} and {highest}.",
    "greater_than_equal": "Must be {ge} or more.",
    "less_than_equal": "Must be {le} or less.",
    "list_type": "Must be a list.",
    "tuple_type": "Must be a list.",
    "dict_type": "Must be a JSON object.",
    "model_type": "Must be a JSON object.",
    "model_attributes_type": "Must be a JSON object.",
    "date_type": NO_SUCH_DATE,
    "date_parsing": NO_SUCH_DATE,
    "date_from_datetime_parsing": NO_SUCH_DATE,
    "date_from_datetime_inexact": NO_SUCH_DATE,
    "datetime_type": NO_SUCH_TIME,
    "datetime_parsing": NO_SUCH_TIME,
    "datetime_from_date_parsing": NO_SUCH_TIME,
    "datetime_object_invalid": NO_SUCH_TIME,
    "timezone_aware": "This time needs a time zone, such as Z or +02:00.",
}
# By the messages of Python's JSON parser.
_JSON_FAULTS = {
    "Expecting value": "A value is missing or misspelled",
    "Expecting property name enclosed in double quotes": "A member name in double quotes is missing",
    "Expecting ':' delimiter": "A colon is missing",
    "Expecting ',' delimiter": "A comma is missing",
    "Illegal trailing comma before end of object": "The last member has a comma after it",
    "Illegal trailing comma before end of array": "The last item has a comma after it",
    "Unterminated string starting at": "A string has no closing quote",
    "Invalid control character at": "A string contains an unescaped control character",
    "Invalid \\escape": "A string contains an unknown escape",
    "Invalid \\uXXXX escape": "A string contains an unknown escape",
    "Extra data": "More text follows after the end",
}


def describe_errors(found: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the `errors` of a problem, each once, from the errors that pydantic or the framework found."""
    described = {(_pointer(error), sentence_for(error)): None for error in found}
    return [{"pointer": pointer, "detail": detail} for pointer, detail in described]


def describe_unreadable_body(cause: BaseException | None) -> str | None:
    """Return why a body could not be parsed, or None if `cause` does not tell."""
    if isinstance(cause, UnicodeDecodeError):
        return f"The body is not text in UTF-8: byte {cause.start + 1} cannot be read."
    if isinstance(cause, RecursionError):
        return "The body is nested too deeply."
    if isinstance(cause, ValueError):  # Python's limit on the digits of an integer
        return "A number in the body has too many digits."
    return None


def describe_json_fault(message: str) -> str:
    """Return what this message of Python's JSON parser says, without a full stop."""
    return _JSON_FAULTS.get(message, "There is a mistake")


def sentence_for(error: Mapping[str, Any]) -> str:
    """Return what is wrong, in one or two sentences, for an error that pydantic or the framework found."""
    kind, sent, context = error["type"], error.get("input"), error.get("ctx", {})
    place = tuple(error["loc"])
    if kind == "json_invalid":
        fault = describe_json_fault(str(context["error"]))
        return f"The body is not valid JSON. {fault} at character {place[-1] + 1}."
    if kind == "missing" and place == ("body",):
        return "The body is missing. Send a JSON object."
    if kind == "extra_forbidden":
        what = "query parameter" if place[0] == "query" else "member"
        return f"Unknown {what}. Check the spelling, or leave it out."
    if kind in ("value_error", "assertion_error"):  # a validator of the service; its message is a sentence
        sentence = f"{context['error']}".rstrip(".") + "."
    else:
        template = SENTENCES.get(kind, "This value is not valid.")
        sentence = template.format(**context, units=_units(sent, context))
    return sentence + _explain_repetition(place, sent)


def _pointer(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid" or not error["loc"]:
        return ""
    place, *path = error["loc"]
    if place == "query":
        return f"?{path[0]}"  # the values of a repeated parameter share its name
    if place in ("header", "cookie", "path"):
        return f"{place}:" + ".".join(map(str, path))
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _units(sent: object, context: Mapping[str, Any]) -> str:
    unit = "character" if isinstance(sent, str) else "item"
    return unit if 1 in (context.get("min_length"), context.get("max_length")) else unit + "s"


def _explain_repetition(place: Sequence[str | int], sent: object) -> str:
    match place:
        case ("query", str(name), int()) if isinstance(sent, str) and "," in sent:
            return f" To send several values, repeat the parameter: {name}=…&{name}=…."
    return ""


def replace_surrogates(text: str) -> str:
    """Return the text with U+FFFD in place of each lone surrogate, which UTF-8 cannot encode."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
