"""``python -m tests.streams.fixed_worker``: the worker's process with models that return fixed arrays.

``FIXED_SECONDS`` makes each batch take that long, so that there is a middle of the work to be killed in;
``FIXED_CRASH`` makes the first batch end the worker; a note of the id in ``FIXED_DEADLY`` kills the process.
"""

import asyncio
import os
import signal
import sys

from streamproc.config import load_settings
from streamproc.errors import BundleError
from streamproc.observability.logging import configure_logging
from streamproc.streams.worker import run_worker
from tests.streams.fixed import FixedPipeline, fixed_parts


class SlowPipeline(FixedPipeline):
    async def tag(self, notes):
        if "FIXED_CRASH" in os.environ:
            raise BundleError("the bundle is broken")
        if any(each.note.note_id == os.environ.get("FIXED_DEADLY") for each in notes):
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(float(os.environ.get("FIXED_SECONDS", "0")))
        return await super().tag(notes)


async def opening(settings):
    return await fixed_parts("", SlowPipeline, uri=settings.milvus_uri, prefix=settings.topic_prefix)


if __name__ == "__main__":
    settings = load_settings()
    configure_logging(settings.log_level)
    sys.exit(run_worker(settings, opening))
