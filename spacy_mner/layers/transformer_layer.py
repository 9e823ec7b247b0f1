"""Attention between two sequences of each post."""

from __future__ import annotations

from torch import Tensor, nn


class TransformerLayer(nn.Module):
    """A layer of BERT's kind, where those who ask need not be those who are asked.

        A = LayerNorm(Q + Dropout(Attention(Q, K, K)))
        result = LayerNorm(A + Dropout(W_2 gelu(W_1 A + b_1) + b_2))

    (Vaswani et al. 2017; Devlin et al. 2019.) With K = Q it is self-attention.

    width: of what goes in and what comes out.
    heads: of the attention; they share the width.
    feedforward: width of the hidden layer, that of W_1.
    dropout: on the weights of the attention and on what is added to a residual.
    """

    def __init__(self, *, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(
                f"the heads of an attention share its width, but {heads} heads cannot share "
                f"{width} evenly: choose a multiple of {heads} as `width`, or other `heads`"
            )
        self.attend = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.normalize_attended = nn.LayerNorm(width)
        self.think = nn.Sequential(
            nn.Linear(width, feedforward), nn.GELU(), nn.Linear(feedforward, width)
        )
        self.normalize = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, queries: Tensor, keys: Tensor, available: Tensor, *, keep_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """The queries after they asked, and the weights that they gave, where they are kept.

        queries: [n_posts, n_queries, width]; keys: [n_posts, n_keys, width].
        available: bool [n_posts, n_keys], the keys that may be attended to.

        The weights [n_posts, n_queries, n_keys] are averages over the heads. In a post without any
        key that is available neither result nor weights mean anything, but they are finite. Where
        there are no queries or no keys at all, the queries come back as they are.
        """
        if not queries.numel() or not keys.shape[1]:
            none = queries.new_zeros(*queries.shape[:2], keys.shape[1])
            return queries, none if keep_weights else None
        is_ignored = ~available & available.any(dim=1, keepdim=True)
        attended, weights = self.attend(
            queries, keys, keys, key_padding_mask=is_ignored, need_weights=keep_weights
        )
        attended = self.normalize_attended(queries + self.dropout(attended))
        result: Tensor = self.normalize(attended + self.dropout(self.think(attended)))
        return result, weights
