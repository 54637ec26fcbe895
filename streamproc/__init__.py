"""Real-time tagging of content on Kafka, with confidences that can be relied on."""

import os

# Wheels of onnxruntime (seen in 1.31) send usage data to its makers. It reads this when it is loaded, so it stands
# here, before any import of it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
