"""What is wrong with a request, in plain sentences: the one place where the libraries' words become ours."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# By pydantic's type of error; what stands in braces is the error's context, and `units` what is counted.
_SENTENCES = {
    "missing": "This is required.",
    "extra_forbidden": "There is no such member or parameter.",
    "string_type": "This takes text.",
    "string_too_short": "This takes at least {min_length} {units}.",
    "string_too_long": "This takes at most {max_length} {units}.",
    "too_short": "This takes at least {min_length} {units}.",
    "too_long": "This takes at most {max_length} {units}.",
    "enum": "This takes {expected}.",
    "literal_error": "This takes {expected}.",
    "bool_type": "This takes true or false.",
    "bool_parsing": "This takes true or false.",
    "int_type": "This takes a whole number.",
    "int_parsing": "This takes a whole number.",
    "int_parsing_size": "This takes a whole number, not one of that many digits.",
    "int_from_float": "This takes a whole number.",
    "greater_than_equal": "This takes {ge} or more.",
    "less_than_equal": "This takes {le} or less.",
    "list_type": "This takes a list.",
    "tuple_type": "This takes a list.",
    "dict_type": "This takes an object.",
    "model_type": "This takes an object.",
    "model_attributes_type": "This takes an object.",
    "date_parsing": "There is no such day: {error}.",
    "date_from_datetime_parsing": "There is no such day: {error}.",
    "datetime_parsing": "There is no such instant: {error}.",
    "datetime_from_date_parsing": "There is no such instant: {error}.",
    "datetime_object_invalid": "There is no such instant: {error}.",
}


def describe_errors(found: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The `errors` of a problem, from the errors that pydantic or the framework found; none stands there twice."""
    described = {(_pointer(error), _sentence(error)): None for error in found}
    return [{"pointer": pointer, "detail": detail} for pointer, detail in described]


def describe_unreadable_body(cause: BaseException | None) -> str | None:
    """What is wrong with a body that could not even be parsed, as far as `cause` tells it."""
    if isinstance(cause, UnicodeDecodeError):
        return f"The body is not text in UTF-8: byte {cause.start + 1} of it cannot be read."
    if isinstance(cause, RecursionError):
        return "The body is nested too deeply."
    if isinstance(cause, ValueError):  # of Python's integers
        return "A number in the body has too many digits."
    return None


def _pointer(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid" or not error["loc"]:
        return ""
    place, *path = error["loc"]
    if place == "query":
        return f"?{path[0]}"  # of a repeated parameter all values go by its name
    if place in ("header", "cookie", "path"):
        return f"{place}:" + ".".join(map(str, path))
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def _sentence(error: Mapping[str, Any]) -> str:
    kind, sent, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind == "json_invalid":
        reason = str(context["error"])
        return (
            f"The body is not valid JSON: {reason[:1].lower()}{reason[1:]}, character {error['loc'][-1] + 1}."
        )
    if kind in _SENTENCES:
        sentence = _SENTENCES[kind].format(**context, units=_units(sent, context))
    else:  # a validator of ours, whose message is a sentence already
        sentence = str(error["msg"]).removeprefix("Value error, ").rstrip(".") + "."
    return sentence + _on_commas(error["loc"], sent)


def _units(sent: object, context: Mapping[str, Any]) -> str:
    unit = "character" if isinstance(sent, str) else "item"
    return unit if 1 in (context.get("min_length"), context.get("max_length")) else unit + "s"


def _on_commas(location: Sequence[str | int], sent: object) -> str:
    match location:
        case ("query", str(name), int()) if isinstance(sent, str) and "," in sent:
            return f" For several values repeat the parameter: {name}=…&{name}=…."
    return ""
