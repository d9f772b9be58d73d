"""What README.md and docs/ say about settings, files, options and each other, compared with those."""

import re
import unicodedata
from pathlib import Path

import pytest
import yaml

from app import __version__
from app.domain.events import EventType
from app.imports.rows import DateFormat
from app.organizations.api_keys import Scope
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What `.ci/walkthrough` runs, what it compares answers with, and what it leaves alone.
RUN = {"sh", "python"}
ANSWERS = {"json", "text"}
NOT_RUN = {"mermaid"}


def without_blocks(text: str) -> str:
    return FENCE.sub("", text)


def section(page: str, title: str) -> str:
    """The text below the heading `## title`, up to the next one."""
    return PAGES[page].split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The rows of the first table in this text, without its head."""
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table is not None
    lines = table[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links() -> list[tuple[str, str]]:
    """Every link that does not lead to another site, with its page."""
    return [
        (page, target)
        for page, text in PAGES.items()
        for target in re.findall(r"\]\(([^)]+)\)", without_blocks(text))
        if not re.match(r"[a-z]+:", target)
    ]


def test_readme_has_at_most_150_lines() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 150


def is_broken(page: str, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = (ROOT / page).parent / path if path else ROOT / page
    return not file.exists() or bool(anchor and anchor not in anchors(file.read_text(encoding="utf-8")))


def test_links_lead_to_files_and_headings_that_exist() -> None:
    assert [link for link in links() if is_broken(*link)] == []


def test_index_and_readme_link_every_page() -> None:
    pages = {Path(page).name for page in PAGES if page.startswith("docs/")} - {"README.md"}

    index = {target for page, target in links() if page == "docs/README.md"}
    readme = {target.removeprefix("docs/") for page, target in links() if page == "README.md"}

    assert pages <= index
    assert pages <= readme


def test_settings_table_is_that_of_the_settings() -> None:
    assert rows(section("docs/operating.md", "Settings")) == [
        [
            f"`ROLLCALL_{name.upper()}`",
            f"`{str(field.default).lower() if field.annotation is bool else field.default}`",
            str(field.description),
        ]
        for name, field in Settings.model_fields.items()
    ]


def test_every_setting_that_a_page_names_exists() -> None:
    named = {name for text in PAGES.values() for name in re.findall(r"ROLLCALL_[A-Z_]+", text)}
    others = {"ROLLCALL_URL", "ROLLCALL_KEY", "ROLLCALL_SCREENSHOTS", "ROLLCALL_DOCS_PICTURE"}

    assert named - others <= {f"ROLLCALL_{name.upper()}" for name in Settings.model_fields}


def test_scopes_table_is_that_of_the_scopes() -> None:
    table = rows(section("docs/api-conventions.md", "Credentials and scopes"))

    assert [scope for scope, _ in table] == [f"`{scope.value}`" for scope in Scope]


def test_events_table_has_every_event_type() -> None:
    table = rows(section("docs/statuses.md", "What is recorded"))

    assert {event for event, _ in table} == {f"`{event.value}`" for event in EventType}


def test_changelog_has_this_version() -> None:
    assert re.search(
        rf"^## {re.escape(__version__)} - \d{{4}}-\d\d-\d\d$", PAGES["CHANGELOG.md"], re.MULTILINE
    )


@pytest.mark.parametrize("page", ["docs/console.md", "docs/faq.md"])
def test_every_label_of_the_console_that_a_page_names_exists(page: str) -> None:
    scripts = (ROOT / "app" / "console" / "static").rglob("*.js")
    texts = "".join(script.read_text(encoding="utf-8") for script in scripts)

    labels = set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", PAGES[page]))

    assert labels
    assert {label for label in labels if f'"{label}' not in texts} == set()


def test_metrics_table_has_every_metric_of_the_service() -> None:
    from prometheus_client import REGISTRY  # noqa: PLC0415

    import app.main  # noqa: F401, PLC0415 - it loads every metric

    found = {
        f"`{metric.name}_total`" if metric.type == "counter" else f"`{metric.name}`"
        for metric in REGISTRY.collect()
        if metric.name.startswith("rollcall_")
    }
    text = section("docs/operating.md", "Health and metrics")

    assert {name for name, _ in rows(text[text.index("| metric |") :])} == found


def test_architecture_names_every_package() -> None:
    packages = {f"app/{path.parent.name}/" for path in ROOT.glob("app/*/__init__.py")}

    assert set(re.findall(r"^    (app/\w+/) ", PAGES["docs/architecture.md"], re.MULTILINE)) == packages


def test_import_options_are_the_parameters_of_the_import() -> None:
    described = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    parameters = described["paths"]["/imports/csv"]["post"]["parameters"]

    named = {
        name
        for row in rows(section("docs/csv.md", "Import options"))
        for name in re.findall(r"`(\w+)`", row[0])
    }

    assert named == {each["name"] for each in parameters if each["in"] == "query"}
    assert all(f"`{form}`" in PAGES["docs/csv.md"] for form in DateFormat)


def test_every_call_that_a_page_names_exists() -> None:
    described = yaml.safe_load((ROOT / "openapi.yaml").read_text(encoding="utf-8"))
    known = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", template))
        for template, methods in described["paths"].items()
        for method in methods
    }

    named = {
        (method, re.sub(r"\{\w+\}", "{}", path))
        for text in PAGES.values()
        for method, path in re.findall(r"`(GET|POST|PATCH|DELETE) (/[\w/{}.-]*)", text)
    }

    assert named
    assert named <= known


def test_every_problem_code_that_a_page_names_exists() -> None:
    from app.main import create_app  # noqa: PLC0415 - it fills the catalogue
    from app.platform.problems import CATALOGUE  # noqa: PLC0415

    create_app(Settings(database_url="sqlite:///unused/rollcall.db"))
    named = {
        code
        for page, text in PAGES.items()
        for code in re.findall(r"\b(?:4\d\d|503) `([a-z]+(?:-[a-z]+)+)`", text)
        if page.startswith("docs/")
    }

    assert named
    assert named <= set(CATALOGUE)


def test_every_file_that_a_page_names_exists() -> None:
    named = {
        (page, path.rstrip("."))
        for page, text in PAGES.items()
        for path in re.findall(r"\b(?:app|migrations|tests|bench|examples)/[\w./]*|\.ci/\w+", text)
    }

    assert {(page, path) for page, path in named if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_of_a_kind_that_is_run_or_left_alone(page: str) -> None:
    kinds = [kind for kind, _ in FENCE.findall(PAGES[page])]

    assert set(kinds) <= RUN | ANSWERS | NOT_RUN
    for before, kind in zip(["", *kinds], kinds, strict=False):
        assert kind not in ANSWERS or before in RUN


def test_every_command_of_the_quickstart_shows_its_answer() -> None:
    kinds = [kind for kind, _ in FENCE.findall(PAGES["docs/quickstart.md"])]

    assert kinds[0] == "sh"  # it sets the address and the key
    for call, answer in zip(kinds[1::2], kinds[2::2], strict=True):
        assert call in RUN
        assert answer in ANSWERS


@pytest.mark.parametrize("page", PAGES)
def test_page_is_plain_text_without_invisible_characters(page: str) -> None:
    odd = {char for char in PAGES[page] if unicodedata.category(char) in ("Cc", "Cf", "Co")} - {"\n"}

    assert odd == set()
    assert PAGES[page].endswith("\n")
