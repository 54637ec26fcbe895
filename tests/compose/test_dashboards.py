"""Grafana's dashboards and what provisions them."""

import itertools
import subprocess

import yaml

from tests.compose.conftest import COMPOSE
from tests.compose.expressions import dashboards, from_dashboards

GRAFANA = COMPOSE / "grafana"
FOLDER = GRAFANA / "dashboards"


def test_there_is_one_for_each_concern():
    found = {name: dashboard["title"] for name, dashboard in dashboards(FOLDER).items()}
    assert found == {
        "pipeline.json": "Pipeline",
        "triton.json": "Triton",
        "kafka.json": "Kafka lag",
        "quality.json": "Tag quality",
    }


def test_their_ids_are_unique_and_stay():
    found = dashboards(FOLDER)
    assert [each["uid"] for each in found.values()] == [
        f"streamproc-{name.removesuffix('.json')}" for name in found
    ]
    for name, dashboard in found.items():
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(set(ids)) == len(ids), name


def test_every_panel_reads_the_data_source_that_the_dashboard_lets_one_choose():
    for name, dashboard in dashboards(FOLDER).items():
        variables = {each["name"]: each for each in dashboard["templating"]["list"]}
        assert variables["datasource"]["type"] == "datasource"
        assert variables["datasource"]["query"] == "prometheus"
        for panel in dashboard["panels"]:
            for source in (panel["datasource"], *(target["datasource"] for target in panel["targets"])):
                assert source == {"type": "prometheus", "uid": "${datasource}"}, f"{name}: {panel['title']}"


def test_the_provisioned_data_source_is_the_one_that_the_dashboards_start_with(services):
    file = GRAFANA / "provisioning/datasources/prometheus.yaml"
    (source,) = yaml.safe_load(file.read_text())["datasources"]
    for dashboard in dashboards(FOLDER).values():
        assert dashboard["templating"]["list"][0]["current"]["value"] == source["uid"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services


def test_grafana_reads_the_dashboards_where_they_are_mounted(services):
    (provider,) = yaml.safe_load((GRAFANA / "provisioning/dashboards/streamproc.yaml").read_text())[
        "providers"
    ]
    mounts = {volume["target"]: volume["source"] for volume in services["grafana"]["volumes"]}
    assert mounts[provider["options"]["path"]] == str(FOLDER)
    assert mounts["/etc/grafana/provisioning"] == str(GRAFANA / "provisioning")
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/pipeline.json"
    assert (FOLDER / "pipeline.json").is_file()


def test_panels_lie_on_the_grid_and_not_on_one_another():
    for name, dashboard in dashboards(FOLDER).items():
        taken = set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24, f"{name}: {panel['title']}"
            cells = set(
                itertools.product(
                    range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
                )
            )
            assert not cells & taken, f"{name}: {panel['title']}"
            taken |= cells


def test_every_panel_has_a_title_and_a_unit():
    for name, dashboard in dashboards(FOLDER).items():
        titles = [panel["title"] for panel in dashboard["panels"]]
        assert all(titles), name
        assert len(set(titles)) == len(titles), name
        assert all(panel["fieldConfig"]["defaults"]["unit"] for panel in dashboard["panels"]), name


def test_promtool_reads_every_expression(promtool, tmp_path):
    expressions = from_dashboards(FOLDER)
    assert len(expressions) > 40
    rules = [{"record": f"panel:{number}", "expr": each.text} for number, each in enumerate(expressions)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
