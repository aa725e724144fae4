"""Energy that processors and memory took, where Linux lets us read their counters (RAPL)."""

from pathlib import Path

POWERCAP = Path("/sys/class/powercap")


class EnergyMeter:
    """Adds up the counters of the whole machine, whoever keeps it busy.

    A counter starts again from zero, after an hour or so under load: `read` has to be called more
    often than that. On most machines only root may read them.

    Parameters
    ----------
    root : Path
        Folder of the counters.
    """

    def __init__(self, root: Path = POWERCAP) -> None:
        self._counters = {zone: 0 for zone in root.glob("intel-rapl:*") if _counts(zone)}
        self._microjoules = 0
        for zone in list(self._counters):
            try:
                self._counters[zone] = _number(zone / "energy_uj")
            except (OSError, ValueError):
                del self._counters[zone]

    def read(self) -> float | None:
        """Return the joules since the meter was made; None if no counter can be read."""
        if not self._counters:
            return None
        for zone, before in self._counters.items():
            now = _number(zone / "energy_uj")
            again = 0 if now >= before else _number(zone / "max_energy_range_uj")
            self._microjoules += now - before + again
            self._counters[zone] = now
        return self._microjoules / 1e6


def _counts(zone: Path) -> bool:
    """Take sockets and their memory; cores and the like are parts of a socket."""
    try:
        name = (zone / "name").read_text().strip()
    except OSError:
        return False
    return name.startswith("package") or name == "dram"


def _number(path: Path) -> int:
    return int(path.read_text())
