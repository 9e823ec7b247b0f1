from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from spacy_mner.errors import ImageError
from spacy_mner.images.feature_cache import FeatureCache
from spacy_mner.images.reference import LazyImage, open_image

from .samples import noise


class MeanColor:
    """Stands in for an image encoder: one region of three values, and a count of its work."""

    n_regions = 1
    dim = 3
    batch_size = 4

    def __init__(self, fingerprint: str = "mean-color", scale: float = 1.0) -> None:
        self.fingerprint = fingerprint
        self.scale = scale
        self.encoded = 0

    def encode(self, images):
        self.encoded += len(images)
        means = [image.mean((0, 1)) * self.scale for image in images]
        return np.array(means, dtype=np.float32).reshape(-1, 1, 3)


def shots(n: int):
    return [open_image(noise(4, 4, seed=i), None) for i in range(n)]


def store_of(encoder, cache: Path | None = None, memory_mb: int = 8) -> FeatureCache:
    store = FeatureCache(encoder, memory_mb=memory_mb)
    store.folder = cache
    return store


def test_features_come_in_the_order_of_the_images():
    images = shots(5)
    features = store_of(MeanColor()).features(images[::-1])
    for image, values in zip(images[::-1], features, strict=True):
        assert values.dtype == np.float32
        assert np.allclose(values, image.pixels().mean((0, 1)), rtol=1e-3)


def test_an_image_twice_in_one_call_is_encoded_once():
    encoder = MeanColor()
    a, b = shots(2)
    features = store_of(encoder).features([a, b, a, a])
    assert encoder.encoded == 2
    assert np.array_equal(features[0], features[3])


def test_later_epochs_encode_nothing():
    encoder = MeanColor()
    store = store_of(encoder)
    for _ in range(3):
        store.features(shots(100))
    assert encoder.encoded == 100


def test_a_restart_with_a_cache_folder_encodes_nothing_and_agrees_bit_by_bit(tmp_path):
    first = store_of(MeanColor(), tmp_path).features(shots(3))
    again = MeanColor()
    second = store_of(again, tmp_path).features(shots(3))
    assert again.encoded == 0
    assert np.array_equal(first, second)


def test_features_are_the_same_with_and_without_a_cache(tmp_path):
    without = store_of(MeanColor(), memory_mb=0).features(shots(3))
    assert np.array_equal(without, store_of(MeanColor(), tmp_path).features(shots(3)))


def test_encoders_do_not_read_the_features_of_each_other(tmp_path):
    store_of(MeanColor("one"), tmp_path).features(shots(1))
    other = MeanColor("two", scale=2.0)
    store_of(other, tmp_path).features(shots(1))
    assert other.encoded == 1
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


@pytest.mark.parametrize("damage", ["cut", "empty", "noise", "other shape", "other type", "pickle"])
def test_a_damaged_file_in_the_cache_is_encoded_anew(tmp_path, damage):
    expected = store_of(MeanColor(), tmp_path).features(shots(1))
    [path] = tmp_path.rglob("*.npy")
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[:-2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "noise":
        path.write_bytes(bytes(reversed(whole)))
    elif damage == "other shape":
        np.save(path, np.zeros((2, 3), np.float16))
    elif damage == "other type":
        np.save(path, np.zeros((1, 3), np.float32))
    else:
        path.write_bytes(pickle.dumps(np.zeros((1, 3), np.float16)))
    encoder = MeanColor()
    assert np.array_equal(store_of(encoder, tmp_path).features(shots(1)), expected)
    assert encoder.encoded == 1
    assert path.read_bytes() == whole


def test_nothing_unfinished_stays_in_the_cache(tmp_path):
    store_of(MeanColor(), tmp_path).features(shots(3))
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".npy"}


def test_a_cache_that_cannot_be_written_costs_a_warning_and_nothing_else(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = store_of(MeanColor(), tmp_path / "file")
    with pytest.warns(UserWarning, match="cannot write to") as warned:
        features = store.features(shots(3))
    assert len(features) == 3
    assert len(warned) == 1


def test_memory_is_bounded_and_forgets_what_was_longest_unused():
    encoder = MeanColor()
    # 4 MiB hold two images of 2 MiB in float16.
    encoder.dim = 1 << 20
    encoder.encode = lambda images: MeanColor.encode(encoder, images)[:, :, :1].repeat(1 << 20, 2)
    a, b, c = shots(3)
    store = store_of(encoder, memory_mb=4)
    store.features([a, b])
    store.features([a])
    store.features([c])
    assert encoder.encoded == 3
    store.features([a, c])
    assert encoder.encoded == 3
    store.features([b])
    assert encoder.encoded == 4


def test_an_unreadable_image_is_answered_by_its_reason_and_costs_no_other():
    good, broken = shots(1)[0], open_image(b"no image", None)
    first, second, third = store_of(MeanColor()).features([broken, good, broken])
    assert isinstance(first, ImageError) and str(first) == "not an image"
    assert isinstance(second, np.ndarray)
    assert isinstance(third, ImageError)


def test_a_file_that_vanished_is_answered_by_its_reason(tmp_path):
    path = tmp_path / "gone.png"
    path.write_bytes(b"x")
    image = open_image(path, None)
    path.unlink()
    [result] = store_of(MeanColor()).features([image])
    assert isinstance(result, ImageError)


def test_changing_a_result_does_not_change_the_store():
    store = store_of(MeanColor())
    store.features(shots(1))[0][:] = -1
    assert (store.features(shots(1))[0] >= 0).all()


def test_features_beyond_half_precision_stay_finite():
    [features] = store_of(MeanColor(scale=1e9)).features(shots(1))
    assert np.isfinite(features).all() and (features > 6e4).all()


def test_an_encoder_without_an_answer_masks_the_image():
    [result] = store_of(MeanColor(scale=float("nan"))).features(shots(1))
    assert isinstance(result, ImageError)


def test_no_images_no_features():
    assert store_of(MeanColor()).features([]) == []


def test_threads_share_the_work():
    encoder = MeanColor()
    store = store_of(encoder)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(store.features, [shots(20)] * 16))
    assert encoder.encoded == 20
    assert all(np.array_equal(answer, answers[0]) for answer in answers)


def test_a_pickle_holds_no_features_and_works(tmp_path):
    store = store_of(MeanColor(), tmp_path)
    expected = store.features(shots(50))
    small = pickle.dumps(store)
    assert len(small) < 1000
    assert np.array_equal(pickle.loads(small).features(shots(50)), expected)


class Waiting(MeanColor):
    """Encodes when it is told to; `entered` says that it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go_on = threading.Event(), threading.Event()

    def encode(self, images):
        self.entered.set()
        assert self.go_on.wait(10)
        return super().encode(images)


def test_a_thread_that_needs_nothing_new_does_not_wait_for_one_that_encodes():
    encoder = Waiting()
    store = store_of(encoder)
    known, new, broken = *shots(2), open_image(b"no image", None)
    encoder.go_on.set()
    store.features([known])
    encoder.go_on.clear()
    encoder.entered.clear()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(store.features, [new])
        assert encoder.entered.wait(10)
        assert isinstance(store.features([known])[0], np.ndarray)
        assert not slow.done()
        encoder.go_on.set()
        assert isinstance(store.features([broken])[0], ImageError)
        assert isinstance(slow.result(10)[0], np.ndarray)


@pytest.mark.parametrize("memory_mb", [0, 8])
def test_an_image_that_another_thread_encodes_is_waited_for_and_not_encoded_again(memory_mb):
    encoder = Waiting()
    store = store_of(encoder, memory_mb=memory_mb)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(store.features, shots(1))
        assert encoder.entered.wait(10)
        second = pool.submit(store.features, shots(1))
        encoder.go_on.set()
        assert np.array_equal(first.result(10), second.result(10))
    assert encoder.encoded == 1 or not memory_mb


def test_threads_that_want_images_of_each_other_all_get_them():
    encoder = MeanColor()
    store = store_of(encoder)
    with ThreadPoolExecutor(8) as pool:
        orders = [shots(40)[i:] + shots(40)[:i] for i in range(0, 40, 5)]
        answers = [f.result(30) for f in [pool.submit(store.features, o) for o in orders]]
    assert encoder.encoded == 40
    for i, answer in zip(range(0, 40, 5), answers, strict=True):
        assert np.array_equal(answer[40 - i :] + answer[: 40 - i], answers[0])


def test_a_thread_takes_over_what_another_failed_at():
    class FailsAtFirst(Waiting):
        def encode(self, images):
            first = not self.entered.is_set()
            features = super().encode(images)
            if first:
                raise RuntimeError("out of memory")
            return features

    encoder = FailsAtFirst()
    store = store_of(encoder)
    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(store.features, shots(3))
        assert encoder.entered.wait(10)
        waiting = pool.submit(store.features, shots(3))
        encoder.go_on.set()
        with pytest.raises(RuntimeError, match="out of memory"):
            failing.result(10)
        assert all(isinstance(values, np.ndarray) for values in waiting.result(10))
    assert len(store.features(shots(3))) == 3


class Counted(LazyImage):
    """An image of 3 MB that says when its pixels come into memory, and fails where it is told."""

    def __init__(self, number: int, decoded: list[int], trouble: Exception | None = None) -> None:
        self.number, self.decoded, self.trouble = number, decoded, trouble

    @property
    def digest(self) -> str:
        return f"{self.number:064}"

    def pixels(self) -> np.ndarray:
        self.decoded.append(self.number)
        if self.trouble:
            raise self.trouble
        return np.full((1000, 1000, 3), self.number, np.uint8)


def test_images_are_decoded_ahead_but_only_so_many_bytes(monkeypatch):
    monkeypatch.setattr("spacy_mner.images.prefetch.AHEAD_BYTES", 12_000_000)
    monkeypatch.setattr("spacy_mner.images.prefetch.N_THREADS", 2)
    decoded: list[int] = []
    lead: list[int] = []

    class Watching(MeanColor):
        def encode(self, images):
            # Whatever may go ahead has the time to do so.
            threading.Event().wait(0.05)
            lead.append(len(decoded) - self.encoded)
            return super().encode(images)

    encoder = Watching()
    features = store_of(encoder).features([Counted(i, decoded) for i in range(30)])
    assert [int(values[0, 0]) for values in features] == list(range(30))
    # 12 MB are four images; two more may have been begun before the last of them counted.
    assert 2 < max(lead) <= 6
    assert sorted(decoded) == list(range(30))


def test_an_image_that_is_larger_than_the_room_is_encoded_all_the_same(monkeypatch):
    monkeypatch.setattr("spacy_mner.images.prefetch.AHEAD_BYTES", 1)
    features = store_of(MeanColor()).features([Counted(i, []) for i in range(9)])
    assert [int(values[0, 0]) for values in features] == list(range(9))


def test_images_are_encoded_in_their_order_and_in_groups_that_never_change():
    groups: list[list[int]] = []

    class Listening(MeanColor):
        def encode(self, images):
            groups.append([int(image[0, 0, 0]) for image in images])
            return super().encode(images)

    store_of(Listening()).features([Counted(i, []) for i in range(10)])
    assert groups == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_trouble_that_is_no_fault_of_the_image_is_not_hidden_and_ends_the_threads():
    before = threading.active_count()
    store = store_of(MeanColor())
    images = [Counted(i, [], RuntimeError("disk on fire") if i == 3 else None) for i in range(9)]
    with pytest.raises(RuntimeError, match="disk on fire"):
        store.features(images)
    assert threading.active_count() == before
    assert len(store.features([Counted(i, []) for i in range(9)])) == 9


def test_a_reason_keeps_nothing_of_the_image_in_memory():
    [reason] = store_of(MeanColor()).features([open_image(b"no image" * 1000, None)])
    assert isinstance(reason, ImageError) and reason.__traceback__ is None
    assert reason.__cause__ is None and reason.__context__ is None
