"""The settings of a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..annotate.task import MEGA, Task
from ..errors import UsageError

# All request bodies in memory together, as a multiple of the largest body.
CONCURRENT_BODIES = 8
# Images of one request: each costs time.
MAX_REQUEST_IMAGES = 256
# Of the JSON of one request: a value of two bytes can take a hundred in memory. The features of a
# request are at most so many values; each region and each object is an array or an object.
MAX_VALUES = 1 << 22
MAX_CONTAINERS = 1 << 18
MAX_STRINGS = 1 << 18


@dataclass(frozen=True)
class ServerSettings:
    """What a server annotates with, and its limits.

    model: package name or folder of a pipeline.
    code: Python file that is imported before the pipeline is loaded.
    gpu_id: -1 for the CPU.
    allow_urls: fetch images from http and https URLs.
    max_megapixels: of an image; a larger one is masked.
    max_megabytes: of an image file; a larger one is an error (413).
    max_body_megabytes: of the body of a request.
    max_length: characters of the text of a post, and of that of its image.
    max_posts: posts of a request.
    n_process: processes that compute, each with its own pipeline. None: 2, on a GPU 1.
    batch_size: posts that are computed together.
    max_wait: seconds that the first request of a batch waits for others.
    max_queue: posts that wait, at least max_posts; a request beyond them is refused (503).
    label_studio_url: of the Label Studio that asks for predictions; its images are fetched.
    label_studio_token: sent with the requests to it.
    images_root: folder of the local files of its tasks.
    timeout: seconds in which a request must have arrived completely, and then those in which the
        images of its URLs must have been fetched.
    """

    model: str
    code: Path | None = None
    gpu_id: int = -1
    allow_urls: bool = False
    max_megapixels: float = 32
    max_megabytes: float = 20
    max_body_megabytes: float = 32
    max_length: int = 5_000
    max_posts: int = 128
    n_process: int | None = None
    batch_size: int = 256
    max_wait: float = 0.005
    max_queue: int = 2_048
    timeout: float = 30.0
    label_studio_url: str | None = None
    label_studio_token: str | None = None
    images_root: Path | None = None

    def __post_init__(self) -> None:
        """Raise UsageError if a request that the other limits allow would never have room."""
        if self.max_queue < self.max_posts:
            raise UsageError(
                f"--max-queue {self.max_queue} is less than --max-posts {self.max_posts}: a "
                "request of so many posts would never fit. Raise --max-queue or lower --max-posts."
            )

    @property
    def n_workers(self) -> int:
        """Processes that compute."""
        return self.n_process or (1 if self.gpu_id >= 0 else 2)

    @property
    def max_body(self) -> int:
        """Bytes of the body of a request."""
        return round(self.max_body_megabytes * MEGA)

    @property
    def max_bodies(self) -> int:
        """Bytes of all bodies in memory."""
        return CONCURRENT_BODIES * self.max_body

    @property
    def task(self) -> Task:
        """The same limits and rules as those of a bulk annotation."""
        return Task(
            model=self.model,
            code=self.code,
            allow_urls=self.allow_urls,
            max_megapixels=self.max_megapixels,
            max_megabytes=self.max_megabytes,
            max_length=self.max_length,
            batch_size=self.batch_size,
            gpu_id=self.gpu_id,
        )
