"""The errors and warnings that users meet, each kind under one base class.

Every message has three parts: what is wrong, where (file, line, config path or attribute), and
what to do about it.
"""

from __future__ import annotations


class MNERError(ValueError):
    """Base class of the errors of this package."""


class CorpusError(MNERError):
    """A corpus that cannot be read or written."""


class ImageError(MNERError):
    """An image that cannot be used: it is masked, and the post is processed without it.

    The message begins with the kind of reason; details follow after a colon.
    """


class LoadingError(MNERError):
    """A saved component that cannot be loaded."""


class UsageError(MNERError):
    """A command, option or setting that cannot work, or an optional package that is missing."""


class MNERWarning(UserWarning):
    """Base class of the warnings of this package."""


class ImageWarning(MNERWarning):
    """The image of a post was not used; `doc._.image_status` holds the reason."""


class MissingImagesWarning(MNERWarning):
    """The corpus has images, but its reader drops them before they reach the component."""


class ShortTrainingWarning(MNERWarning):
    """The training ends before the dev posts are scored a second time."""


class CheckpointWarning(MNERWarning):
    """A checkpoint was not written."""


class AlignmentWarning(MNERWarning):
    """The pipeline's tokenizer does not make the tokens, or the gold spans, of a corpus."""


class UnknownLabelsWarning(MNERWarning):
    """The corpus has labels that no component of the pipeline can predict."""
