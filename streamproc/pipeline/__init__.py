"""From a batch of notes to outcomes, without Kafka, Triton or a server."""
