# %% [markdown]
# # Your first post
#
# Entities of a post, with and without its image, and a page that shows why. Run it in the folder
# of the repository (`python docs/tutorials/first_post.py`), or cell by cell as a notebook. It
# needs the pretrained pipeline:
#
# ```bash
# pip install . pipelines/en_mner_social_sm-0.3.0-py3-none-any.whl
# ```

# %%
from pathlib import Path

import spacy

import spacy_mner

nlp = spacy.load("en_mner_social_sm")

# %% [markdown]
# The image is an attribute of the Doc, set before the pipeline runs. It can be a path, bytes, a
# PIL image or an array. What is in the image decides what *jaguar* means.


# %%
def entities(doc):
    return [(entity.text, entity.label_, round(entity._.score, 2)) for entity in doc.ents]


for image in (None, "assets/images/car_02.jpg", "assets/images/cat_03.jpg"):
    doc = nlp.make_doc("finally got my jaguar")
    doc._.image = image
    doc = nlp(doc)
    print(image, entities(doc), doc._.image_status)

# %% [markdown]
# The score is the probability of exactly this entity. `image_status` says whether the image was
# used: an image that cannot be read is masked, and the post is annotated without it.

# %%
doc = nlp.make_doc("finally got my jaguar")
doc._.image = b"this is no image"
doc = nlp(doc)
print(entities(doc), doc._.image_status)

# %% [markdown]
# Many posts, from rows with `text` and `image`:

# %%
rows = [
    {"text": "finally got my jaguar", "image": "assets/images/car_02.jpg"},
    {"text": "finally got my jaguar", "image": "assets/images/cat_03.jpg"},
    {"text": "next stop Madison Square Garden in #NewYork"},
]
docs = list(nlp.pipe(spacy_mner.make_docs(nlp, rows)))
print([entities(doc) for doc in docs])

# %% [markdown]
# A page with the images, the entities and what each token attends to. In a notebook,
# `spacy_mner.render(docs, nlp=nlp)` shows it in the cell.

# %%
page = spacy_mner.render(docs, jupyter=False, nlp=nlp)
Path("tutorial").mkdir(exist_ok=True)
Path("tutorial/posts.html").write_text(page, encoding="utf-8")
