"""A transformer layer for self-attention and cross-attention."""

from __future__ import annotations

from torch import Tensor, nn


class TransformerLayer(nn.Module):
    """A post-norm transformer layer (Vaswani et al. 2017; Devlin et al. 2019).

        A = LayerNorm(Q + Dropout(Attention(Q, K, K)))
        output = LayerNorm(A + Dropout(W_2 gelu(W_1 A + b_1) + b_2))

    With K = Q it computes self-attention.

    width: of input and output.
    heads: of the attention; `width` is a multiple of it.
    feedforward: width of the hidden layer W_1.
    dropout: on attention weights and before residual connections.
    """

    def __init__(self, *, width: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(
                f"width = {width} is not a multiple of heads = {heads}: change one of them."
            )
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.attention_norm = nn.LayerNorm(width)
        self.feedforward = nn.Sequential(
            nn.Linear(width, feedforward), nn.GELU(), nn.Linear(feedforward, width)
        )
        self.output_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, queries: Tensor, keys: Tensor, available: Tensor, *, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Output [n_posts, n_queries, width] and attention weights, averaged over the heads.

        queries: [n_posts, n_queries, width]. keys: [n_posts, n_keys, width].
        available: bool [n_posts, n_keys], the keys that are not masked.
        need_weights: return the weights [n_posts, n_queries, n_keys]; None otherwise.

        In a post without available keys, output and weights are finite but meaningless. Without
        any queries or keys in the batch, the output are the queries.
        """
        if not queries.numel() or not keys.shape[1]:
            weights = queries.new_zeros(*queries.shape[:2], keys.shape[1])
            return queries, weights if need_weights else None
        # A softmax over masked keys only would be NaN.
        is_masked = ~available & available.any(dim=1, keepdim=True)
        attended, weights = self.attention(
            queries, keys, keys, key_padding_mask=is_masked, need_weights=need_weights
        )
        attended = self.attention_norm(queries + self.dropout(attended))
        output: Tensor = self.output_norm(attended + self.dropout(self.feedforward(attended)))
        return output, weights
