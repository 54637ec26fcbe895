"""A language model that knows the prompts of the baselines and reads no further than names."""

import json

__all__ = ["chooses"]


def chooses(asked):
    """The tags whose names stand in the note, in the form that was asked for."""
    note = asked.user.split("# Note\n")[1].split("\n")[0]
    listed = [line.split(". ", 1) for line in asked.user.split("# Tags\n")[1].split("\n")]
    judged = [(int(number), words.split(":")[0] in note) for number, words in listed]
    chosen = [number for number, stands in judged if stands]
    answers = {
        "selected_tags": {"clues": "", "tags": chosen},
        "ranked_tags": {"generated": [], "ranking": chosen},
        "class_decisions": {
            "decisions": [{"tag": number, "belongs": stands, "certainty": 0.5} for number, stands in judged]
        },
    }
    return json.dumps(answers[asked.body["response_format"]["json_schema"]["name"]])
