"""Which learners: the filter of `GET /learners`, of exports, counts and bulk selections alike."""

from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from app.domain.status import Status
from app.platform.fields import PlainText
from app.platform.ids import parse_id

MAX_IDS = 1000


def _as_id(value: str) -> str:
    parsed = parse_id(value)
    if parsed is None:
        raise ValueError("An id is a UUID in its canonical form.")
    return parsed


LearnerId = Annotated[str, AfterValidator(_as_id)]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class LearnerFilter(BaseModel):
    """Learners for which every given member holds; without any, all learners."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Annotated[
        tuple[Status, ...] | None,
        BeforeValidator(_listed),
        Field(
            min_length=1, description="Has one of these statuses today. Repeatable.", examples=[["active"]]
        ),
    ] = None
    q: Annotated[
        PlainText | None,
        Field(
            min_length=1, max_length=255, description="Is part of the name, username or email, in any case."
        ),
    ] = None
    username: Annotated[
        PlainText | None, Field(max_length=255, description="Has exactly this username, in any case.")
    ] = None
    email: Annotated[
        PlainText | None,
        Field(min_length=1, max_length=320, description="Has exactly this email, in any case."),
    ] = None
    external_id: Annotated[
        PlainText | None, Field(max_length=255, description="Has exactly this external id.")
    ] = None
    expires_before: Annotated[
        date | None, Field(description="Expires before this day; never for those without a date.")
    ] = None
    expires_after: Annotated[
        date | None, Field(description="Expires after this day; never for those without a date.")
    ] = None
    ids: Annotated[
        tuple[LearnerId, ...] | None,
        BeforeValidator(_listed),
        Field(min_length=1, max_length=MAX_IDS, description="Has one of these ids, up to 1,000. Repeatable."),
    ] = None
