"""How a gRPC channel finds a server that was away: Milvus and Triton are spoken to alike."""

__all__ = ["RECONNECT"]

RECONNECT = {
    # gRPC waits up to two minutes before it connects anew; a server that is back must be found soon.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 500,
    "grpc.min_reconnect_backoff_ms": 5_000,  # despite its name: how long one attempt to connect may take
    # Channels of one process share connections by default, and with them the pause before a new one.
    "grpc.use_local_subchannel_pool": 1,
}
"""Options of a channel, milliseconds (gRPC core, ``grpc_types.h``)."""
