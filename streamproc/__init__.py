"""Real-time tagging of content on Kafka, with confidences that can be relied on."""

__version__ = "0.1.0"
