"""A tokenizer for posts of social media: mentions, hashtags, emoji, URLs, emoticons."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import DummyTokenizer, get_words_and_spaces
from spacy.vocab import Vocab

# Bounded repetitions keep the time linear; no alternative matches white space.
_EMOJI = "[\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u25aa-\u25fe\u2600-\u27bf\u2934\u2935"
_EMOJI += "\u2b05-\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001faff]"
_MODIFIED = f"{_EMOJI}\ufe0f?[\U0001f3fb-\U0001f3ff]?[\U000e0020-\U000e007f]*"
_DOMAIN = "(?:com|org|net|edu|gov|int|info|biz|tv|co|io|ly|me|uk|us|ca|de|fr|es|it|nl|au|jp|in|be)"
_IDEOGRAPH = "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd]"
# A word character that is not an ideograph: the first alternative stops before one.
_LETTER = f"(?:(?!{_IDEOGRAPH})[\\w\u0300-\u036f])"
_APOSTROPHE = "['\u2019]"
_SUFFIX = f"{_APOSTROPHE}(?:s|m|d|re|ll|ve)(?!\\w)"

# The signs that begin a user mention; word characters follow.
MENTION_SIGN = "[@＠]"

_TOKEN = re.compile(
    "|".join(
        [
            r"(?:https?://|www\.)[^\s<>\"]*[\w/…]",
            rf"(?:[a-z0-9-]{{1,63}}\.){{1,5}}{_DOMAIN}(?:/[^\s<>\"]*[\w/…]|(?![\w.@]))",
            r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,5}\w{2,63}",
            rf"{MENTION_SIGN}\w+",
            r"[#＃](?P<hashtag>\w+)",
            r"&(?:[a-z]+|#\d+);",
            # Emoji: flags, keycaps, and sequences joined by U+200D with variations and skin tones.
            "[\U0001f1e6-\U0001f1ff]{2}|[0-9#*]\ufe0f?\u20e3",
            f"{_MODIFIED}(?:\u200d{_MODIFIED})*",
            r"[:;=8xX][-o^']?[)(\]\[dDpPoO/\\|3*](?!\w)|<3+|[-^>][._]+[-^<]|¯\\_\(ツ\)_/¯",
            r"(?:[A-Za-z]\.){2,}|(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|vs)\.|(?:w/o|w/|b/c|s/o)(?!\w)",
            r"[+-]?\d+(?:[.,:]\d+)+(?:am|pm)?(?!\w)",
            _SUFFIX,
            rf"n{_APOSTROPHE}t(?!\w)",
            _IDEOGRAPH,
            # A word ends before a contraction; inner apostrophes and hyphens belong to it.
            rf"{_LETTER}(?:(?!n{_APOSTROPHE}t(?!\w))(?:{_LETTER}|(?!{_SUFFIX})['’-](?={_LETTER})))*",
            r"(?P<run>[^\w\s])(?P=run)*",
        ]
    ),
    re.IGNORECASE,
)

# The words of a hashtag, in the cases of its characters: acronyms, (capitalized) words, numbers.
_HASHTAG_WORD = re.compile("U+(?!l)|U?l+|d+|o+")


def build_post_tokenizer() -> Callable[[Language], PostTokenizer]:
    """Build a tokenizer for posts, which takes time linear in their length.

    One token each: a mention (`@user`), a URL, an emoji with its modifiers and joiners, an
    emoticon, an HTML entity, a run of one punctuation character (`!!!`), an ideograph. A hashtag is
    split into `#` and its words (`#NewYork` → `#`, `New`, `York`). Contractions are split as in the
    Penn Treebank (`do`, `n't`). Tokens and spaces always join to the text.
    """
    return lambda nlp: PostTokenizer(nlp.vocab)


class PostTokenizer(DummyTokenizer):
    """Splits a post into tokens; see `build_post_tokenizer`."""

    def __init__(self, vocab: Vocab) -> None:
        self.vocab = vocab

    def __call__(self, text: str) -> Doc:
        words, spaces = get_words_and_spaces([*split_post(text)], text)
        return Doc(self.vocab, words=words, spaces=spaces)


def split_post(text: str) -> Iterator[str]:
    """Return the tokens of a post in order, without white space."""
    for match in _TOKEN.finditer(text):
        hashtag = match["hashtag"]
        if hashtag is None:
            yield match[0]
        else:
            yield match[0][0]
            yield from split_hashtag(hashtag)


def split_hashtag(hashtag: str) -> Iterator[str]:
    """Return the words of a hashtag without its `#`, split where the case of letters changes."""
    cases = "".join(map(_case, hashtag))
    return (hashtag[slice(*match.span())] for match in _HASHTAG_WORD.finditer(cases))


def _case(character: str) -> str:
    if character.isupper():
        return "U"
    if character.isdigit():
        return "d"
    # Marks and letters without case continue a lower-case word.
    return "o" if character == "_" else "l"
