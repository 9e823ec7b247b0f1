# %% [markdown]
# # Is the image worth it?
#
# Images cost memory, time and care. Measure what they add on your posts before you pay for them.
# Run it in the folder of the repository (`python docs/tutorials/is_the_image_worth_it.py`), or
# cell by cell.
#
# The corpus here is the sample corpus, whose posts are written so that the image decides. On real
# posts expect far less: see [Results](../results.md).

# %%
import json
import subprocess
from pathlib import Path

Path("tutorial").mkdir(exist_ok=True)


def run(command):
    print("$", command)
    subprocess.run(command.split(), check=True)


posts = Path("assets/test.jsonl").read_text(encoding="utf-8").splitlines()
Path("tutorial/test.jsonl").write_text("\n".join(posts[::3]), encoding="utf-8")
run("spacy-mner convert tutorial/test.jsonl tutorial/test.spacy --images-root assets")

# %% [markdown]
# The same pipeline is scored three times: with the images, without them, and with those of other
# posts. If the scores are equal, it ignores the images. If other images do not hurt, it may use
# them as a sign of something else, such as "this post has an image".

# %%
scores = {}
for images in ("on", "off", "shuffled"):
    output = f"tutorial/{images}.json"
    run(
        f"spacy-mner evaluate en_mner_social_sm tutorial/test.spacy --images-root assets "
        f"--images {images} --output {output}"
    )
    scores[images] = json.loads(Path(output).read_text())["ents_f"]

# %%
for images, f1 in scores.items():
    print(f"images {images:9} F1 {100 * f1:.1f}")

# %% [markdown]
# A pipeline that was trained with images is not the best one without them. The fair opponent is
# its counterpart that never saw an image, trained by the same config over several seeds:
#
# ```bash
# spacy train mner.cfg … --components.multimodal_ner.model.embed.image null
# ```
#
# `python -m spacy project run seeds` does this on the sample corpus. A difference smaller than
# the deviation between seeds is no difference: `experiments/` has tables with intervals.
#
# Then look at single posts: the page has filters for posts that the image helped, and those it
# hurt.

# %%
run(
    "spacy-mner explain en_mner_social_sm tutorial/test.spacy tutorial/explain.html "
    "--images-root assets --limit 20"
)
