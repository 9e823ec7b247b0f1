# %% [markdown]
# # Train on your own posts
#
# A new label, `DISH`, is taught to the pretrained pipeline by twelve posts. Replace them by posts
# of your own: the same commands train on thousands. Run it in the folder of the repository
# (`python docs/tutorials/train_on_your_own.py`), or cell by cell; it takes about a minute on a
# CPU.

# %%
import json
import subprocess
from pathlib import Path

import spacy

Path("tutorial").mkdir(exist_ok=True)

# %% [markdown]
# A corpus is a file with one post per line: `text`, perhaps `image`, and `spans` with the offsets
# of their characters. `convert` also reads the exports of annotation tools, see [Data
# formats](../formats.md).

# %%
TEXTS = [
    "had [ramen] with Anna",
    "best [pho] in Berlin",
    "craving [lasagna] all day",
    "who wants [tacos] tonight?",
    "my [carbonara] failed again",
    "[shakshuka] for breakfast!!",
    "grandma makes [pierogi] today",
    "late night [kebab] with Tom",
    "this [paella] in Valencia is unreal",
    "cold [gazpacho] and a book",
    "rainy day in Hamburg",
    "see you at the station",
]


def row(text):
    start, end = text.find("["), text.find("]") - 1
    spans = [{"start": start, "end": end, "label": "DISH"}] if start >= 0 else []
    return {"text": text.replace("[", "").replace("]", ""), "spans": spans}


def write(name, texts):
    lines = (json.dumps(row(text)) for text in texts)
    Path(f"tutorial/{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")


write("train", TEXTS)
write("dev", ["more [ramen] please", "[lasagna] in Rome", "home from the station"])


# %% [markdown]
# Only dishes are annotated here, although Anna and Berlin are entities too. `--annotates DISH`
# says so: other labels are then unknown in these posts, and the pipeline keeps what it knows of
# them.


# %%
def run(command):
    print("$", command)
    subprocess.run(command.split(), check=True)


for name in ("train", "dev"):
    run(
        f"spacy-mner convert tutorial/{name}.jsonl tutorial/{name}.spacy "
        "--annotates DISH --model en_mner_social_sm"
    )

# %% [markdown]
# `init --from` writes a config that starts from the pretrained pipeline. With images, add
# `--images-root` to `convert`, and `--paths.images_root` to `spacy train`. The number of steps is
# small because the corpus is.

# %%
run("spacy-mner init tutorial/dish.cfg --from en_mner_social_sm --force")
run(
    "python -m spacy train tutorial/dish.cfg --output tutorial/dish "
    "--paths.train tutorial/train.spacy --paths.dev tutorial/dev.spacy "
    "--training.max_steps 200 --training.eval_frequency 50"
)
run("spacy-mner evaluate tutorial/dish/model-best tutorial/dev.spacy")

# %% [markdown]
# The trained pipeline is a folder that `spacy.load` reads, and `spacy package` makes a wheel of
# it. What it has not forgotten: Anna and Berlin.

# %%
nlp = spacy.load("tutorial/dish/model-best")
for text in ("had ramen with Anna", "best pho in Berlin", "nothing to see here"):
    print(text, [(entity.text, entity.label_) for entity in nlp(text).ents])
