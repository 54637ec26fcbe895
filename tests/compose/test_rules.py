"""The alert rules: checked and tested by promtool, and each with what the person who is called needs."""

import re
import subprocess

import pytest
import yaml

from tests.compose.conftest import COMPOSE

PROMETHEUS = COMPOSE / "prometheus"
TESTS = sorted(PROMETHEUS.glob("*.test.yml"))
OPERATIONS = COMPOSE.parent / "docs/operations.md"


def promtool_says(promtool, *arguments):
    return subprocess.run([promtool, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False)


def scenarios(file, alert):
    """A file of unit tests, with only those that expect an alert to fire."""
    tests = yaml.safe_load(file.read_text())
    kept = [each for each in tests["tests"] if f'alertname="{alert}"' in str(each["promql_expr_test"])]
    return {**tests, "tests": kept}


def alerts():
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_promtool_accepts_the_configuration_and_the_rules(promtool):
    done = promtool_says(promtool, "check", "config", "prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(alerts())} rules found" in done.stdout


@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)
def test_the_rules_fire_when_they_must_and_are_quiet_while_all_is_well(promtool, file):
    done = promtool_says(promtool, "test", "rules", file.name)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", [alert["alert"] for alert in alerts()])
def test_a_rule_that_can_never_fire_is_noticed(promtool, tmp_path, alert):
    """Each alert is expected to fire somewhere: silenced, it makes the unit tests fail."""
    silenced = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())
    for group in silenced["groups"]:
        for rule in group["rules"]:
            if rule["alert"] == alert:
                rule["expr"] = f"({rule['expr']}) and on () vector(0) > 1"
    (tests,) = [tests for file in TESTS if (tests := scenarios(file, alert))["tests"]]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(silenced))
    (tmp_path / "rules.test.yml").write_text(yaml.safe_dump(tests))
    done = promtool_says(promtool, "test", "rules", str(tmp_path / "rules.test.yml"))
    assert done.returncode != 0
    assert f'alertname="{alert}"' in done.stdout + done.stderr


def test_every_alert_says_what_it_means_how_grave_it_is_and_where_to_read_on():
    for alert in alerts():
        assert alert["labels"]["severity"] in ("info", "warning", "critical"), alert["alert"]
        assert alert["annotations"].keys() == {"summary", "description", "runbook"}, alert["alert"]
        assert alert["annotations"]["runbook"] == f"docs/operations.md#alert-{alert['alert'].lower()}"
    names = [alert["alert"] for alert in alerts()]
    assert len(set(names)) == len(names)


def test_the_operations_page_says_what_to_do_about_every_alert_and_about_no_other():
    anchors = re.findall(r'^#+ <a id="(alert-[a-z]+)"></a>', OPERATIONS.read_text(), flags=re.MULTILINE)
    assert sorted(anchors) == sorted(f"alert-{alert['alert'].lower()}" for alert in alerts())
