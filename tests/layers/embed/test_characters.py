from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from spacy_mner.layers.embed import CharBiLSTM, CharCNN
from spacy_mner.layers.types import Features

WORDS = [[3, 1, 4], [1], [5, 9, 2, 6, 5], [3, 5]]
LENGTHS = torch.tensor([4])


def bilstm() -> CharBiLSTM:
    torch.manual_seed(0)
    return CharBiLSTM(width=6, n_characters=9, character_width=4, dropout=0.0)


def cnn(window: int = 3) -> CharCNN:
    torch.manual_seed(0)
    return CharCNN(width=6, n_characters=9, character_width=4, window=window, dropout=0.0)


def features(words: Sequence[Sequence[int]], extra_padding: int = 0) -> dict[str, Tensor]:
    longest = max(map(len, words), default=0) + extra_padding
    rows = [[*word, *[0] * (longest - len(word))] for word in words]
    return {
        "characters": torch.tensor(rows, dtype=torch.int64).reshape(len(words), longest),
        "lengths": torch.tensor([len(word) for word in words], dtype=torch.int64),
        "token": torch.arange(len(words)),
    }


@pytest.fixture(params=[bilstm, cnn], ids=["bilstm", "cnn"])
def embed(request: pytest.FixtureRequest) -> nn.Module:
    module: nn.Module = request.param()
    return module


def test_the_output_equals_a_plain_lstm_per_word():
    embed = bilstm()
    result = embed(features(WORDS), LENGTHS).vectors
    for word, vector in zip(WORDS, result, strict=True):
        _, (last, _) = embed.lstm(embed.embedding(torch.tensor(word)))
        assert torch.allclose(vector, torch.cat([last[0], last[1]]), atol=1e-6)


@pytest.mark.parametrize("window", [1, 2, 3, 4])
def test_the_output_is_the_maximum_of_the_convolution_per_word(window: int):
    embed = cnn(window)
    result = embed(features(WORDS), LENGTHS).vectors
    for word, vector in zip(WORDS, result, strict=True):
        around = functional.pad(embed.embedding(torch.tensor(word)).T, embed.margins)
        assert torch.allclose(vector, embed.convolution(around).amax(1), atol=1e-6)


def test_the_output_does_not_depend_on_padding(embed: nn.Module):
    expected = embed(features(WORDS), LENGTHS).vectors
    assert torch.allclose(embed(features(WORDS, 7), LENGTHS).vectors, expected, atol=1e-6)


def test_the_output_of_a_word_does_not_depend_on_the_others(embed: nn.Module):
    together = embed(features(WORDS), LENGTHS).vectors
    for i, word in enumerate(WORDS):
        separate = embed(features([word]), torch.tensor([1])).vectors[0]
        assert torch.allclose(together[i], separate, atol=1e-6)


def test_padding_is_excluded_from_the_maximum():
    embed = cnn()
    with torch.no_grad():
        embed.convolution.weight.zero_()
        embed.convolution.bias.fill_(-3)
    assert (embed(features(WORDS), LENGTHS).vectors == -3).all()


def test_equal_words_share_their_vector(embed: nn.Module):
    given = features(WORDS[:2])
    given["token"] = torch.tensor([1, 0, 1])
    embedded = embed(given, torch.tensor([3]))
    assert torch.equal(embedded.vectors[0], embedded.vectors[2])
    assert embedded.available.tolist() == [True] * 3


@pytest.mark.parametrize("words", [[], [[]], [[], [1, 2]]])
def test_words_without_characters_get_zeros(embed: nn.Module, words: list[list[int]]):
    given: Features = features(words)
    vectors = embed(given, torch.tensor([len(words)])).vectors
    assert vectors.shape == (len(words), 6)
    for word, vector in zip(words, vectors, strict=True):
        assert bool(vector.any()) == bool(word)


def test_padding_gets_no_gradient(embed: nn.Module):
    embed(features(WORDS, 2), LENGTHS).vectors.sum().backward()
    gradient = embed.embedding.weight.grad
    assert not gradient[0].any()
    assert gradient[5].any()


def test_an_odd_width_raises_an_error():
    with pytest.raises(ValueError, match=r"even width.*got 5"):
        CharBiLSTM(width=5, n_characters=9, character_width=4, dropout=0.0)
