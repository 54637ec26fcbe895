"""The Milvus servers of the tests end with them."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.process import has_ended, living


@pytest.mark.skipif(sys.platform != "linux", reason="what lives is read from /proc")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_server_dies_with_an_ended_test_run(tmp_path: Path, how: signal.Signals) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.servers.milvus import MilvusLiteServer\n"
        "server = MilvusLiteServer(Path(sys.argv[1])); server.start()\n"
        "print(server._process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "server.db")], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        session = int(run.stdout.readline())
        assert living(session)
        run.send_signal(how)
    assert has_ended(session)
