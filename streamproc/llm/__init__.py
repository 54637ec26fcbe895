"""Asking language models: any endpoint that speaks OpenAI's chat completions.

Prompts and the meaning of answers belong to the callers: teachers in ``training``, baselines in ``evaluation``.
"""
