import os

import pytest

from streamproc.inference.cores import available_cores

PRESENT = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.mark.parametrize(
    ("cpu_max", "expected"),
    [
        ("max 100000\n", PRESENT),
        ("50000 100000\n", 1),
        ("100000 100000\n", 1),
        ("10000000000 100000\n", PRESENT),
        ("nonsense", PRESENT),
    ],
)
def test_a_containers_quota_limits_the_cores(tmp_path, cpu_max, expected):
    file = tmp_path / "cpu.max"
    file.write_text(cpu_max)
    assert available_cores(file) == expected


def test_without_cgroups_all_cores_count(tmp_path):
    assert available_cores(tmp_path / "none") == PRESENT
