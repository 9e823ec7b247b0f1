from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import spacy

from spacy_mner.errors import ImageWarning

from .conftest import MAX_BODY, MAX_IMAGE, serving

TEXTS = ["my jaguar !", "hi Bob Dylan lynx", "my puma ! 🎸", "x", "  "]


def annotate(url, posts, **fields):
    return httpx.post(f"{url}v1/annotate", json={"posts": posts, **fields}, timeout=60)


def encoded(content):
    return base64.b64encode(content).decode()


@pytest.fixture(scope="module")
def car(images):
    return (images / "car.png").read_bytes()


def padded(content, size):
    """A PNG file of this size: decoders ignore what follows the image."""
    return content + b"\0" * (size - len(content))


def entities(doc):
    return [
        (e.start_char, e.end_char, e.label_, e.text, pytest.approx(e._.score, abs=1e-5))
        for e in doc.ents
    ]


def test_answers_equal_those_of_the_pipeline_however_requests_arrive(url, model, images):
    nlp = spacy.load(model)
    files = [None, (images / "car.png").read_bytes(), (images / "animal.png").read_bytes()]
    posts = [(text, image) for text in TEXTS for image in files]
    docs = []
    for text, image in posts:
        doc = nlp.make_doc(text)
        doc._.image = image
        docs.append(doc)
    expected = list(nlp.pipe(docs))

    def request(i):
        text, image = posts[i]
        if i % 2:
            return annotate(url, [{"text": text, "image": image and encoded(image)}])
        form = {"text": (None, text), **({"image": image} if image else {})}
        return httpx.post(f"{url}v1/annotate", timeout=60, files=form)

    with ThreadPoolExecutor(8) as threads:
        answers = [one.json()["posts"] for one in threads.map(request, range(len(posts)))]
    assert any(doc.ents for doc in expected)
    for [answer], doc in zip(answers, expected, strict=True):
        found = [tuple(e[key] for key in ("start", "end", "label", "text", "score"))
                 for e in answer["entities"]]  # fmt: skip
        assert found == entities(doc)
        assert answer["image_status"] == doc._.image_status


def test_one_form_has_several_posts_and_files(url, car):
    posts = [{"text": "my jaguar !", "image": "attachment:a"}, {"text": "my puma !"}]
    response = httpx.post(
        f"{url}v1/annotate", data={"posts": json.dumps(posts)}, files={"a": car}, timeout=60
    )
    assert [one["image_status"] for one in response.json()["posts"]] == ["used", "absent"]


def test_several_images_of_a_form_belong_to_one_post(url, car, images):
    files = [("image", car), ("image", (images / "animal.png").read_bytes()), ("image", b"broken")]
    response = httpx.post(
        f"{url}v1/annotate", data={"text": "my jaguar !"}, files=files, timeout=60
    )
    assert response.json()["posts"][0]["image_status"].startswith("used 2 of 3: not an image")


def test_attention_is_returned_on_request(url, model, car):
    post = {"text": "my jaguar !", "image": encoded(car)}
    [without] = annotate(url, [post]).json()["posts"]
    [answer] = annotate(url, [post], attention=True).json()["posts"]
    doc = spacy.load(model).make_doc(post["text"])
    doc._.image = car
    expected = spacy.load(model)(doc)._.modality_attention
    assert without["attention"] is None
    for name, weights in expected.items():
        found = [token["weights"][name] for token in answer["attention"]]
        np.testing.assert_allclose(found, weights, atol=1e-5)


def test_the_regions_of_attention_are_named_and_placed_on_the_image(grid_model, car):
    with serving(grid_model) as url:
        post = {"text": "my jaguar !", "image": [encoded(b"broken"), encoded(car)]}
        [answer] = annotate(url, [post], attention=True).json()["posts"]
    regions = answer["regions"]["image"]
    assert regions["grids"] == [{"image": 1, "start": 0, "side": 7}]
    assert len(regions["names"]) == len(answer["attention"][0]["regions"]["image"]) == 49


def test_the_objects_and_the_text_of_the_image_are_returned(url):
    objects = ["car", {"label": "cat", "score": 0.5, "box": [0, 0, 1, 1], "vector": [1, 2]}]
    post = {"text": "hi", "image_objects": objects, "image_text": "JAGUAR"}
    [answer] = annotate(url, [post]).json()["posts"]
    assert answer["image_text"] == "JAGUAR"
    assert answer["image_objects"] == [
        {"label": "car", "score": None, "box": None},
        {"label": "cat", "score": 0.5, "box": [0, 0, 1, 1]},
    ]


@pytest.mark.parametrize(
    ("request_body", "status"),
    [
        ({"content": b"{"}, 422),
        ({"json": {}}, 422),
        ({"json": {"posts": []}}, 422),
        ({"json": {"posts": [{"text": 1}]}}, 422),
        ({"json": {"posts": [{"text": "a", "label": "PER"}]}}, 422),
        ({"json": {"posts": [{"text": "a", "image": "car.png"}]}}, 422),
        ({"json": {"posts": [{"text": "a", "image": "/etc/passwd"}]}}, 422),
        ({"json": {"posts": [{"text": "a", "image": "file:///etc/passwd"}]}}, 422),
        ({"json": {"posts": [{"text": "a", "image": "http://127.0.0.1/a.png"}]}}, 422),
        ({"json": {"posts": [{"text": "a", "image": "data:image/png;base64,%"}]}}, 422),
        ({"json": {"posts": [{"text": "a", "image": "attachment:b"}]}}, 422),
        ({"json": {"posts": [{"text": "a" * 101}]}}, 413),
        ({"json": {"posts": [{"text": "a", "image_text": "a" * 101}]}}, 413),
        ({"data": {"text": "a", "image_text": "a" * 101}, "files": {"image": b"-"}}, 413),
        ({"json": {"posts": [{"text": "a", "image_objects": ["car"] * 101}]}}, 413),
        ({"json": {"posts": [{"text": "a"}] * 21}}, 413),
        ({"json": {"posts": [1] * 21}}, 413),
        ({"json": {"posts": [{"text": "a", "image": ["AAAA"] * 33}]}}, 413),
        ({"json": {"posts": [{"text": "a", "image": ["AAAA"] * 20}] * 20}}, 413),
        ({"content": b" " * (MAX_BODY + 1)}, 413),
        ({"files": {"image": b"-"}}, 422),
        ({"data": {"posts": "["}, "files": {"image": b"-"}}, 422),
        ({"data": {"text": "a", "other": "b"}, "files": {"image": b"-"}}, 422),
        ({"content": b"a", "headers": {"Content-Type": "text/plain"}}, 415),
    ],
)
def test_an_invalid_request_is_refused_with_the_reason(url, request_body, status):
    headers = {"Content-Type": "application/json"} if "content" in request_body else {}
    request = {"headers": headers, **request_body}
    response = httpx.post(f"{url}v1/annotate", timeout=60, **request)
    assert response.status_code == status
    assert isinstance(response.json()["detail"], str)


@pytest.mark.parametrize(
    ("post", "reason"),
    [
        ({"text": "a", "image": "%"}, "posts.2.image: neither base64"),
        ({"text": "a", "image": "http://a.example/b.png"}, "posts.2.image: a URL"),
        ({"text": "a", "image": ["AAAA"] * 33}, "posts.2: Too many images: 33, limit 32"),
        ({"text": "a" * 101}, "posts.2: Too many characters in text: 101, limit 100"),
        ({"text": "a", "img": "AAAA"}, "posts.2.img: "),
        ("a", "posts.2: expected an object"),
    ],
)
def test_the_reason_names_the_post(url, post, reason):
    posts = [{"text": "a"}, {"text": "b"}, post]
    response = httpx.post(f"{url}v1/annotate", json={"posts": posts}, timeout=60)
    assert response.json()["detail"].startswith(reason)


def test_a_form_without_a_text_is_refused_by_its_fields(url):
    response = httpx.post(f"{url}v1/annotate", files={"image": b"-"}, timeout=60)
    assert "neither a field text nor posts" in response.json()["detail"]


def test_a_post_in_place_of_a_list_of_posts_is_refused_with_the_remedy(url):
    response = httpx.post(f"{url}v1/annotate", json={"text": "a"}, timeout=60)
    assert response.status_code == 422
    assert '{"posts": [{"text": "…"}]}' in response.json()["detail"]


def test_a_form_with_the_path_of_an_image_in_place_of_the_file_is_refused_with_the_remedy(url):
    form = {"text": (None, "a"), "image": (None, "photos/car.jpg")}
    response = httpx.post(f"{url}v1/annotate", files=form, timeout=60)
    assert response.status_code == 422
    assert "-F image=@FILE" in response.json()["detail"]


@pytest.mark.parametrize(
    ("fields", "remedy"),
    [
        ({"text": (None, "a"), "photo": b"-"}, "'photo' is not used: the field of an image is"),
        ({"text": (None, "a"), "image[]": b"-"}, "'image[]' is not used"),
        ({"text": (None, "a"), "image:1": b"-"}, "'image:1' is not used"),
        ({"posts": (None, '[{"text": "a"}]'), "image": b"-"}, '"image": "attachment:NAME"'),
        ({"posts": ("f.json", b"[]")}, "-F 'posts=<FILE'"),
        ({"text": ("f.txt", b"a"), "image": b"-"}, "-F 'text=<FILE'"),
    ],
)
def test_a_file_that_no_post_has_is_refused_with_the_remedy(url, fields, remedy):
    response = httpx.post(f"{url}v1/annotate", files=fields, timeout=60)
    assert response.status_code == 422
    assert remedy in response.json()["detail"]


def test_two_files_of_one_name_are_refused(url, car):
    posts = [{"text": "a", "image": "attachment:a"}]
    form = [("posts", (None, json.dumps(posts))), ("a", car), ("a", car)]
    response = httpx.post(f"{url}v1/annotate", files=form, timeout=60)
    assert response.status_code == 422
    assert "two files" in response.json()["detail"]


@pytest.mark.parametrize("kind", ["base64", "data URI", "multipart"])
@pytest.mark.parametrize("excess", [0, 1])
def test_an_image_may_be_as_large_as_the_limit_and_no_larger(url, car, kind, excess):
    content = padded(car, MAX_IMAGE + excess)
    if kind == "multipart":
        form = {"data": {"text": "a"}, "files": {"image": content}}
        response = httpx.post(f"{url}v1/annotate", timeout=60, **form)
    else:
        prefix = "data:;base64," if kind == "data URI" else ""
        response = annotate(url, [{"text": "a", "image": prefix + encoded(content)}])
    assert response.status_code == (413 if excess else 200)
    if not excess:
        assert response.json()["posts"][0]["image_status"] == "used"


def test_base64_may_have_line_breaks_as_the_command_base64_writes_them(url, car):
    [answer] = annotate(url, [{"text": "a", "image": base64.encodebytes(car).decode()}]).json()[
        "posts"
    ]
    assert answer["image_status"] == "used"


@pytest.mark.parametrize("content", [b"broken", b"\xff\xd8\xff\xe0 broken", b""])
def test_a_broken_image_is_masked(url, content):
    form = {"data": {"text": "hi Bob Dylan lynx"}, "files": {"image": content}}
    [answer] = httpx.post(f"{url}v1/annotate", timeout=60, **form).json()["posts"]
    assert answer["image_status"].startswith("unreadable: ")
    assert answer["error"] is None


def test_urls_are_fetched_from_public_addresses_only(model):
    with serving(model, allow_urls=True) as url:
        post = {"text": "a", "image": f"{url.replace('127.0.0.1', 'localhost')}static/icon.svg"}
        [answer] = annotate(url, [post]).json()["posts"]
    assert answer["image_status"].startswith("unreadable: port not allowed")


def test_a_full_queue_is_answered_with_retry_after(model):
    with serving(model, max_queue=2, max_posts=2, max_wait=1) as url, ThreadPoolExecutor(2) as both:
        requests = both.map(lambda _: annotate(url, [{"text": "a"}] * 2), range(2))
        answered, refused = sorted(requests, key=lambda one: one.status_code)
    assert (answered.status_code, refused.status_code) == (200, 503)
    assert int(refused.headers["Retry-After"]) >= 1


def test_large_requests_at_once_are_refused_beyond_a_total(model, monkeypatch):
    monkeypatch.setattr("spacy_mner.serve.server_settings.CONCURRENT_BODIES", 0)
    with serving(model) as url:
        assert annotate(url, [{"text": "a"}]).status_code == 503


def test_the_labels_and_the_state_are_returned(url):
    labels = httpx.get(f"{url}v1/labels").json()
    assert labels["labels"] == ["ORG", "PER"]
    assert httpx.get(f"{url}healthz").json()["status"] == "ok"


def test_openapi_describes_both_kinds_of_bodies(url):
    schema = httpx.get(f"{url}openapi.json").json()
    operation = schema["paths"]["/v1/annotate"]["post"]
    assert {*operation["requestBody"]["content"]} == {"application/json", "multipart/form-data"}
    assert {"200", "413", "422", "503"} <= {*operation["responses"]}


@pytest.mark.parametrize("path", ["", "docs", "v1/labels", "static/page.js", "nowhere"])
def test_every_answer_has_security_headers(url, path):
    headers = httpx.get(url + path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_images_do_not_warn(url, recwarn):
    annotate(url, [{"text": "a", "image": encoded(b"broken")}])
    assert not [one for one in recwarn if one.category is ImageWarning]
