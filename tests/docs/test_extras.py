"""What messages and README say of optional dependencies is what the package has."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from streamproc.extras import Extra, how_to_install

ROOT = Path(__file__).parents[2]
DECLARED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
NAMED = re.compile(r"(\S+)\[([a-z,]+)\]'")


@pytest.mark.parametrize("extra", get_args(Extra))
def test_a_remedy_names_an_extra_that_exists(extra):
    assert extra in DECLARED
    assert how_to_install(extra).startswith(f"pip install '.[{extra}]'")


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "Makefile", "docs/operations.md"])
def test_documents_install_from_the_clone_as_remedies_do(file):
    for source, extras in NAMED.findall((ROOT / file).read_text()):
        assert source == "'."
        assert set(extras.split(",")) <= DECLARED.keys()


def test_readme_names_the_extras_that_messages_send_people_for():
    readme = (ROOT / "README.md").read_text()
    named = {extra for _, extras in NAMED.findall(readme) for extra in extras.split(",")}
    assert {"cpu", "train", "baselines"} <= named


def test_no_message_spells_the_command_out_by_itself():
    spelled = [file.name for file in ROOT.glob("streamproc/**/*.py") if "pip install" in file.read_text()]
    assert spelled == ["extras.py"]
