"""`/me`, `/organization` and `/api-keys`."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from app.organizations import repository, service
from app.organizations.api_keys import ApiKey
from app.organizations.dependencies import AUTHENTICATOR, Administrator, Anyone, AuthenticatedRoute
from app.organizations.errors import ApiKeyNotFound
from app.organizations.organization import Organization
from app.organizations.problems import NO_KEY
from app.organizations.schemas import (
    ApiKeyDocument,
    IssuedApiKey,
    MeDocument,
    NewApiKey,
    OrganizationDocument,
    OrganizationPatch,
    present_key,
    present_organization,
)
from app.platform.dependencies import Db, Now
from app.platform.ids import parse_id
from app.platform.openapi import Tag, answers
from app.platform.paging import (
    INVALID_CURSOR,
    CursorText,
    Limit,
    Page,
    decode_id,
    page_by_id,
)
from app.platform.problems import INVALID_REQUEST, Problem

TAG = Tag(name="administration", description="The organization and its API keys.")
router = APIRouter(tags=["administration"], route_class=AuthenticatedRoute)


@router.get("/me", summary="Who am I?", response_model=MeDocument)
async def get_me(principal: Anyone) -> Any:
    """The organization, the actor and the scopes that the credential stands for."""
    return {
        "organization": present_organization(principal.organization),
        "actor": principal.actor.document(),
        "scopes": sorted(principal.scopes),
    }


@router.get("/organization", summary="Get the organization", response_model=OrganizationDocument)
async def get_organization(principal: Anyone, database: Db) -> Any:
    """The organization that the credential names."""
    async with database.read() as connection:
        organization = await repository.get_organization(connection, principal.organization.id)
    return present_organization(organization)


@router.patch("/organization", summary="Change the organization", response_model=OrganizationDocument)
async def patch_organization(
    request: Request, principal: Administrator, database: Db, body: OrganizationPatch
) -> Any:
    """A merge patch. A new time zone holds everywhere within 5 seconds."""
    values = body.model_dump(exclude_unset=True)

    async def transaction(connection: AsyncConnection) -> Organization:
        return await repository.update_organization(connection, principal.organization.id, values)

    organization = await database.write(transaction)
    AUTHENTICATOR.of(request.app).forget()
    return present_organization(organization)


@router.get(
    "/api-keys",
    summary="List API keys",
    response_model=Page[ApiKeyDocument],
    responses=answers(INVALID_CURSOR),
)
async def list_api_keys(
    request: Request,
    response: Response,
    principal: Administrator,
    database: Db,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Any:
    """The organization's keys, newest first; revoked and expired ones too."""
    organization = principal.organization
    cursor_of = [organization.public_id, "api-keys"]
    after = decode_id(cursor_of, cursor)
    async with database.read() as connection:
        found = await repository.list_keys(connection, organization.id, after=after, limit=limit + 1)
    return page_by_id(request, response, cursor_of, found, limit, present_key)


@router.post(
    "/api-keys",
    summary="Issue an API key",
    status_code=201,
    response_model=IssuedApiKey,
    responses=answers(status=201, headers=("Cache-Control",)),
)
async def create_api_key(
    response: Response, principal: Administrator, database: Db, now: Now, body: NewApiKey
) -> Any:
    """The secret is in this answer and nowhere else."""
    if body.expires_at is not None and body.expires_at <= now:
        detail = "This is in the past; the key could never be used."
        raise Problem(INVALID_REQUEST, detail, errors=[{"pointer": "/expires_at", "detail": detail}])

    async def transaction(connection: AsyncConnection) -> tuple[ApiKey, str]:
        return await service.issue_key(
            connection, principal.organization, body.name, body.scopes, body.expires_at, now
        )

    key, secret = await database.write(transaction)
    response.headers["Cache-Control"] = "no-store"
    return present_key(key) | {"secret": secret}


@router.delete("/api-keys/{key_id}", summary="Revoke an API key", status_code=204, responses=answers(NO_KEY))
async def revoke_api_key(
    request: Request,
    principal: Administrator,
    database: Db,
    now: Now,
    key_id: Annotated[
        str, Path(description="The key's id.", examples=["019a8c5e-0000-7000-8000-000000000001"])
    ],
) -> None:
    """In force everywhere within 5 seconds. Safe to repeat; the key stays in the list."""
    identifier = parse_id(key_id)
    if identifier is None:
        raise ApiKeyNotFound

    async def transaction(connection: AsyncConnection) -> None:
        await service.revoke_key(connection, principal.organization.id, identifier, now)

    await database.write(transaction)
    AUTHENTICATOR.of(request.app).forget()
