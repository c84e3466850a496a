import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_decoder import DENSE, MIXTURE

from understudy.lm.decoder import build_decoder
from understudy.lm.packing import NOTHING, PackedTokens, pack
from understudy.lm.shards import write_shards
from understudy.lm.tokeniser import train_tokeniser
from understudy.lm.train import next_token_loss

END = 0


def test_pieces_positions_and_labels():
    packed = pack(torch.tensor([[5, 6, END, 7, END, END, 8, 9]]), END)
    assert packed.pieces_BS.tolist() == [[0, 0, 0, 1, 1, 2, 3, 3]]
    assert packed.positions_BS.tolist() == [[0, 1, 2, 0, 1, 0, 0, 1]]
    no = NOTHING
    assert packed.labels_BS.tolist() == [[6, END, no, END, no, no, 9, no]]
    assert packed.n_labels == 4
    sees = packed.attends()[0, 0]
    assert sees[2].tolist() == [True, True, True, False, False, False, False, False]
    assert sees[7].tolist() == [False] * 6 + [True, True]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=40))
def test_any_sequence_is_cut_as_a_loop_cuts_it(ids):
    packed = pack(torch.tensor([ids]), END)
    piece, position = 0, 0
    for at, token in enumerate(ids):
        assert (int(packed.pieces_BS[0, at]), int(packed.positions_BS[0, at])) == (piece, position)
        is_closed = token == END
        has_next = at + 1 < len(ids) and not is_closed
        assert int(packed.labels_BS[0, at]) == (ids[at + 1] if has_next else NOTHING)
        piece, position = (piece + 1, 0) if is_closed else (piece, position + 1)


@pytest.mark.parametrize("shape", [DENSE, MIXTURE], ids=["dense", "mixture"])
def test_a_text_does_not_notice_its_neighbours(shape):
    model = build_decoder(shape, seed=0).eval()
    for parameter in model.parameters():
        parameter.data.mul_(4)
    text = [*range(10, 22), END]
    before, other = [*range(30, 47), END], [*range(50, 67), END]
    with torch.no_grad():
        alone = next_token_loss(model, pack(torch.tensor([text]), END))
        neighbours = [
            float(
                next_token_loss(model, pack(torch.tensor([[*first, *text, *first]]), END))
                - 2 * next_token_loss(model, pack(torch.tensor([first]), END))
            )
            for first in (before, other)
        ]
        merged = next_token_loss(model, pack(torch.tensor([[*before[:-1], *text]]), END))
        first_alone = next_token_loss(model, pack(torch.tensor([before[:-1]]), END))
    assert neighbours == pytest.approx([float(alone)] * 2, rel=1e-5)
    # Without the end token between them they would see each other: the test can fail.
    assert abs(float(merged - first_alone - alone)) > 0.1


def test_batches_are_functions_of_their_number(tmp_path):
    texts = [f"text number {number} " * 20 for number in range(40)]
    shards = write_shards(texts, train_tokeniser(texts, vocab_size=300), tmp_path)
    data = PackedTokens(shards, sequence_tokens=32, seed=1)
    again = PackedTokens(shards, sequence_tokens=32, seed=1)
    per_epoch = data.n_sequences
    seen = torch.cat([data.batch(number, 1).tokens_BS for number in range(2 * per_epoch)])
    assert torch.equal(again.batch(per_epoch + 3, 1).tokens_BS[0], seen[per_epoch + 3])
    assert torch.equal(again.batch(1, 2).tokens_BS, seen[2:4])
    first, second = seen[:per_epoch], seen[per_epoch:]
    assert not torch.equal(first, second)
    assert sorted(map(tuple, first.tolist())) == sorted(map(tuple, second.tolist()))
    other = PackedTokens(shards, sequence_tokens=32, seed=2)
    assert not torch.equal(other.batch(0, 8).tokens_BS, seen[:8])
