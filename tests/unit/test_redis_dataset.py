"""Another dataset behind the address is noticed, also over a restart of the node."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.redis_dataset import Datasets


def datasets(folder: Path | None, address: str = "redis://a:1", namespace: str = "ours") -> Datasets:
    return Datasets(address, namespace, folder)


def test_the_same_again_is_no_loss_and_another_is_one_each_time(caplog: pytest.LogCaptureFixture) -> None:
    seen = datasets(None)
    for name in ("d1", "d1", "d2", "d2", "d1"):
        seen.found(name)
    assert seen.lost == 2
    assert [record.getMessage() for record in caplog.records] == [
        "another dataset is behind redis://a:1: d2, was d1; what was acknowledged before is not in it",
        "another dataset is behind redis://a:1: d1, was d2; what was acknowledged before is not in it",
    ]


def test_one_that_is_emptied_on_purpose_is_no_loss(tmp_path: Path) -> None:
    seen = datasets(tmp_path)
    seen.found("d1")
    seen.forget()
    seen.found("d2")
    assert seen.lost == 0
    after = datasets(tmp_path)
    after.found("d2")
    assert after.lost == 0


def test_it_is_remembered_over_a_restart_in_a_folder_that_need_not_be_there(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    datasets(folder).found("d1")
    again = datasets(folder)
    again.found("d1")
    assert again.lost == 0
    again.found("d2")
    third = datasets(folder)
    third.found("d3")
    assert (again.lost, third.lost) == (1, 1)
    assert [path.name for path in folder.iterdir()] == ["redis-ours.json"]


def test_another_address_or_namespace_is_another_thing(tmp_path: Path) -> None:
    datasets(tmp_path).found("d1")
    elsewhere = datasets(tmp_path, "redis://b:1")
    elsewhere.found("d2")
    other = datasets(tmp_path, namespace="theirs")
    other.found("d3")
    assert (elsewhere.lost, other.lost) == (0, 0)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"dataset": 1}'])
def test_a_damaged_file_is_said_and_written_anew(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "redis-ours.json").write_bytes(content)
    seen = datasets(tmp_path)
    assert "cannot be read" in caplog.text
    seen.found("d1")
    assert seen.lost == 0
    after = datasets(tmp_path)
    after.found("d2")
    assert after.lost == 1


def test_a_folder_that_cannot_be_written_does_not_stop_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data").write_text("a file is in the way")
    seen = datasets(tmp_path / "data")
    seen.found("d1")
    seen.found("d2")
    assert seen.lost == 1
    assert "dataDir: the dataset's id cannot be kept" in caplog.text
