"""``faust.App`` with the parts of this package in the places of Faust's."""

from typing import Any

import faust
from faust.transport.drivers.aiokafka import Transport

from streamproc.streams.fast_intake.conductor import FastConductor
from streamproc.streams.fast_intake.consumer import FastConsumer
from streamproc.streams.fast_intake.stream import FastStream

__all__ = ["FastApp", "FastTransport"]


class FastTransport(Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with the parts above."""

    Consumer = FastConsumer
    Conductor = FastConductor


class FastApp(faust.App):  # type: ignore[misc]
    """``faust.App`` with the intake above; topics must be ``raw`` for it to take effect."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, Stream=FastStream, **kwargs)

    def _new_transport(self) -> FastTransport:
        return FastTransport(self.conf.broker_consumer, self)
