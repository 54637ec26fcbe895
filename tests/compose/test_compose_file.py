"""``compose.yaml`` and its override for GPUs, as docker compose resolves them."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from streamproc.config import Settings
from streamproc.inference.bundle import Bundle
from streamproc.inference.model_repository import Profile, write_repository
from tests.compose.conftest import COMPOSE
from tests.compose.loader import CannotLoadError

ROOT = COMPOSE.parent
BUILT = {"topics", "worker", "triton"}
PINNED = re.compile(r"^[a-z0-9./-]+:v?\d+(\.\d+)+[a-z0-9.-]*$")
"""A whole version; a tag such as ``latest`` or ``3`` moves."""
MADE_BY_A_COMMAND = {ROOT / "triton_models_gpu"}
"""Mounted, but too large to be kept: `streamproc export triton --profile gpu`."""


def test_the_services_are_those_that_the_deployment_needs(services):
    profiles = {name: set(service.get("profiles") or ()) for name, service in services.items()}
    assert profiles == {
        "kafka": set(),
        "topics": set(),
        "milvus": set(),
        "worker": set(),
        "triton": {"triton"},
        "kafka-exporter": {"monitoring"},
        "prometheus": {"monitoring"},
        "grafana": {"monitoring"},
    }


def test_images_are_pinned_or_built_here(services, gpu_services):
    for name, service in [*services.items(), *gpu_services.items()]:
        assert PINNED.match(service["image"]), name
        build = service.get("build")
        assert (build is not None) == service["image"].startswith("streamproc"), name
        if build is not None:
            assert (Path(build["context"]) / build["dockerfile"]).is_file()
    assert {name for name, service in services.items() if "build" in service} == BUILT


def test_every_mounted_file_exists(services, gpu_services):
    mounted = [
        (name, Path(volume["source"]))
        for name, service in [*services.items(), *gpu_services.items()]
        for volume in service.get("volumes") or ()
        if volume["type"] == "bind"
    ]
    assert len(mounted) > 8
    missing = {source for _, source in mounted if not source.exists()} - MADE_BY_A_COMMAND
    assert not missing


def test_what_is_mounted_from_the_repository_is_read_only_and_the_rest_is_a_declared_volume(load):
    project = load("compose.yaml", "compose.gpu.yaml")
    for name, service in project["services"].items():
        for volume in service.get("volumes") or ():
            if volume["type"] == "bind":
                assert volume.get("read_only"), name
            else:
                assert volume["source"] in project["volumes"], name


@pytest.mark.parametrize("data", ["kafka", "milvus", "prometheus", "grafana"])
def test_what_keeps_data_keeps_them_on_a_volume(services, data):
    assert any(volume["type"] == "volume" for volume in services[data]["volumes"])


def test_every_service_is_limited_restarted_and_watched(services):
    for name, service in services.items():
        limits = service["deploy"]["resources"]["limits"]
        assert float(limits["cpus"]) > 0, name
        assert int(limits["memory"]) >= 128 * 1024**2, name
        if name == "topics":  # runs once
            assert service["restart"] == "on-failure:5"
            continue
        assert service["restart"] == "unless-stopped", name
        # The worker's stands in its Dockerfile.
        assert name == "worker" or service["healthcheck"]["test"], name


def test_ports_are_published_on_loopback_only_unless_asked_for(load, services):
    for services_of, address in (
        (services, "127.0.0.1"),
        (load("compose.yaml", BIND_ADDRESS="192.0.2.1")["services"], "192.0.2.1"),
    ):
        published = [port for service in services_of.values() for port in service.get("ports") or ()]
        assert len(published) >= 7
        assert {port["host_ip"] for port in published} == {address}


def test_the_worker_may_be_scaled(services):
    (port,) = services["worker"]["ports"]
    first, last = map(int, port["published"].split("-"))
    assert last - first >= 5
    assert "container_name" not in services["worker"]


def test_our_own_containers_have_no_rights_to_spare(services):
    for name in ("worker", "topics"):
        assert services[name]["read_only"]
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
    for name in ("triton", "kafka-exporter", "prometheus", "grafana"):
        assert services[name]["cap_drop"] == ["ALL"]


def test_the_password_of_grafana_has_no_default(load):
    with pytest.raises(CannotLoadError, match=r"GRAFANA_ADMIN_PASSWORD.*choose one in compose/\.env"):
        load("compose.yaml", GRAFANA_ADMIN_PASSWORD="")
    assert (
        load("compose.yaml")["services"]["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"] == "chosen"
    )


def test_no_secret_stands_in_the_files():
    for file in COMPOSE.rglob("*"):
        if file.suffix in (".yaml", ".yml") or file.name.endswith(".example"):
            for line in file.read_text().splitlines():
                secret = re.match(r"\s*\w*(PASSWORD|TOKEN|SECRET)\w*\s*[:=]\s*(.*)", line)
                assert secret is None or secret[2] == "" or secret[2].startswith("${"), f"{file}: {line}"


def test_the_example_names_every_variable_with_its_default():
    used = {
        name: default
        for file in ("compose.yaml", "compose.gpu.yaml")
        for name, default in re.findall(
            r"\$\{([A-Z_]+)(?::-([^}]*)|:\?[^}]*)\}", (COMPOSE / file).read_text()
        )
    }
    example = dict(
        re.findall(r"^(?:# )?([A-Z_]+)=(.*)$", (COMPOSE / ".env.example").read_text(), flags=re.MULTILINE)
    )
    # The example is the whole deployment; without an .env file the models run in the worker.
    assert example.pop("COMPOSE_PROFILES") == "triton,monitoring"
    assert example.pop("STREAMPROC_INFERENCE") == "triton"
    assert used.pop("STREAMPROC_INFERENCE") == "onnx"
    assert example == used


def test_the_settings_of_the_worker_are_settings(services, monkeypatch):
    given = {
        name: value
        for name, value in services["worker"]["environment"].items()
        if name.startswith("STREAMPROC_")
    }
    assert {name.removeprefix("STREAMPROC_").lower() for name in given} <= set(Settings.model_fields)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.kafka_bootstrap == "kafka:19092"
    assert settings.milvus_uri == "http://milvus:19530"
    assert settings.triton_url == "triton:8001"
    assert "kafka" in services["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_the_worker_waits_for_what_it_needs(services):
    waits = {name: each["condition"] for name, each in services["worker"]["depends_on"].items()}
    assert waits == {
        "kafka": "service_healthy",
        "milvus": "service_healthy",
        "triton": "service_healthy",
        "topics": "service_completed_successfully",
    }
    assert services["worker"]["depends_on"]["triton"]["required"] is False
    assert services["topics"]["command"] == ["topics", "create"]
    assert services["worker"]["image"] == services["topics"]["image"]


def test_a_stop_leaves_the_worker_the_time_to_finish_its_batches(services):
    assert services["worker"]["stop_grace_period"] == "30s"
    assert Settings().drain_seconds <= 20


def test_kafka_is_the_version_that_the_tests_run(services):
    pom = (ROOT / "tests/servers/pom.xml").read_text()
    version = re.search(r"kafka_2\.13</artifactId>\s*<version>([\d.]+)<", pom)
    assert services["kafka"]["image"] == f"apache/kafka:{version[1]}"


def test_triton_gets_the_committed_repository_and_the_bundles_beside_it(services):
    mounts = {volume["target"]: Path(volume["source"]) for volume in services["triton"]["volumes"]}
    assert mounts == {
        "/srv/triton_models": ROOT / "triton_models",
        "/srv/streamproc/bundles": ROOT / "streamproc/bundles",
    }
    assert "--model-repository=/srv/triton_models" in services["triton"]["command"]
    # Where the models look for their files, from the repository on.
    configuration = (ROOT / "triton_models/encoder/config.pbtxt").read_text()
    assert '"../streamproc/bundles/general"' in configuration


def test_triton_is_started_as_the_tests_start_it(services):
    # ``TritonServer`` runs the real server with these options; the deployment's must be among them.
    started = (ROOT / "tests/servers/triton.py").read_text()
    program, *options = services["triton"]["command"]
    assert program == "tritonserver"
    for option in options:
        name = option.partition("=")[0]
        # Where the repository lies and how long an exit may take differ.
        expected = name if name in ("--model-repository", "--exit-timeout-secs") else f'"{option}"'
        assert expected in started


def test_on_gpus_triton_is_nvidias_image_with_a_kept_engine_cache(services, gpu_services, tmp_path):
    triton = gpu_services["triton"]
    base = re.search(r"^FROM (\S+)$", (COMPOSE / "Dockerfile.triton").read_text(), flags=re.MULTILINE)
    assert triton["image"] == base[1]
    (device,) = triton["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert triton["deploy"]["resources"]["limits"] == services["triton"]["deploy"]["resources"]["limits"]
    mounts = {volume["target"]: volume for volume in triton["volumes"]}
    assert mounts["/srv/triton_models"]["source"] == str(ROOT / "triton_models_gpu")
    write_repository(Bundle.load(ROOT / "streamproc/bundles/general"), tmp_path, Profile.GPU, 1)
    cached = re.search(
        r'trt_engine_cache_path"\s+value: "(/[^"]+)/encoder"', (tmp_path / "encoder/config.pbtxt").read_text()
    )
    assert mounts[cached[1]]["type"] == "volume"


def test_prometheus_finds_every_service_that_has_metrics(services):
    configuration = yaml.safe_load((COMPOSE / "prometheus/prometheus.yml").read_text())
    targets = {
        job["job_name"]: (each["names"][0], each["port"])
        for job in configuration["scrape_configs"]
        for each in job.get("dns_sd_configs") or ()
    }
    assert targets == {
        "worker": ("worker", int(services["worker"]["environment"]["STREAMPROC_WEB_PORT"])),
        "triton": ("triton", 8002),
        "kafka": ("kafka-exporter", 9308),
        "milvus": ("milvus", 9091),
    }
    assert {name for name, _ in targets.values()} <= services.keys()


def test_files_of_one_machine_stay_out_of_version_control():
    for name in (".env", "worker.env"):
        ignored = subprocess.run(["git", "check-ignore", "-q", f"compose/{name}"], cwd=ROOT, check=False)
        assert ignored.returncode == 0, name
