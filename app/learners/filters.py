"""Which learners: the filter of `GET /learners`, of exports, counts and bulk selections alike."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.domain.profile import MAX_EMAIL_LENGTH, MAX_LENGTH, tidy
from app.domain.status import Status
from app.platform.fields import Day, PlainText
from app.platform.ids import parse_id

T = TypeVar("T")

MAX_IDS = 1000


def _as_id(value: str) -> str:
    parsed = parse_id(value)
    if parsed is None:
        raise ValueError("An id is a UUID in its canonical form.")
    return parsed


LearnerId = Annotated[str, AfterValidator(_as_id)]
# What is looked up is tidied like what is stored, so that the same text finds what it made.
TidyText = Annotated[PlainText, AfterValidator(tidy)]
UsernameText = Annotated[TidyText, Field(min_length=1, max_length=MAX_LENGTH)]
SearchText = Annotated[PlainText, Field(min_length=1, max_length=255)]


def _at_least_one(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise ValueError("Give at least one, or leave this out.")
    return values


AtLeastOne = Annotated[
    tuple[T, ...],
    Field(max_length=MAX_IDS, json_schema_extra={"minItems": 1}),
    AfterValidator(_at_least_one),
]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class LearnerFilter(BaseModel):
    """Learners for which every given member holds; without any, all learners."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Annotated[
        AtLeastOne[Status] | None,
        BeforeValidator(_listed),
        Field(description="Has one of these statuses today. Repeatable.", examples=[["active"]]),
    ] = None
    q: Annotated[
        SearchText | None, Field(description="Is part of the name, username or email, in any case.")
    ] = None
    username: Annotated[
        Annotated[TidyText, Field(max_length=MAX_LENGTH)] | None,
        Field(description="Has exactly this username, in any case."),
    ] = None
    email: Annotated[
        Annotated[TidyText, Field(min_length=1, max_length=MAX_EMAIL_LENGTH)] | None,
        Field(description="Has exactly this email, in any case."),
    ] = None
    external_id: Annotated[
        Annotated[TidyText, Field(max_length=MAX_LENGTH)] | None,
        Field(description="Has exactly this external id."),
    ] = None
    expires_before: Annotated[
        Day | None, Field(description="Expires before this day; never for those without a date.")
    ] = None
    expires_after: Annotated[
        Day | None, Field(description="Expires after this day; never for those without a date.")
    ] = None
    ids: Annotated[
        AtLeastOne[LearnerId] | None,
        BeforeValidator(_listed),
        Field(description="Has one of these ids, up to 1,000. Repeatable."),
    ] = None
