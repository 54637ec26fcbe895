"""A real Prometheus with our rules, scraping a live worker and a live Triton, asked what the dashboards ask."""

import asyncio
import re
import subprocess
import time
from types import SimpleNamespace

import pytest
import yaml

from tests.compose.conftest import COMPOSE
from tests.compose.dockerfile import health_check
from tests.compose.expressions import from_dashboards, from_rules, metrics_of
from tests.observability.traffic import publish_traffic
from tests.servers.prometheus import prometheus_server
from tests.servers.worker import worker_process

EXPRESSIONS = from_dashboards(COMPOSE / "grafana/dashboards") + from_rules(COMPOSE / "prometheus/rules.yml")

KAFKA_EXPORTER = {
    "kafka_brokers",
    "kafka_consumergroup_current_offset",
    "kafka_consumergroup_lag",
    "kafka_topic_partition_current_offset",
    "kafka_topic_partition_under_replicated_partition",
}
"""As documented in kafka_exporter's README (github.com/danielqsj/kafka_exporter, 1.9.0), which does not run here."""

NOT_IN_ORDINARY_TRAFFIC = {
    "streamproc_retries_total",
    "streamproc_shadow_notes_total",
    "streamproc_shadow_tags_total",
}
"""Declared on a live ``/metrics``, with series only once something failed, or where a shadow runs."""


@pytest.fixture(scope="module")
def live(triton_server, prometheus_binary, tmp_path_factory):
    """A worker that asks Triton, with traffic behind it, and Prometheus, which has scraped both for a while."""
    home = tmp_path_factory.mktemp("live")
    settings = {"INFERENCE": "triton", "TRITON_URL": triton_server.url}
    with worker_process(home, **settings) as worker:
        targets = {
            "worker": worker.web.removeprefix("http://"),
            "triton": re.sub(r"^http://|/metrics$", "", triton_server.metrics_url),
        }
        with prometheus_server(prometheus_binary, configuration(home, targets)) as prometheus:
            until(lambda: len(prometheus.query("up == 1")) == len(targets))
            published = asyncio.run(publish_traffic(worker))
            count = len(published.tagged)
            until(lambda: prometheus.query(f"sum(streamproc_note_tags_count) == {count}"))
            until(lambda: prometheus.query("streamproc_committed_lag_records"))
            time.sleep(3)  # two more scrapes: a rate needs samples on both sides of the traffic
            yield SimpleNamespace(
                worker=worker, triton=triton_server, prometheus=prometheus, published=published
            )


def configuration(home, targets):
    """The configuration of the deployment, with addresses of this test and a scrape a second."""
    deployed = yaml.safe_load((COMPOSE / "prometheus/prometheus.yml").read_text())
    deployed["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    deployed["rule_files"] = [str(COMPOSE / "prometheus/rules.yml")]
    deployed["scrape_configs"] = [
        {"job_name": job["job_name"], "static_configs": [{"targets": [targets[job["job_name"]]]}]}
        for job in deployed["scrape_configs"]
        if job["job_name"] in targets
    ]
    file = home / "prometheus.yml"
    file.write_text(yaml.safe_dump(deployed))
    return file


def until(holds, seconds=60):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_every_metric_that_rules_and_dashboards_name_is_there(live):
    named = set().union(*map(metrics_of, EXPRESSIONS))
    assert len(named) > 40
    scraped = set(live.prometheus.get("label/__name__/values"))
    assert named - scraped <= KAFKA_EXPORTER | NOT_IN_ORDINARY_TRAFFIC
    assert named >= KAFKA_EXPORTER
    declared = live.worker.families()
    assert {name.removesuffix("_total") for name in NOT_IN_ORDINARY_TRAFFIC} <= declared


def test_every_metric_that_the_operations_page_names_is_declared(live):
    page = (COMPOSE.parent / "docs/operations.md").read_text()
    named = set(re.findall(r"\bstreamproc_[a-z_]+\b", page))
    assert len(named) > 10
    declared = live.worker.families()
    assert {name for name in named if {name, name.removesuffix("_total")}.isdisjoint(declared)} == set()


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda each: each.place)
def test_prometheus_answers_every_expression(live, expression):
    answer = live.prometheus.query(expression.text)
    is_panel = ".json: " in expression.place
    if is_panel and not metrics_of(expression) & (KAFKA_EXPORTER | NOT_IN_ORDINARY_TRAFFIC):
        assert answer, expression.text


def test_the_answers_are_those_of_the_traffic(live):
    def one(expression):
        ((_, value),) = [sample["value"] for sample in live.prometheus.query(expression)]
        return float(value)

    tags = [tag for outcome in live.published.tagged for tag in outcome.tags]
    assert len(tags) > 10
    assert one("sum(streamproc_note_tags_sum)") == len(tags)
    assert one('sum(streamproc_events_total{agent="tagging",outcome="dead"})') == 1
    assert one('sum(streamproc_judgements_total{correct="false"})') == 1
    # Texts were encoded on Triton, each at least one row.
    assert one('sum(nv_inference_count{model="encoder"})') >= live.published.labelled
    assert one("sum(streamproc_triton_rejections_total)") == 0
    (models,) = live.prometheus.query("streamproc_models_info")
    assert models["metric"]["bundle"] == live.published.tagged[-1].models.bundle


def test_no_alert_fires_for_a_worker_in_order(live):
    rules = live.prometheus.get("rules")["groups"]
    loaded = [rule for group in rules for rule in group["rules"]]
    assert len(loaded) == len(from_rules(COMPOSE / "prometheus/rules.yml"))
    assert {rule["health"] for rule in loaded} == {"ok"}
    assert [rule["name"] for rule in loaded if rule["state"] == "firing"] == []


def test_the_health_check_of_the_image_finds_the_worker_alive(live):
    done = subprocess.run(
        health_check(COMPOSE / "Dockerfile"),
        env={"STREAMPROC_WEB_PORT": str(live.worker.settings.web_port)},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
