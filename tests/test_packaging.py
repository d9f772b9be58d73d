"""The package that the Dockerfile builds: it holds everything that runs, and says what it is."""

import re
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from app import __version__

ROOT = Path(__file__).resolve().parents[1]
# What is not Python, and is needed while the service runs.
DATA = {
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("app/console/static/**/*"), *ROOT.glob("migrations/*.mako")]
    if path.is_file()
}
CODE = {
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("app/**/*.py"), *ROOT.glob("migrations/**/*.py")]
}


def copied_by_the_dockerfile() -> list[str]:
    """What the Dockerfile copies from here before it builds the package."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    names = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    return [name for line in names for name in line.split()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("package")
    for name in copied_by_the_dockerfile():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*build, "--quiet", "--wheel-dir", "dist", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("dist/*.whl")
    return zipfile.ZipFile(built)


def test_wheel_holds_code_and_data_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert len(DATA) > 10
    assert names == CODE | DATA


def test_metadata_names_version_licence_and_pythons(wheel: zipfile.ZipFile) -> None:
    (path,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
    metadata = Parser().parsestr(wheel.read(path).decode())

    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["Requires-Python"] == ">=3.11"


def test_docker_lets_in_what_the_dockerfile_copies() -> None:
    let_in = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert {f"!{name}" for name in copied_by_the_dockerfile()} <= set(let_in)


def test_classifiers_are_the_pythons_that_ci_runs() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")

    (matrix,) = re.findall(r"python: \[(.*)\]", workflow)

    assert re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project) == re.findall(
        r'"([\d.]+)"', matrix
    )
