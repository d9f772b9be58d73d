"""The filter of learners, which lists, exports, counts and bulk selections share."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.domain.profile import MAX_EMAIL_LENGTH, MAX_LENGTH, tidy, tidy_spaces
from app.domain.status import Status
from app.platform.fields import Day, PlainText
from app.platform.ids import parse_id

T = TypeVar("T")

MAX_IDS = 1000


def _parse_id(value: str) -> str:
    parsed = parse_id(value)
    if parsed is None:
        raise ValueError("Invalid id: use a UUID, such as 019a8c5e-7c1f-7d55-9b0e-3f6f3b0c2a11.")
    return parsed


LearnerId = Annotated[str, AfterValidator(_parse_id)]
# A text to look up is tidied like a stored one, so that it finds what it created.
TidyText = Annotated[PlainText, AfterValidator(tidy)]
UsernameText = Annotated[PlainText, AfterValidator(tidy_spaces), Field(min_length=1, max_length=MAX_LENGTH)]
ExternalIdText = Annotated[TidyText, Field(min_length=1, max_length=MAX_LENGTH)]
SearchText = Annotated[PlainText, Field(min_length=1, max_length=255)]


def _require_one(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise ValueError("Send at least one value, or leave this out.")
    return values


AtLeastOne = Annotated[
    tuple[T, ...],
    Field(max_length=MAX_IDS, json_schema_extra={"minItems": 1}),
    AfterValidator(_require_one),
]


def _make_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class LearnerFilter(BaseModel):
    """Selects the learners that match every given member. Without any member, it selects all learners."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Annotated[
        AtLeastOne[Status] | None,
        BeforeValidator(_make_list),
        Field(
            description="The learner has one of these statuses today. Can be repeated.", examples=[["active"]]
        ),
    ] = None
    q: Annotated[
        SearchText | None,
        Field(
            description="The name, username or email contains this text. Upper and lower case count as the same."
        ),
    ] = None
    username: Annotated[
        Annotated[TidyText, Field(max_length=MAX_LENGTH)] | None,
        Field(
            description="The learner has this username. Case, width and the number of spaces make no difference."
        ),
    ] = None
    email: Annotated[
        Annotated[TidyText, Field(min_length=1, max_length=MAX_EMAIL_LENGTH)] | None,
        Field(description="The learner has this email. Upper and lower case count as the same."),
    ] = None
    external_id: Annotated[
        Annotated[TidyText, Field(max_length=MAX_LENGTH)] | None,
        Field(description="The learner has exactly this external id."),
    ] = None
    expires_before: Annotated[
        Day | None,
        Field(
            description="The expiration date is before this day. Learners without an expiration date do not match."
        ),
    ] = None
    expires_after: Annotated[
        Day | None,
        Field(
            description="The expiration date is after this day. Learners without an expiration date do not match."
        ),
    ] = None
    ids: Annotated[
        AtLeastOne[LearnerId] | None,
        BeforeValidator(_make_list),
        Field(description="The learner has one of these ids, at most 1,000. Can be repeated."),
    ] = None
