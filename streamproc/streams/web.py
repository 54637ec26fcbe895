"""``/health/live``, ``/health/ready`` and ``/metrics`` on Faust's web server. Its own ``/`` says OK whatever happens."""

from collections.abc import Callable, Sequence
from typing import Any

from streamproc.observability import metrics
from streamproc.observability.health import Health
from streamproc.streams.app import StreamApp

__all__ = ["add_routes"]


def add_routes(app: StreamApp, health: Callable[[], Health]) -> None:
    """Add the three routes to an app that has not started yet."""

    async def live(view: Any, request: Any) -> Any:
        del request
        return _answer(view, health().not_live)

    async def ready(view: Any, request: Any) -> Any:
        del request
        return _answer(view, health().not_ready)

    async def scrape(view: Any, request: Any) -> Any:
        del request
        # Faust adds the charset itself and refuses one in the type.
        return view.bytes(metrics.render(), content_type="text/plain")

    app.page("/health/live")(live)
    app.page("/health/ready")(ready)
    app.page("/metrics")(scrape)


def _answer(view: Any, problems: Sequence[str]) -> Any:
    return view.json({"ok": not problems, "problems": list(problems)}, status=503 if problems else 200)
