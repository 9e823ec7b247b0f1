from __future__ import annotations

import json

import httpx
import pytest
from typer.testing import CliRunner

from spacy_mner.cli.app import app
from spacy_mner.serve import labelstudio_backend

from .conftest import pipeline_that, serving

CONFIG = """<View>
  <!-- a comment -->
  <Image name="photo" value="$picture"/>
  <Labels name="entities" toName="post"><Label value="PER"/><Label value="ORG"/></Labels>
  <Text name="post" value="$tweet"/>
</View>"""
# As Label Studio 1.23.2 sent them.
SETUP = {
    "project": "3.1795787812",
    "schema": CONFIG,
    "hostname": "http://localhost:8080",
    "access_token": "secret",
    "extra_params": None,
}


def predict_request(*data, **changes):
    tasks = [
        {
            "id": number,
            "data": one,
            "meta": {},
            "created_at": "2026-11-27T13:56:53.667777Z",
            "updated_at": "2026-11-27T13:56:53.667824Z",
            "is_labeled": False,
            "overlap": 1,
            "inner_id": number,
            "total_annotations": 0,
            "total_predictions": 0,
            "last_comment_updated_at": None,
            "project": 3,
            "updated_by": None,
            "file_upload": None,
            "annotations": [],
            "predictions": [],
        }
        for number, one in enumerate(data, start=1)
    ]
    return {
        "tasks": tasks,
        "project": "3.1795787812",
        "label_config": CONFIG,
        "params": {"login": None, "password": None, "context": None},
        **changes,
    }


def post(url, path, body):
    return httpx.post(url + path, json=body, timeout=60)


def results(url, *data, **changes):
    response = post(url, "predict", predict_request(*data, **changes))
    assert response.status_code == 200, response.text
    return response.json()["results"]


def prediction(url, *data, **changes):
    [found] = results(url, *data, **changes)
    return found


def test_health_and_setup_name_the_pipeline(url):
    assert httpx.get(f"{url}health").json()["status"] == "UP"
    answer = post(url, "setup", SETUP).json()
    assert answer == {"model_version": httpx.get(f"{url}v1/labels").json()["model"]}


def test_predictions_are_regions_of_the_labeling_config(url):
    found = prediction(url, {"tweet": "hi Bob Dylan lynx", "picture": ""})
    [region] = found["result"]
    assert (region["from_name"], region["to_name"], region["type"]) == (
        "entities",
        "post",
        "labels",
    )
    assert region["value"] == {"start": 3, "end": 12, "text": "Bob Dylan", "labels": ["PER"]}
    assert found["score"] == region["score"] > 0.5


def test_labels_that_the_project_lacks_are_left_out(url):
    config = CONFIG.replace("PER", "LOC")
    found = prediction(url, {"tweet": "hi Bob Dylan lynx"}, label_config=config)
    assert found["result"] == [] and found["score"] == 0


def test_a_task_that_fails_has_no_prediction_and_the_others_do(url, caplog):
    tasks = [{"picture": "a"}, {"tweet": None}, {"tweet": 1}, {"tweet": "a" * 101}]
    found = results(url, *tasks, {"tweet": ""}, {"tweet": "hi Bob Dylan lynx"})
    assert [one and len(one["result"]) for one in found] == [[], [], [], [], 0, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "3 tasks failed: no text in the column 'text'",
        "1 task failed: 101 characters; --max-length is 100",
    ]


def test_the_error_of_a_task_is_logged_without_its_message(tmp_path, caplog):
    failing = pipeline_that("raise TypeError(doc.text)", on="secret", folder=tmp_path)
    with serving(**failing) as address:
        found = results(address, {"tweet": "a secret"}, {"tweet": "secret"}, {"tweet": "a"})
    assert [bool(one) for one in found] == [False, False, True]
    assert "2 tasks failed: TypeError" in caplog.text and "secret" not in caplog.text


@pytest.mark.parametrize("path", ["setup", "predict"])
@pytest.mark.parametrize(
    "config",
    [
        "",
        "<View>",
        "<View/>",
        '<View><Text name="a" value="$a"/><Labels name="l" toName="b"/></View>',
        '<!DOCTYPE a [<!ENTITY b "c">]><View>&b;</View>',
    ],
)
def test_a_labeling_config_without_labels_of_a_text_is_refused(url, path, config):
    body = {**SETUP, "schema": config} if path == "setup" else predict_request(label_config=config)
    assert post(url, path, body).status_code == 422


def test_too_many_tasks_are_refused(url):
    assert post(url, "predict", predict_request(*[{"tweet": "a"}] * 21)).status_code == 413


@pytest.mark.parametrize("path", ["setup", "predict"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_request_that_any_web_page_may_send_is_refused(url, path, kind):
    body = SETUP if path == "setup" else predict_request({"tweet": "a"})
    response = httpx.post(url + path, content=json.dumps(body), headers={"Content-Type": kind})
    assert response.status_code == 415


def test_json_with_a_character_set_is_accepted(url):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert httpx.post(f"{url}setup", content=json.dumps(SETUP), headers=headers).is_success


@pytest.fixture
def small_limits(monkeypatch):
    """Limits that a request of the tests exceeds."""
    monkeypatch.setattr(labelstudio_backend, "MAX_TASK_VALUES", 1_000)
    monkeypatch.setattr(labelstudio_backend, "MAX_CONFIG", 2_000)


@pytest.mark.parametrize("values", [",".join(["1"] * 2_000), "[" * 2_000, '{"a":' * 2_000])
def test_a_request_of_too_many_values_is_refused_before_it_is_parsed(url, small_limits, values):
    headers = {"Content-Type": "application/json"}
    response = httpx.post(f"{url}predict", content=f'{{"tasks": [{values}', headers=headers)
    assert response.status_code == 413 and "Too many values" in response.text


@pytest.mark.parametrize("path", ["setup", "predict"])
def test_a_large_labeling_config_is_refused(url, small_limits, path):
    config = CONFIG.replace("a comment", "a" * 2_000)
    body = {**SETUP, "schema": config} if path == "setup" else predict_request(label_config=config)
    response = post(url, path, body)
    assert response.status_code == 413 and "labeling config" in response.text


def test_too_many_tasks_are_refused_before_they_are_validated(url):
    body = {**predict_request(), "tasks": ["no task"] * 21}
    assert post(url, "predict", body).status_code == 413
    assert post(url, "predict", {**body, "tasks": ["no task"]}).status_code == 422


def test_too_many_images_of_a_request_are_refused(url):
    tasks = [{"tweet": "a", "picture": ["a.png"] * 20}] * 13
    response = post(url, "predict", predict_request(*tasks))
    assert response.status_code == 413 and "images" in response.text


def labels(prediction):
    return [one["value"]["labels"][0] for one in prediction["result"]]


def test_the_image_of_a_task_decides(model, images):
    with serving(model, images_root=images) as url:
        texts = [{"tweet": "my jaguar !", "picture": f"/data/local-files/?d={name}.png"}
                 for name in ("car", "animal")]  # fmt: skip
        car, animal = results(url, *texts)
    assert labels(car) == ["ORG"] and labels(animal) == []


@pytest.mark.parametrize("url", ["localhost:8080", "http://[", "http:///ls"])
def test_a_url_of_label_studio_without_a_host_is_an_error(model, url):
    result = CliRunner().invoke(app, ["serve", model, "--port", "0", "--label-studio-url", url])
    assert result.exit_code == 1 and "--label-studio-url" in result.stderr
