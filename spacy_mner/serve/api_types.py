"""The requests and answers of the JSON API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, FailFast, Field, model_validator

EXAMPLE = "finally got my jaguar, next stop Madison Square Garden in #NewYork"


class StopAtFirstError(FailFast):
    """FailFast for a list in a union: the parts of a union need a hash."""

    def __hash__(self) -> int:
        return hash(self.fail_fast)


Numbers = Annotated[list[float], StopAtFirstError()]


class Input(BaseModel):
    """A part of a request.

    Validation collects errors, of a kilobyte each: only lists that were counted before, and are
    short, may have several.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, value: Any) -> Any:
        # Each unknown key would be an error of its own.
        if isinstance(value, dict) and len(value) > len(cls.model_fields):
            raise ValueError(f"more keys than {', '.join(cls.model_fields)}")
        return value


class PostInput(Input):
    """A post."""

    text: Annotated[str, Field(examples=[EXAMPLE])]
    image: Annotated[
        str | list[str] | None,
        Field(
            description="One image or several: an image file in base64, also as a data URI; "
            "`attachment:NAME` for a file of a multipart request; or a URL, where the server "
            "allows URLs."
        ),
    ] = None
    image_text: Annotated[str | None, Field(description="Text about the image.")] = None
    image_objects: Annotated[
        list[Any] | None, Field(description="Objects in the image: labels, or objects with them.")
    ] = None
    image_features: Annotated[
        Numbers | Annotated[list[Numbers], StopAtFirstError()] | None,
        Field(description="A descriptor of the image."),
    ] = None

    @property
    def images(self) -> list[str]:
        """The references to images."""
        return [self.image] if isinstance(self.image, str) else self.image or []


class AnnotateRequest(Input):
    """Posts to annotate."""

    posts: Annotated[list[PostInput], Field(min_length=1)]
    attention: Annotated[bool, Field(description="Return what each token attends to.")] = False


class Entity(BaseModel):
    """An entity. Offsets count Unicode code points, as in Python."""

    start: int
    end: int
    label: str
    text: str
    score: Annotated[
        float | None, Field(description="Probability of exactly this span with this label.")
    ]


class TokenAttention(BaseModel):
    """The attention of a token."""

    start: int
    end: int
    weights: Annotated[
        dict[str, float] | None, Field(description="Modality → weight; they sum to 1.")
    ]
    regions: Annotated[
        dict[str, list[float]] | None, Field(description="Modality → weight of each region.")
    ]


class Grid(BaseModel):
    """Regions that are the cells of a square grid over an image, row by row.

    image: index of the image. start: index of the first region. side: cells per side.
    """

    image: int
    start: int
    side: int


class Regions(BaseModel):
    """The regions of a modality."""

    names: list[str]
    grids: list[Grid]


class ObjectInImage(BaseModel):
    """An object in an image. box: left, top, right, bottom, relative to the image: 0 to 1."""

    label: str
    score: float | None
    box: tuple[float, float, float, float] | None


class PostAnnotation(BaseModel):
    """What was found in a post; if `error` is not null, everything else is."""

    entities: list[Entity] | None
    attention: list[TokenAttention] | None
    regions: Annotated[
        dict[str, Regions] | None, Field(description="Modality → what `attention.regions` is of.")
    ]
    image_status: Annotated[
        str | None, Field(examples=["used", "absent", "unreadable: truncated file"])
    ]
    image_text: str | None
    image_objects: list[ObjectInImage] | None
    error: str | None


class AnnotateResponse(BaseModel):
    """The annotations of the posts, in order."""

    posts: list[PostAnnotation]


class Labels(BaseModel):
    """The pipeline, and the labels of its entities."""

    model: str
    labels: list[str]


class Health(BaseModel):
    """The state of the server. waiting: posts in the queue."""

    status: Literal["ok"]
    version: str
    waiting: int


class Problem(BaseModel):
    """Why a request failed."""

    detail: str
