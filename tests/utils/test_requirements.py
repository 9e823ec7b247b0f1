from __future__ import annotations

from spacy_mner.utils.requirements import requirements_of


def test_requirements_have_the_bounds_of_the_extra_and_no_marker():
    assert requirements_of("parquet", ["pyarrow", "ray"]) == ["pyarrow>=14"]


def test_a_package_outside_the_extra_is_not_required():
    assert requirements_of("onnx", ["pyarrow", "numpy"]) == []
