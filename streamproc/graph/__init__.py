"""The content-tag graph: vertices and edges in Milvus, and recall over them (LLM4Tag, 3.1)."""
