"""Joules from counters that start again from zero."""

from recrepro.run.energy import EnergyMeter


def zone(root, name, title, value):
    folder = root / name
    folder.mkdir(exist_ok=True)
    (folder / "name").write_text(f"{title}\n")
    (folder / "max_energy_range_uj").write_text("10000000\n")
    (folder / "energy_uj").write_text(f"{value}\n")


def test_sockets_and_memory_count_once_and_counters_may_start_again(tmp_path):
    zone(tmp_path, "intel-rapl:0", "package-0", 9_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 0)
    zone(tmp_path, "intel-rapl:0:1", "dram", 500_000)
    zone(tmp_path, "intel-rapl:1", "psys", 0)
    meter = EnergyMeter(tmp_path)
    assert meter.read() == 0.0
    zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 700_000)
    zone(tmp_path, "intel-rapl:0:1", "dram", 750_000)
    zone(tmp_path, "intel-rapl:1", "psys", 900_000)
    assert meter.read() == 2.25
    zone(tmp_path, "intel-rapl:0", "package-0", 1_500_000)
    assert meter.read() == 2.75


def test_without_readable_counters_there_is_no_number(tmp_path):
    assert EnergyMeter(tmp_path).read() is None
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert EnergyMeter(tmp_path).read() is None
