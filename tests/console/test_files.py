"""The console's files: how they are served, and what they must not contain."""

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
# Of all files together, and of those for the first view, as a browser receives them.
MOST_BYTES = 95_000
MOST_BYTES_AT_FIRST = 55_000
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
async def test_every_file_has_its_media_type_and_is_revalidated(service: Service) -> None:
    async with service.client() as client:
        for name, text in FILES.items():
            answer = await client.get(f"/console/{name}")
            assert (answer.status_code, answer.text) == (200, text), name
            assert answer.headers["Content-Type"] == MEDIA_TYPES[name.rpartition(".")[2]], name
            assert answer.headers["Cache-Control"] == "no-cache"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.anyio
async def test_policy_allows_only_our_own_sources(service: Service) -> None:
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
async def test_unchanged_file_is_304(service: Service) -> None:
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
async def test_file_is_compressed_if_the_client_accepts_gzip(
    service: Service, accepted: str, *, is_compressed: bool
) -> None:
    async with service.client() as client:
        answer = await client.get("/console/console.css", headers={"Accept-Encoding": accepted})
    assert answer.headers.get("Content-Encoding") == ("gzip" if is_compressed else None)
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert (int(answer.headers["Content-Length"]) < len(answer.content)) == is_compressed
    assert answer.text == FILES["console.css"]


@pytest.mark.anyio
async def test_address_without_slash_redirects(service: Service) -> None:
    async with service.client() as client:
        answer = await client.get("/console")
    assert (answer.status_code, answer.headers["Location"]) == (307, "/console/")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path",
    [
        "nothing.js",
        "learners",
        "learners/",
        "..%2frouter.py",
        "%2e%2e/router.py",
        "../router.py",
        "/etc/passwd",
    ],
)
async def test_unknown_path_is_404(service: Service, path: str) -> None:
    async with service.client() as client:
        answer = await client.get(f"/console/{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


@pytest.mark.anyio
async def test_files_are_read_only(service: Service) -> None:
    async with service.client() as client:
        written = await client.put("/console/main.js", content=b"")
        headed = await client.head("/console/main.js", headers={"Accept-Encoding": "identity"})
    assert (written.status_code, written.headers["Allow"]) == (405, "GET, HEAD")
    assert (headed.status_code, headed.content) == (200, b"")
    assert headed.headers["Content-Length"] == str(len(FILES["main.js"].encode()))


# What they may not hold


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_never_turns_text_into_markup_or_code(name: str) -> None:
    assert FORBIDDEN.findall(SCRIPTS[name]) == []


@pytest.mark.parametrize("name", FILES)
def test_file_names_no_other_host(name: str) -> None:
    assert ELSEWHERE.findall(FILES[name]) == []


def test_page_has_no_inline_style_script_or_handler() -> None:
    assert re.findall(r"\son\w+\s*=|\sstyle\s*=|<style|<script(?![^>]*\ssrc=)", FILES["index.html"]) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_type_checked_and_has_a_comment(name: str) -> None:
    assert re.match(r"// @ts-check\n/\*\*", SCRIPTS[name])


def test_every_file_is_used_and_every_used_file_exists() -> None:
    named = {"index.html"}
    for name, text in FILES.items():
        folder = Path(name).parent
        paths = re.findall(r"(?:from|import|href=|src=)\s*\(?\"([\w./]+\.\w+)\"", text)
        named |= {(STATIC / folder / path).resolve().relative_to(STATIC).as_posix() for path in paths}
    assert named == set(FILES)


def imported(name: str, known: set[str]) -> set[str]:
    """Find the script and everything that it imports statically."""
    if name not in known:
        known.add(name)
        for path in re.findall(r"^import .*?from \"([^\"]+)\"", FILES[name], re.MULTILINE):
            imported((STATIC / Path(name).parent / path).resolve().relative_to(STATIC).as_posix(), known)
    return known


def test_page_preloads_exactly_what_the_first_view_imports() -> None:
    needed = imported("main.js", set()) | imported("learners/view.js", set())
    preloaded = re.findall(r"rel=\"modulepreload\" href=\"([^\"]+)\"", FILES["index.html"])
    assert preloaded == sorted(needed - {"main.js"})


@pytest.mark.anyio
async def test_files_are_small_together_and_for_the_first_view(service: Service) -> None:
    async with service.client() as client:
        sizes = {
            name: int((await client.get(f"/console/{name}")).headers["Content-Length"]) for name in FILES
        }
    assert sum(sizes.values()) <= MOST_BYTES
    first = {"index.html", "console.css", "icon.svg", *imported("main.js", set())}
    first |= imported("learners/view.js", set())
    assert sum(sizes[name] for name in first) <= MOST_BYTES_AT_FIRST


def test_lock_file_of_the_type_checker_names_no_registry() -> None:
    assert "://" not in (ROOT / "package-lock.json").read_text(encoding="utf-8")


# The messages

PLURALS = r"\{ (?:\w+: \"[^\"]*\",? ?)+\}"
MESSAGE = re.compile(
    rf'^  (?:"([\w.:-]+)"|(\w+)): \{{\s+en: ("[^"]*"|{PLURALS}),\s+de: ("[^"]*"|{PLURALS}),?\s+\}},$',
    re.MULTILINE,
)


def read_messages(name: str) -> dict[str, tuple[str, str]]:
    """Read the English and German text of each message in a file; plural forms stay as written."""
    text = FILES[name]
    found = MESSAGE.findall(text)
    assert len(found) == len(re.findall(r"\ben: ", text)) == len(re.findall(r"\bde: ", text))
    messages = {quoted or bare: (english, german) for quoted, bare, english, german in found}
    assert len(messages) == len(found), "the same key twice"
    return messages


MESSAGES = {
    name: read_messages(name)
    for name in SCRIPTS
    if name.endswith("/messages.js") or name == "language/words.js"
}


def placeholders(message: str) -> set[str]:
    """Find the names in braces."""
    return set(re.findall(r"\{(\w+)\}", message))


@pytest.mark.parametrize("name", MESSAGES)
def test_both_languages_have_the_same_placeholders(name: str) -> None:
    for key, (english, german) in MESSAGES[name].items():
        assert placeholders(english) == placeholders(german), key


@pytest.mark.parametrize("name", MESSAGES)
def test_every_plural_form_is_there_in_both_languages(name: str) -> None:
    for key, texts in MESSAGES[name].items():
        for text in texts:
            assert not text.startswith("{") or set(re.findall(r"\b(\w+): ", text)) == {"one", "other"}, key


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_used(name: str) -> None:
    folder = "" if name == "language/words.js" else f"{Path(name).parent}/"
    code = "\n".join(
        text for script, text in SCRIPTS.items() if script.startswith(folder) and script not in MESSAGES
    )
    quoted = set(re.findall(r"\"([\w.:-]+)\"", code))
    # Keys that are put together: what they begin with, and what they end with.
    made = [
        re.compile(rf"{re.escape(start)}[\w.:-]+{re.escape(end)}$")
        for start, end in re.findall(r"`([\w.]+\.)\$\{[^}]+\}([\w.]*)`", code)
    ]
    for key in MESSAGES[name]:
        assert key in quoted or any(each.match(key) for each in made), f"{key} is not used"
