"""Container files are hostile: nothing of the host is read, nothing stops the sensor, each skip counts."""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.containers.packages import PYTHON, SITE, Distribution, environment, image, opaque
from tests.containers.watch import Watch
from tests.ground import Container, Ground, Sensor
from tests.ground.sensor import purls

pytestmark = pytest.mark.containers

HOST = Path("/etc")
TRAP = Distribution("trap", "6.6.6")
HONEST = Distribution("honest", "1.0.1", modules=2)

Trap = Callable[[Path], None]


def _replace(path: Path) -> Path:
    """``path``, with nothing there any more."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    return path


def site_packages_is_etc(layer: Path) -> None:
    """The container's site-packages is its /etc; the machine has one as well."""
    os.rename(layer / SITE, layer / "etc/was-site")
    for entry in (layer / "etc/was-site").iterdir():
        entry.rename(layer / "etc" / entry.name)
    (layer / SITE).symlink_to("/etc")


def dist_info_is_etc(layer: Path) -> None:
    _replace(layer / SITE / TRAP.info).symlink_to("../../../../../../../../etc")


def dist_info_is_the_hosts_root(layer: Path) -> None:
    _replace(layer / SITE / TRAP.info).symlink_to("/proc/1/root/etc")


def metadata_is_passwd(layer: Path) -> None:
    _replace(layer / SITE / TRAP.info / "METADATA").symlink_to("/etc/passwd")


def metadata_is_a_fifo(layer: Path) -> None:
    os.mkfifo(_replace(layer / SITE / TRAP.info / "METADATA"))


def record_is_a_fifo(layer: Path) -> None:
    os.mkfifo(_replace(layer / SITE / TRAP.info / "RECORD"))


def metadata_is_sparse(layer: Path) -> None:
    with _replace(layer / SITE / TRAP.info / "METADATA").open("wb") as file:
        file.truncate(10 << 30)


def record_is_sparse(layer: Path) -> None:
    with _replace(layer / SITE / TRAP.info / "RECORD").open("wb") as file:
        file.truncate(10 << 30)


def metadata_is_a_loop(layer: Path) -> None:
    _replace(layer / SITE / TRAP.info / "METADATA").symlink_to("METADATA")


def metadata_is_no_text(layer: Path) -> None:
    _replace(layer / SITE / TRAP.info / "METADATA").write_bytes(b"\xff\xfe\x00Name: \x1b[2J\nVersion" * 1000)


def thousands_of_dist_infos(layer: Path) -> None:
    for number in range(20_000):
        (layer / SITE / f"x{number}-1.dist-info").mkdir()


TRAPS: list[Trap] = [
    site_packages_is_etc,
    dist_info_is_etc,
    dist_info_is_the_hosts_root,
    metadata_is_passwd,
    metadata_is_a_fifo,
    record_is_a_fifo,
    metadata_is_sparse,
    record_is_sparse,
    metadata_is_a_loop,
    metadata_is_no_text,
    thousands_of_dist_infos,
]


@pytest.fixture(params=TRAPS, ids=lambda trap: trap.__name__)
def trapped(request: pytest.FixtureRequest, ground: Ground) -> Iterator[Container]:
    trap: Trap = request.param

    def set_trap(layer: Path) -> None:
        opaque(layer / "etc")  # so that opens of the container's /etc are none of the machine's
        trap(layer)

    of = image(ground, trap.__name__, [TRAP], set_trap, recipe=inspect.getsource(trap))
    program = f"import {TRAP.name}, time; print('loaded', flush=True); time.sleep(600)"
    with ground.container(of, [*PYTHON, program], name="trap", env=environment()) as container:
        yield container


def test_trap_reads_nothing_of_the_host(ground: Ground, sensor: Sensor, trapped: Container) -> None:
    with Watch(HOST) as watch:
        sensor.settle()
        # The next one is served: the trap holds nobody up.
        of = image(ground, "honest", [HONEST])
        program = f"import {HONEST.name}"
        with ground.container(of, [*PYTHON, program], name="honest", env=environment()) as good:
            sensor.wait_for_packages(good.id, {HONEST.purl})
        assert watch.opened_by(sensor.process.pid) == []
    assert "loaded" in trapped.output(), "the trap was not sprung"
    named = purls(sensor.latest.get(trapped.id))
    print("reported:", named or "nothing")
    assert named <= {TRAP.purl, "pkg:pypi/trap"}, "a name or version that stands in no file of the container"
    if trapped.specification.image_name.startswith("test/metadata_is_"):
        assert named == {TRAP.purl}, "where the metadata does not say it, the name of its folder does"
    assert sensor.process.poll() is None


def test_watch_sees_what_a_process_opens() -> None:
    with Watch(HOST) as watch:
        (HOST / "passwd").read_text()
        os.listdir(HOST)
        opened = watch.opened_by(os.getpid())
    assert set(opened) == {"/etc", "/etc/passwd"}


def test_skips_are_counted(sensor: Sensor) -> None:
    """Last of this file: by now every trap has been met."""
    counted = {
        reason: count
        for (name, reason), count in sensor.metrics().items()
        if name == "runtime_sensor_skipped_files_total" and count
    }
    print(counted)
    assert 'reason="too_many_entries"' in counted
