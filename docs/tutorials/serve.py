# %% [markdown]
# # Serve a pipeline
#
# A web page and a JSON API on your machine. It needs `pip install '.[serve]'`; run it in the
# folder of the repository (`python docs/tutorials/serve.py`). Most people only type
#
# ```bash
# spacy-mner serve en_mner_social_sm
# ```
#
# and open the page at the address that it prints. A program that uses the API:

# %%
import base64
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
address = f"http://127.0.0.1:{port}"
server = subprocess.Popen(["spacy-mner", "serve", "en_mner_social_sm", "--port", str(port)])


# %% [markdown]
# `/healthz` answers as soon as the pipeline is loaded.


# %%
def is_ready():
    try:
        return urllib.request.urlopen(f"{address}/healthz").status == 200
    except urllib.error.URLError:
        return False


for _ in range(240):
    if is_ready():
        break
    if server.poll() is not None:
        raise SystemExit("The server ended: see its message above.")
    time.sleep(0.5)

# %% [markdown]
# A request has one post or several. An image is the content of its file in base64; addresses and
# paths are refused unless the server allows them.

# %%
try:
    image = base64.b64encode(Path("assets/images/car_02.jpg").read_bytes()).decode("ascii")
    posts = [{"text": "finally got my jaguar", "image": image}, {"text": "hi from Berlin"}]
    request = urllib.request.Request(
        f"{address}/v1/annotate",
        data=json.dumps({"posts": posts}).encode(),
        headers={"Content-Type": "application/json"},
    )
    answer = json.load(urllib.request.urlopen(request))
    print(json.dumps(answer, indent=2))
finally:
    server.terminate()  # requests in flight are finished
    server.wait()

# %% [markdown]
# [Serve](../serve.md) has the limits, what is kept private, and how to run it behind a proxy.
