"""Many learners, what is asked of them, and what the contract says the answer is: the oracle of the lists."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from app.domain.profile import fold, fold_username, sort_form
from tests.support.service import Api

Document = dict[str, Any]


@dataclass(frozen=True)
class Roster:
    """An organization's learners, as the service itself answers each of them."""

    api: Api
    learners: list[Document]

    def matching(self, **wanted: Any) -> list[Document]:
        """Those who match every given member of a filter."""
        return [
            learner
            for learner in self.learners
            if all(MATCHES[name](learner, value) for name, value in wanted.items())
        ]


def _searched(learner: Document) -> Iterable[str]:
    yield " ".join(part for part in (learner["first_name"], learner["last_name"]) if part)
    yield learner["username"]
    yield learner["email"] or ""


def _expires(learner: Document) -> date | None:
    return None if learner["expires_on"] is None else date.fromisoformat(learner["expires_on"])


MATCHES: dict[str, Callable[[Document, Any], bool]] = {
    "status": lambda learner, wanted: learner["status"] in wanted,
    "q": lambda learner, wanted: any(fold(wanted) in fold(text) for text in _searched(learner)),
    # Outer spaces are taken off what is looked up, as off what is stored.
    "username": lambda learner, wanted: fold_username(learner["username"]) == fold_username(wanted),
    "email": lambda learner, wanted: (
        learner["email"] is not None and fold(learner["email"]) == fold(wanted.strip())
    ),
    "external_id": lambda learner, wanted: learner["external_id"] == wanted.strip(),
    "expires_before": lambda learner, wanted: (
        learner["expires_on"] is not None and learner["expires_on"] < wanted
    ),
    "expires_after": lambda learner, wanted: (
        learner["expires_on"] is not None and learner["expires_on"] > wanted
    ),
    "ids": lambda learner, wanted: learner["id"] in wanted,
}
# By what each order compares; ties by id, except that usernames and ids have none.
SORTS: dict[str, Callable[[Document], Any]] = {
    "username": lambda learner: fold_username(learner["username"]),
    "last_name": lambda learner: (sort_form(learner["last_name"] or ""), learner["id"]),
    "created_at": lambda learner: learner["id"],
    "updated_at": lambda learner: (datetime.fromisoformat(learner["updated_at"]), learner["id"]),
    "expires_on": lambda learner: (_expires(learner) or date.max, learner["id"]),
}


def in_order(learners: Iterable[Document], sort: str) -> list[Document]:
    """The learners as `sort` has them."""
    return sorted(learners, key=SORTS[sort.removeprefix("-")], reverse=sort.startswith("-"))


async def walk(api: Api, **params: Any) -> list[Document]:
    """Every learner of a list, page by page, as the `Link` header leads."""
    found: list[Document] = []
    answer = await api.client.get("/learners", params=params)
    while True:
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += page["items"]
        assert len(page["items"]) <= params.get("limit", 50)
        assert (page["next_cursor"] is None) == ("next" not in answer.links)
        if page["next_cursor"] is None:
            return found
        answer = await api.client.get(answer.links["next"]["url"])
