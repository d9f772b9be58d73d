"""The shape of the code: names and contents of modules, their imports, and the words of the platform."""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SLICES = ("access", "imports", "learners", "operations", "organizations", "webhooks")
# What the platform must not mention: the words of the product, in code and in texts.
PRODUCT = re.compile(
    "learner|roster|webhook|enrol|portal|training|deactivat|reactivat|activate|revert|bulk.?action|csv.?import"
    "|expires_on|external_id|sessions_valid",
    re.IGNORECASE,
)
# In Python `import` is a keyword. In comments and texts it is a word of the product.
PRODUCT_IN_TEXTS = re.compile(r"\bimport(s|ed|ing)?\b", re.IGNORECASE)
LONGEST_FUNCTION = 50
Modules = dict[Path, ast.Module]


@pytest.fixture(scope="module")
def modules() -> Modules:
    """Return the parsed modules of the service."""
    return {
        path.relative_to(ROOT): ast.parse(path.read_text(encoding="utf-8"))
        for folder in ("app", "migrations")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def parse(source: str, path: str) -> Modules:
    """Return a counterexample: one module at this path."""
    return {Path(path): ast.parse(source)}


# Roles


def name_callee(node: ast.Call) -> str:
    """Return the last name of what is called: `Table` of `Table(...)` and of `sqlalchemy.Table(...)`."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def find_roles(module: ast.Module) -> Iterator[str]:
    """Yield the file names in which the contents of a module belong."""
    roles = {
        "APIRouter": "router",
        "Table": "tables",
        "define_problem": "problems",
        "Depends": "dependencies",
        "StateKey": "dependencies",
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            name = name_callee(node)
            if name in roles:
                yield roles[name]
            elif name in ("Counter", "Gauge", "Histogram") and len(node.args) > 1:
                yield "metrics"
        elif isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "TRANSLATIONS":
            yield "problems"
        elif isinstance(node, ast.ClassDef) and any(
            getattr(base, "id", "") == "Exception" for base in node.bases
        ):
            yield "errors"


# An exception that never leaves the module that raises it may be defined there.
PRIVATE_ERRORS = {
    ("app/operations/runner.py", "errors"),
    ("app/webhooks/sender.py", "errors"),
}


def find_misplaced_roles(modules: Modules) -> set[tuple[str, str]]:
    """Return the modules of slices with contents that belong in a file of another name."""
    return {
        (path.as_posix(), role)
        for path, module in modules.items()
        if path.parts[1] in SLICES
        for role in find_roles(module)
        if role != path.stem
    }


def test_each_role_is_in_the_file_of_its_name(modules: Modules) -> None:
    assert find_misplaced_roles(modules) - PRIVATE_ERRORS == set()
    assert find_misplaced_roles(modules) >= PRIVATE_ERRORS, "no longer needed"


@pytest.mark.parametrize(
    ("source", "role"),
    [
        ("router = APIRouter()", "router"),
        ("things = Table('things', metadata)", "tables"),
        ("X = define_problem('x', 409, 'X', 'X.')", "problems"),
        ("TRANSLATIONS: Translations = {}", "problems"),
        ("KEY: StateKey[int] = StateKey('key')", "dependencies"),
        ("Current = Annotated[int, Depends(KEY)]", "dependencies"),
        ("ROWS = Counter('rows', 'Rows.')", "metrics"),
        ("class Gone(Exception): ...", "errors"),
    ],
)
def test_misplaced_role_is_found(source: str, role: str) -> None:
    assert find_misplaced_roles(parse(source, "app/learners/things.py")) == {("app/learners/things.py", role)}
    assert find_misplaced_roles(parse(source, f"app/learners/{role}.py")) == set()


def test_every_slice_with_a_router_has_its_schemas_and_problems_beside_it(modules: Modules) -> None:
    names = {each: {path.stem for path in modules if path.parts[:2] == ("app", each)} for each in SLICES}
    for each in SLICES:
        assert "router" in names[each], each
        assert "problems" in names[each], each
    # An import is an operation, so it has the schemas of operations.
    assert {each for each in SLICES if "schemas" not in names[each]} == {"imports"}


# Imports


def find_imports(module: ast.Module) -> Iterator[str]:
    """Yield the full names of the modules that a module imports."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def find_foreign_imports(modules: Modules) -> set[tuple[str, str]]:
    """Return what the rules import besides the standard library and each other."""
    return {
        (path.as_posix(), name)
        for path, module in modules.items()
        if path.parts[:2] == ("app", "domain")
        for name in find_imports(module)
        if name.partition(".")[0] not in sys.stdlib_module_names and not name.startswith("app.domain.")
    }


def test_rules_use_only_the_standard_library(modules: Modules) -> None:
    assert find_foreign_imports(modules) == set()


@pytest.mark.parametrize("source", ["import orjson", "from app.platform import ids", "from . import x"])
def test_foreign_import_of_a_rule_is_found(source: str) -> None:
    assert find_foreign_imports(parse(source, "app/domain/status.py"))


# Words of the platform


def find_product_words(source: str) -> set[str]:
    """Return the words of the product in a module of the platform, without Python's keywords."""
    found = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        found |= {match[0] for match in PRODUCT.finditer(token.string)}
        if token.type != tokenize.NAME:
            found |= {match[0] for match in PRODUCT_IN_TEXTS.finditer(token.string)}
    return found


def test_platform_does_not_know_the_product() -> None:
    for path in sorted((ROOT / "app/platform").rglob("*.py")):
        assert find_product_words(path.read_text(encoding="utf-8")) == set(), path


@pytest.mark.parametrize(
    "source",
    ["# for a learner", "WEBHOOKS = 3", "f'{x} rosters'", '"""Import rows."""', "kind = 'csv-import'"],
)
def test_product_word_is_found(source: str) -> None:
    assert find_product_words(source)


def test_keyword_is_not_a_product_word() -> None:
    assert find_product_words("import re\nfrom os import path  # a module") == set()


# Functions and modules


def find_long_functions(modules: Modules) -> set[tuple[str, str]]:
    """Return the functions that are too long."""
    return {
        (path.as_posix(), node.name)
        for path, module in modules.items()
        if path.parts[0] == "app"
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    }


def test_no_function_is_longer_than_fifty_lines(modules: Modules) -> None:
    assert find_long_functions(modules) == set()


def test_long_function_is_found() -> None:
    body = "    x = 1\n" * LONGEST_FUNCTION
    assert find_long_functions(parse(f"def f():\n{body}", "app/x.py")) == {("app/x.py", "f")}


def test_module_has_a_docstring(modules: Modules) -> None:
    for path, module in modules.items():
        docstring = ast.get_docstring(module)
        assert docstring, path
        assert docstring.splitlines()[0].endswith((".", ",", ";", ":")) or len(docstring.splitlines()) > 1, (
            path
        )


def reads_environment(module: ast.Module) -> Iterator[ast.AST]:
    """Yield the uses of `os.environ` and `os.getenv`, except those that set a variable for child processes."""
    assigned = {
        id(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv", "getenvb"):
            if id(node) not in assigned:
                yield node
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            yield from (each for each in node.names if "env" in each.name)


def test_only_settings_read_the_environment(modules: Modules) -> None:
    readers = {str(path) for path, module in modules.items() if any(reads_environment(module))}
    assert readers <= {"app/settings.py"}


def test_no_module_prints_or_evaluates(modules: Modules) -> None:
    for path, module in modules.items():
        called = {
            node.func.id
            for node in ast.walk(module)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"print", "breakpoint", "exec", "eval"}, path
