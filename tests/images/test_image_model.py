from spacy_mner.images.encoders.image_encoder import Preprocessing
from spacy_mner.images.image_model import make_fingerprint


def test_a_fingerprint_depends_on_every_fact_and_is_a_valid_folder_name():
    plain = Preprocessing(size=2, mean=(0.0,) * 3, std=(1.0,) * 3)
    other = Preprocessing(size=2, mean=(0.0,) * 3, std=(2.0,) * 3)
    names = {
        make_fingerprint("a", weights="w", preprocessing=plain),
        make_fingerprint("a", weights="v", preprocessing=plain),
        make_fingerprint("a", weights="w", preprocessing=other),
    }
    assert len(names) == 3
    assert all(name.startswith("a-") and name.replace("-", "").isalnum() for name in names)
