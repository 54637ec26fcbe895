"""The link that says which bundle the workers use."""

from pathlib import Path

import pytest

from streamproc.errors import SettingsError
from streamproc.inference.release import back, point_to, previous_of


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Two bundles and the link beside them."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    return tmp_path / "one", tmp_path / "two", tmp_path / "current"


def test_a_link_is_pointed_forward_back_and_forward_again(bundles: tuple[Path, Path, Path]) -> None:
    one, two, link = bundles
    point_to(link, one)
    assert link.resolve() == one
    point_to(link, two)
    assert (link.resolve(), previous_of(link).resolve()) == (two, one)
    assert back(link) == one
    assert (link.resolve(), previous_of(link).resolve()) == (one, two)
    assert back(link) == two


def test_switching_to_where_it_points_already_forgets_nothing(bundles: tuple[Path, Path, Path]) -> None:
    one, two, link = bundles
    point_to(link, one)
    point_to(link, two)
    point_to(link, two)
    assert back(link) == one


def test_links_between_neighbours_hold_where_the_disk_is_mounted_elsewhere(
    bundles: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    one, two, link = bundles
    point_to(link, one)
    point_to(link, two)
    elsewhere = tmp_path.with_name("elsewhere")
    tmp_path.rename(elsewhere)
    assert (elsewhere / "current").resolve() == elsewhere / "two"
    assert back(elsewhere / "current") == elsewhere / "one"


def test_a_bundle_itself_is_no_link(bundles: tuple[Path, Path, Path]) -> None:
    one, two, _ = bundles
    with pytest.raises(SettingsError, match=r"is a bundle itself, not a link to one"):
        point_to(one, two)
    with pytest.raises(SettingsError, match=r"is a bundle itself, not a link to one"):
        back(one)


def test_without_a_release_before_it_nothing_is_rolled_back(bundles: tuple[Path, Path, Path]) -> None:
    one, _, link = bundles
    point_to(link, one)
    with pytest.raises(SettingsError, match=r"no release before it that is known"):
        back(link)
    assert link.resolve() == one
