"""The tests; real servers are in ``tests.servers``."""

import os

# Before anything imports gRPC. Where it prepares for forks, a child polls a descriptor between fork and exec that is closed there, and
# aborts: some two in a hundred processes that tests start on a busy machine.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
