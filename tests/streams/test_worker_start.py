"""What keeps a worker from starting is told in a sentence, before anything is waited for."""

import socket
import subprocess
import sys

import pytest

from streamproc.errors import SettingsError
from streamproc.streams.worker import run_worker
from tests.streams.fixed import fixed_parts, settings_for


def test_a_web_port_in_use_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = settings_for("127.0.0.1:1", tmp_path, web_port=port, web_host="127.0.0.1")
        with pytest.raises(SettingsError, match=f"STREAMPROC_WEB_PORT = {port} .* cannot be used"):
            run_worker(settings, fixed_parts)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STREAMPROC_WEB_PORT", "high"),
        ("STREAMPROC_LINGER_SECONDS", "-1"),
        ("STREAMPROC_BUNDLE", "/nowhere"),
        ("STREAMPROC_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_status_2(variable, value, tmp_path):
    # A relative path of a graph, and no broker anywhere: neither may be reached before the mistake is told.
    variables = {
        "PATH": "",
        "HOME": str(tmp_path),
        "STREAMPROC_WEB_PORT": "0",
        "STREAMPROC_KAFKA_BOOTSTRAP": "127.0.0.1:1",
    }
    run = subprocess.run(
        [sys.executable, "-c", "from streamproc.cli import main; main()", "worker"],
        check=False,
        env={**variables, variable: value},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2, run.stderr
    assert "Traceback" not in run.stderr
    assert run.stdout == ""
