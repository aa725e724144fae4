import psutil
import pytest

from recrepro.compute import memory
from recrepro.compute.memory import available_bytes, require_memory
from recrepro.errors import ModelError


def write(folder, limit, used, files):
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {files}\nslab 7\n")


def test_a_container_may_use_what_is_left_of_its_limit_and_what_files_occupy(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    write(tmp_path, 10_000_000, 6_000_000, 1_000_000)
    assert available_bytes() == 5_000_000


@pytest.mark.parametrize("limit", [None, "max"])
def test_without_a_limit_it_is_what_the_machine_has(monkeypatch, tmp_path, limit):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    if limit:
        write(tmp_path, limit, 6, 1)
    assert 0 < available_bytes() <= psutil.virtual_memory().total


def test_what_does_not_fit_is_refused_with_both_figures(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 3_000_000_000)
    require_memory("X", 3_000_000_000, "No.")
    with pytest.raises(ModelError, match=r"X needs about 5\.8 GB .* 3\.0 GB are available\. No\."):
        require_memory("X", 5_790_000_000, "No.")
