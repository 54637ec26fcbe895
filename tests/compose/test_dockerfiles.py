"""The Dockerfiles, as far as they can be judged without building them; what they run is run here where it can be."""

import fnmatch
import json
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest

from tests.compose.conftest import COMPOSE
from tests.compose.dockerfile import health_check, instructions, only, stages
from tests.compose.go_programs import built_or_skip

ROOT = COMPOSE.parent
WORKER = COMPOSE / "Dockerfile"
TRITON = COMPOSE / "Dockerfile.triton"
KNOWN = {
    *("FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "USER"),
    *("EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"),
}


def pins(text):
    return dict(re.findall(r"([a-z0-9-]+)==([\w.]+)", text))


def lint(*files):
    program = built_or_skip("dockerfile_lint")
    return subprocess.run([program, *files], capture_output=True, text=True, check=True).stdout


def test_buildkit_reads_them_and_its_linter_has_nothing_against_them():
    assert lint(WORKER, TRITON) == ""


def test_the_linter_would_say_what_is_wrong(tmp_path):
    wrong = tmp_path / "Dockerfile"
    wrong.write_text("FROM python:3.11 as build\nCOPYY . .\n")
    found = lint(wrong)
    assert "FromAsCasing" in found
    assert "unknown instruction: COPYY" in found


@pytest.mark.parametrize("file", [WORKER, TRITON])
def test_base_images_are_pinned(file):
    defaults = dict(
        each.argument.split("=", 1)
        for each in instructions(file)
        if each.keyword == "ARG" and "=" in each.argument
    )
    bases = [each.argument.split()[0] for each in instructions(file) if each.keyword == "FROM"]
    for base in bases:
        named = re.fullmatch(r"\$\{(\w+)\}", base)
        image = defaults[named[1]] if named else base
        assert re.fullmatch(r"[a-z0-9./-]+:\d+\.\d+[\w.-]*", image), image


@pytest.mark.parametrize("file", [WORKER, TRITON])
def test_nothing_runs_as_root_and_nothing_is_fetched_past_the_registries(file):
    found = instructions(file)
    assert {each.keyword for each in found} <= KNOWN
    users = [each.argument for each in stages(file)[-1] if each.keyword == "USER"]
    assert users[-1].split(":")[0] not in ("", "0", "root")
    for each in found:
        assert not re.search(r"\b(curl|wget|sudo)\b", each.argument if each.keyword == "RUN" else "")


def test_the_worker_is_built_in_one_stage_and_run_in_another():
    build, run = stages(WORKER)
    copied = [each for each in run if each.keyword == "COPY"]
    assert [each.flags for each in copied] == [("--from=build",)]
    assert not any("pip" in each.argument for each in run if each.keyword == "RUN")
    installs = [each.argument for each in build if each.keyword == "RUN" and "pip install" in each.argument]
    assert "--constraint constraints.txt" in installs[0]
    assert "--no-deps" in installs[1]


def test_what_is_copied_exists_and_reaches_the_builder():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    allowed = [line[1:] for line in rules if line.startswith("!")]
    copied = [
        source
        for each in stages(WORKER)[0]
        if each.keyword == "COPY"
        for source in each.argument.split()[:-1]
    ]
    assert set(copied) == set(allowed)
    for source in copied:
        assert (ROOT / source).exists(), source


def test_what_the_package_is_built_of_is_copied():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = {project["project"]["readme"], *project["project"]["license-files"]}
    copied = " ".join(each.argument for each in stages(WORKER)[0] if each.keyword == "COPY").split()
    assert named <= set(copied)
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) <= set(copied)


def test_the_requirements_that_the_build_installs_are_those_of_the_project():
    command = next(each.argument for each in stages(WORKER)[0] if "tomllib" in each.argument)
    script = shlex.split(command.split(" > ")[0])
    assert script[0] == "python"
    for extra in ("cpu", "gpu"):
        printed = subprocess.run(
            [sys.executable, *(extra if part == "$EXTRA" else part for part in script[1:])],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert printed == [*project["dependencies"], *project["optional-dependencies"][extra]]


def test_the_worker_and_its_checks_do_without_what_the_build_removes():
    command = next(each.argument for each in stages(WORKER)[0] if "pip uninstall" in each.argument)
    removed = command.split("pip uninstall --yes ")[1].split(" && ")[0].split()
    modules = {
        module
        for module, distributions in packages_distributions().items()
        if {name.lower().replace("_", "-") for name in distributions} & set(removed)
    }
    assert {"milvus_lite", "pyarrow", "faiss"} <= modules
    script = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(modules)!r}))\n"
        "import streamproc.cli.checks, streamproc.streams.worker\n"
        "from streamproc.graph.milvus import GraphAddress, Milvus\n"
        "Milvus(GraphAddress('http://milvus:19530'), None, None)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_signal_reaches_the_worker():
    run = stages(WORKER)[-1]
    # The form without a shell, under an init that passes signals on and reaps.
    assert json.loads(only("ENTRYPOINT", run).argument) == ["tini", "--", "streamproc"]
    assert json.loads(only("CMD", run).argument) == ["worker"]


def test_apt_leaves_no_lists_behind():
    (install,) = [each.argument for each in stages(WORKER)[-1] if "apt-get install" in each.argument]
    assert "--no-install-recommends" in install
    assert "rm -rf /var/lib/apt/lists/*" in install


def test_triton_gets_the_versions_that_the_tests_of_the_cpu_profile_run_with():
    command = only("RUN", instructions(TRITON)).argument
    installed = pins(command)
    constraints = pins((ROOT / "constraints.txt").read_text())
    assert installed["onnxruntime"] == constraints["onnxruntime"]
    # With numpy 2 the python backend gives empty tensors.
    assert installed["numpy"].startswith("1.")


def test_the_builder_gets_no_caches():
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert any(fnmatch.fnmatch("streamproc/graph/__pycache__", rule) for rule in rules)


def test_the_health_check_fails_where_nobody_answers():
    done = subprocess.run(
        health_check(WORKER), env={"STREAMPROC_WEB_PORT": "1"}, capture_output=True, timeout=30, check=False
    )
    assert done.returncode != 0
