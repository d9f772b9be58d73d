"""The console's files: how they are served, and what none of them may hold."""

import re
from pathlib import Path

import pytest

from tests.support.service import Service

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "app" / "console" / "static"
FILES = {
    path.relative_to(STATIC).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(STATIC.rglob("*"))
    if path.is_file()
}
SCRIPTS = {name: text for name, text in FILES.items() if name.endswith(".js")}
LANGUAGES = ("en", "de")
# Of every file together, as a browser gets them; 150 kB would be borne.
MOST_BYTES = 80_000
MEDIA_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
# What would turn text into markup or code, or needs a looser policy than ours.
FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|setHTML|DOMParser|document\.write"
    r"|\beval\b|\bnew Function\b|\bFunction\(|javascript:|\.style\b|\bcssText\b|[\"']style[\"']|srcdoc"
)
ELSEWHERE = re.compile(r"(?:https?:)?//(?!www\.w3\.org/2000/svg)[\w-]+\.[\w.-]+")


# How they are served


@pytest.mark.anyio
async def test_every_file_is_served_as_what_it_is_and_not_kept_without_asking(service: Service) -> None:
    async with service.client() as client:
        for name, text in FILES.items():
            answer = await client.get(f"/console/{name}")
            assert (answer.status_code, answer.text) == (200, text), name
            assert answer.headers["Content-Type"] == MEDIA_TYPES[name.rpartition(".")[2]], name
            assert answer.headers["Cache-Control"] == "no-cache"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.anyio
async def test_the_page_may_run_and_ask_nothing_but_what_is_ours(service: Service) -> None:
    async with service.client() as client:
        page = await client.get("/console/")
    assert page.text == FILES["index.html"]
    policy = {
        directive: sources.split()
        for directive, _, sources in (
            each.partition(" ") for each in page.headers["Content-Security-Policy"].split("; ")
        )
    }
    assert policy == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'none'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["'none'"],
    }


@pytest.mark.anyio
async def test_a_file_that_has_not_changed_is_not_sent_again(service: Service) -> None:
    async with service.client() as client:
        first = await client.get("/console/main.js")
        tag = first.headers["ETag"]
        opaque = tag.removeprefix("W/")
        for known in (tag, opaque, f'"other", {tag}', f'{opaque}, "other"', "*"):
            again = await client.get("/console/main.js", headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag), known
        changed = await client.get("/console/main.js", headers={"If-None-Match": '"other"'})
        assert changed.status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("br", False),
        ("identity", False),
        ("", False),
    ],
)
async def test_a_file_is_sent_compressed_to_who_takes_that(
    service: Service, accepted: str, *, is_compressed: bool
) -> None:
    async with service.client() as client:
        answer = await client.get("/console/console.css", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == ("gzip" if is_compressed else None)
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert (int(answer.headers["Content-Length"]) < len(answer.content)) == is_compressed
    assert answer.text == FILES["console.css"]


@pytest.mark.anyio
async def test_the_address_without_its_slash_leads_to_the_one_with_it(service: Service) -> None:
    async with service.client() as client:
        answer = await client.get("/console")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/console/")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path",
    ["nothing.js", "views", "views/", "..%2frouter.py", "%2e%2e/router.py", "../router.py", "/etc/passwd"],
)
async def test_nothing_else_is_served(service: Service, path: str) -> None:
    async with service.client() as client:
        answer = await client.get(f"/console/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


@pytest.mark.anyio
async def test_the_files_can_only_be_read(service: Service) -> None:
    async with service.client() as client:
        written = await client.put("/console/main.js", content=b"")
        headed = await client.head("/console/main.js", headers={"Accept-Encoding": "identity"})
    assert (written.status_code, written.headers["Allow"]) == (405, "GET, HEAD")
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["Content-Length"] == str(len(FILES["main.js"].encode()))


# What they may not hold


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_makes_markup_or_code_of_text(name: str) -> None:
    assert FORBIDDEN.findall(SCRIPTS[name]) == []


@pytest.mark.parametrize("name", FILES)
def test_nothing_comes_from_elsewhere(name: str) -> None:
    assert ELSEWHERE.findall(FILES[name]) == []


def test_the_page_itself_has_no_inline_style_script_or_handler() -> None:
    assert re.findall(r"\son\w+\s*=|\sstyle\s*=|<style|<script(?![^>]*\ssrc=)", FILES["index.html"]) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_is_checked_and_says_what_lives_there(name: str) -> None:
    assert re.match(r"// @ts-check\n/\*\*", SCRIPTS[name])


def test_every_script_is_used_and_every_file_that_is_named_is_there() -> None:
    named = {"index.html"}
    for name, text in FILES.items():
        folder = Path(name).parent
        paths = re.findall(r"(?:from|import|href=|src=)\s*\(?\"([\w./]+\.\w+)\"", text)
        named |= {(STATIC / folder / path).resolve().relative_to(STATIC).as_posix() for path in paths}
    assert named == set(FILES)


def imported(name: str, known: set[str]) -> set[str]:
    """The script itself and all that it imports, but for what is loaded when it is needed."""
    if name not in known:
        known.add(name)
        for path in re.findall(r"^import .*?from \"([^\"]+)\"", FILES[name], re.MULTILINE):
            imported((STATIC / Path(name).parent / path).resolve().relative_to(STATIC).as_posix(), known)
    return known


def test_what_the_first_view_needs_is_fetched_at_once() -> None:
    needed = imported("main.js", set()) | imported("views/learners.js", set())
    preloaded = re.findall(r"rel=\"modulepreload\" href=\"([^\"]+)\"", FILES["index.html"])
    assert preloaded == sorted(needed - {"main.js"})


@pytest.mark.anyio
async def test_all_that_is_sent_together_is_small(service: Service) -> None:
    async with service.client() as client:
        answers = [await client.get(f"/console/{name}") for name in FILES]
    assert sum(int(answer.headers["Content-Length"]) for answer in answers) <= MOST_BYTES


# The messages


def messages(language: str) -> dict[str, str]:
    """The messages of a language by key; those with plural forms as they stand there."""
    text = FILES[f"messages.{language}.js"]
    found = re.findall(r"^  (?:\"([\w.-]+)\"|(\w+)): (\".*\"|\{.*\}),$", text, re.MULTILINE)
    assert len(found) == sum(line.startswith("  ") for line in text.splitlines()), "one line for each"
    keys = [quoted or bare for quoted, bare, _ in found]
    assert len(keys) == len(set(keys)), "said twice"
    return {quoted or bare: message for quoted, bare, message in found}


def placeholders(message: str) -> set[str]:
    """What a message leaves open."""
    return set(re.findall(r"\{(\w+)\}", message))


def test_every_message_is_there_in_every_language() -> None:
    english, german = messages("en"), messages("de")
    assert list(english) == list(german)
    for key, message in english.items():
        assert placeholders(message) == placeholders(german[key]), key
        assert message.startswith("{") == german[key].startswith("{"), key


def test_every_message_is_said_somewhere_and_every_one_that_is_said_is_there() -> None:
    code = "\n".join(text for name, text in SCRIPTS.items() if not name.startswith("messages."))
    said = set(re.findall(r"\bt\(\s*\"([\w.-]+)\"", code)) | set(re.findall(r"name: \"(nav\.\w+)\"", code))
    assert said <= set(messages("en"))
    # Where a key is put together, what it begins with, and what it ends with where that is fixed too.
    made = [
        re.compile(rf"{re.escape(start)}[\w.-]+{re.escape(end)}$")
        for start, end in re.findall(r"`([\w.]+\.)\$\{[^}]+\}([\w.]*)`", code)
    ]
    quoted = set(re.findall(r"\"([\w.-]+)\"", code))
    for key in messages("en"):
        assert key in said | quoted or any(each.match(key) for each in made), f"nobody says {key}"
