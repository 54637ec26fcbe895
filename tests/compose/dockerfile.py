"""A Dockerfile as a list of instructions: enough of its grammar for the checks in this folder."""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Instruction", "health_check", "instructions", "only", "stages"]


@dataclass(frozen=True)
class Instruction:
    """One instruction, continuation lines joined: its keyword, its ``--flags`` and the rest."""

    keyword: str
    flags: tuple[str, ...]
    argument: str


def instructions(file: Path) -> list[Instruction]:
    """Read a Dockerfile; comments are left out."""
    lines = [line for line in file.read_text().splitlines() if line.strip() and not line.startswith("#")]
    found = []
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        keyword, _, rest = line.strip().partition(" ")
        flags = []
        while flag := re.match(r"(--[a-z-]+=\S+)\s+", rest):
            flags.append(flag[1])
            rest = rest[flag.end() :]
        found.append(Instruction(keyword, tuple(flags), rest.strip()))
    return found


def stages(file: Path) -> list[list[Instruction]]:
    """The instructions of each stage, from its FROM on; what stands before the first is left out."""
    found: list[list[Instruction]] = []
    for each in instructions(file):
        if each.keyword == "FROM":
            found.append([])
        if found:
            found[-1].append(each)
    return found


def only(keyword: str, found: list[Instruction]) -> Instruction:
    """The one instruction with this keyword."""
    (one,) = [each for each in found if each.keyword == keyword]
    return one


def health_check(file: Path) -> list[str]:
    """The command of the last stage's health check, a script for Python, to be run by this Python."""
    command = json.loads(only("HEALTHCHECK", stages(file)[-1]).argument.removeprefix("CMD").strip())
    assert command[0] == "python"
    return [sys.executable, *command[1:]]
