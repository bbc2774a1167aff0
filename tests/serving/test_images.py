import stat

from lesionlens.serving.images import KeptImages, RecentImages, images_folder


def test_recent_images_are_bounded_in_bytes_and_time():
    recent = RecentImages(n_bytes=10, seconds=5)
    recent.put("a", b"12345", now=0)
    recent.put("b", memoryview(b"1234"), now=1)
    assert recent.get("a", now=2) == b"12345"
    recent.put("c", b"12", now=2)  # beyond the bytes: the oldest goes
    assert (recent.get("a", now=2), recent.get("b", now=2), recent.held) == (None, b"1234", 6)
    assert (recent.get("b", now=6.5), recent.get("c", now=6.5), recent.held) == (None, b"12", 2)
    recent.put("d", b"x" * 11, now=6.5)
    assert recent.get("d", now=6.5) is None


def test_a_timer_can_drop_what_nobody_asks_for(monkeypatch):
    recent = RecentImages(n_bytes=10, seconds=5)
    recent.put("a", b"12345", now=0)
    monkeypatch.setattr("time.monotonic", lambda: 4.9)
    recent.drop()
    assert recent.held == 5
    monkeypatch.setattr("time.monotonic", lambda: 5.0)
    recent.drop()
    assert recent.held == 0


def test_no_minutes_keep_nothing():
    recent = RecentImages(n_bytes=10, seconds=0)
    recent.put("a", b"1", now=0)
    assert (recent.get("a", now=0), recent.held) == (None, 0)


def test_kept_images_lie_by_hash_for_their_owner_only(tmp_path):
    kept = KeptImages(images_folder(tmp_path / "record.sqlite"))
    kept.put("ab", b"image")
    kept.put("ab", b"image")
    assert (kept.get("ab"), kept.get("cd")) == (b"image", None)
    assert stat.S_IMODE(kept.path("ab").stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.folder.stat().st_mode) == 0o700
    assert [file.name for file in kept.folder.iterdir()] == ["ab"]
