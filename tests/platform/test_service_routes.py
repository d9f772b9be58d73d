"""Health, the service's own description, and a page for each kind of problem."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.platform.problems import CATALOGUE
from app.platform.service_routes import to_yaml
from tests.support.service import Service, run_service
from tests.test_api_document import OPEN

pytestmark = pytest.mark.anyio

EXTERNAL = re.compile(r"(?:src|href|url|import)\s*[=(:]?\s*['\"]?\s*(?:https?:)?//[^'\"\s>)]+", re.IGNORECASE)


async def test_public_route_ignores_credentials(service: Service) -> None:
    async with service.client() as nobody, service.client("rollcall_nonsense") as stranger:
        for path in (
            "/healthz",
            "/readyz",
            "/metrics",
            "/openapi.yaml",
            "/openapi.json",
            "/docs",
            "/problems",
        ):
            assert (await nobody.get(path)).status_code == 200, path
            assert (await stranger.get(path)).status_code == 200, path


async def test_public_route_ignores_unknown_parameters(service: Service) -> None:
    async with service.client() as client:
        for path in sorted(OPEN - {"/docs/assets", "/problems/{code}"} | {"/problems/not-found"}):
            plain, busted = await client.get(path), await client.get(path, params={"_": "1700000000"})
            assert (busted.status_code, path) == (plain.status_code, path)


async def test_healthy_service_is_alive_and_ready(service: Service) -> None:
    async with service.client() as client:
        for path in ("/healthz", "/readyz"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("revision", ["0000", "9999_from_the_future", None])
async def test_service_with_another_schema_is_alive_but_not_ready(
    tmp_path: Path, revision: str | None
) -> None:
    async with run_service(f"sqlite:///{tmp_path}/rollcall.db") as service, service.client() as client:
        async with service.database.engine.begin() as connection:
            await connection.execute(text("DELETE FROM alembic_version"))
            if revision:
                await connection.execute(
                    text("INSERT INTO alembic_version VALUES (:revision)"), {"revision": revision}
                )
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "database-unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        is_known = revision is None
        assert ("rollcall migrate" in answer.json()["detail"]) is is_known
        assert ("newer" in answer.json()["detail"]) is not is_known
        assert (await client.get("/healthz")).status_code == 200


async def test_openapi_is_equal_as_yaml_and_json(service: Service) -> None:
    async with service.client() as client:
        as_yaml = await client.get("/openapi.yaml")
        assert as_yaml.headers["Content-Type"].startswith("application/yaml")
        document = service.app.openapi()
        assert as_yaml.text == to_yaml(document)
        assert (await client.get("/openapi.yaml")).text == as_yaml.text
        assert (await client.get("/openapi.json")).json() == document


async def test_documentation_page_uses_only_local_files(service: Service) -> None:
    async with service.client() as client:
        page = await client.get("/docs")
        assert page.headers["Content-Type"].startswith("text/html")
        assert EXTERNAL.findall(page.text) == []
        assets = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
        assert len(assets) >= 2
        for asset in assets:
            assert asset.startswith("/docs/assets/")
            answer = await client.get(asset)
            assert answer.status_code == 200, asset
            if asset.endswith(".css"):
                assert EXTERNAL.findall(answer.text) == []
        assert "'/openapi.json'" in page.text or '"/openapi.json"' in page.text


async def test_root_redirects_to_documentation(service: Service) -> None:
    async with service.client() as client:
        answer = await client.get("/")
        assert (answer.status_code, answer.headers["Location"]) == (307, "/docs")


async def test_problem_type_has_page_and_json(service: Service) -> None:
    async with service.client() as client:
        for code, kind in CATALOGUE.items():
            page = await client.get(kind.uri, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
            assert page.status_code == 200, code
            assert page.headers["Content-Type"].startswith("text/html")
            assert f"<code>{code}</code>" in page.text
            assert "`" not in page.text
            assert EXTERNAL.findall(page.text) == []
            document = await client.get(kind.uri, headers={"Accept": "application/json"})
            assert document.json() == {
                "type": kind.uri,
                "code": code,
                "status": kind.status,
                "title": kind.title,
                "explanation": kind.explanation,
            }


async def test_catalogue_links_every_problem_type(service: Service) -> None:
    async with service.client() as client:
        listed: list[dict[str, Any]] = (
            await client.get("/problems", headers={"Accept": "application/json"})
        ).json()
        assert [each["code"] for each in listed] == sorted(CATALOGUE)
        page = await client.get("/problems")
        assert page.headers["Content-Type"].startswith("text/html")
        links = re.findall(r'href="([^"]+)"', page.text)
        assert {str(page.url.join(link).path) for link in links} == {kind.uri for kind in CATALOGUE.values()}
        back = re.findall(r'href="([^"]+)"', (await client.get("/problems/not-found")).text)
        assert [str(page.url.join("/problems/not-found").join(link).path) for link in back] == ["/problems"]


async def test_page_escapes_its_texts(service: Service) -> None:
    async with service.client() as client:
        for path in ("/problems", "/problems/not-authenticated"):
            page = (await client.get(path)).text
            assert "<API key>" not in page
        assert "<code>Authorization: Bearer &lt;API key&gt;</code>" in page


async def test_unknown_problem_type_is_404(service: Service) -> None:
    async with service.client() as client:
        for code in ("nonsense", "Not-Found", "%3Cscript%3E"):
            answer = await client.get(f"/problems/{code}")
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
            assert "script" not in answer.text


async def test_problem_page_as_other_media_type_is_406(service: Service) -> None:
    async with service.client() as client:
        for path in ("/problems", "/problems/not-found"):
            answer = await client.get(path, headers={"Accept": "image/png"})
            assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")
