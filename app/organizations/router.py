"""`/me`, `/organization` and `/api-keys`."""

from typing import Any

from fastapi import APIRouter, Request, Response

from app.organizations import repository, service
from app.organizations.dependencies import (
    Administrator,
    Anyone,
    AuthenticatedRoute,
    CurrentAuthenticator,
    KeyIdPath,
    key_id_of,
)
from app.organizations.organization import OrganizationChange
from app.organizations.problems import NO_KEY
from app.organizations.schemas import (
    ApiKeyDocument,
    ApiKeyWithSecret,
    MeDocument,
    NewApiKey,
    OrganizationDocument,
    OrganizationPatch,
    present_key,
    present_organization,
)
from app.platform.dependencies import Db, Now
from app.platform.openapi import Tag, answers
from app.platform.paging import (
    INVALID_CURSOR,
    CursorText,
    Limit,
    Page,
    decode_id,
    page_by_id,
)

TAG = Tag(name="administration", description="The organization and its API keys.")
router = APIRouter(tags=["administration"], route_class=AuthenticatedRoute)


@router.get("/me", summary="Show the current API key", response_model=MeDocument)
async def get_me(principal: Anyone) -> Any:
    """Return the organization, the actor and the scopes of the API key that you use."""
    return {
        "organization": present_organization(principal.organization),
        "actor": principal.actor.document(),
        "scopes": sorted(principal.scopes),
    }


@router.get("/organization", summary="Get the organization", response_model=OrganizationDocument)
async def get_organization(principal: Anyone, database: Db) -> Any:
    """Return the organization that your API key belongs to."""
    async with database.read() as connection:
        organization = await repository.get_organization(connection, principal.organization.id)
    return present_organization(organization)


@router.patch("/organization", summary="Change the organization", response_model=OrganizationDocument)
async def patch_organization(
    principal: Administrator, database: Db, authenticator: CurrentAuthenticator, body: OrganizationPatch
) -> Any:
    """Apply a merge patch. A new time zone takes effect in every process within 5 seconds."""
    change = OrganizationChange(**body.model_dump(exclude_unset=True))
    organization = await database.write(repository.update_organization, principal.organization.id, change)
    authenticator.forget()
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
    """Return the organization's keys, newest first, including revoked and expired keys."""
    organization = principal.organization
    cursor_of = [organization.public_id, "api-keys"]
    after = decode_id(cursor_of, cursor)
    async with database.read() as connection:
        found = await repository.list_keys(connection, organization.id, after=after, limit=limit + 1)
    return page_by_id(request, response, cursor_of, found, limit, present_key)


@router.post(
    "/api-keys",
    summary="Create an API key",
    status_code=201,
    response_model=ApiKeyWithSecret,
    responses=answers(status=201, headers=("Cache-Control",)),
)
async def create_api_key(
    response: Response, principal: Administrator, database: Db, now: Now, body: NewApiKey
) -> Any:
    """Create a key. Store the secret now: only this response contains it."""
    created = await database.write(
        service.create_key, principal.organization, body.name, body.scopes, body.expires_at, now
    )
    response.headers["Cache-Control"] = "no-store"
    return present_key(created.key) | {"secret": created.secret}


@router.delete("/api-keys/{key_id}", summary="Revoke an API key", status_code=204, responses=answers(NO_KEY))
async def revoke_api_key(
    principal: Administrator,
    database: Db,
    now: Now,
    authenticator: CurrentAuthenticator,
    key_id: KeyIdPath,
) -> None:
    """Revoke a key. It stops working in every process within 5 seconds and stays in the list. Safe to repeat."""
    await database.write(service.revoke_key, principal.organization.id, key_id_of(key_id), now)
    authenticator.forget()
