"""Objectives of distillation: what they sum, and that they agree with the losses on full logits."""

import pytest
import torch
from tiny_decoder import DENSE

from understudy.errors import ConfigError, DataError
from understudy.lm.decoder import build_decoder
from understudy.lm.distil import Distillation, Told, state_objective, told_objective
from understudy.lm.distil_on_policy import on_policy_objective, sample_answers
from understudy.lm.losses.divergence import divergence_loss
from understudy.lm.packing import NOTHING
from understudy.lm.placed_rows import row_key, rows_of
from understudy.lm.rows import RowBatches, TokenRow
from understudy.lm.teacher_states import TeacherStates, output_matrix
from understudy.lm.train import next_token_loss

END = 79
ROWS = [
    TokenRow((5, 6, 7), (8, 9, END)),
    TokenRow((10,), (11, 12, 13, 14, END)),
    TokenRow((20, 21), (22, END)),
    TokenRow((30, 31, 32, 33), (34, 35, 36, END)),
]


def _pack(rows=ROWS):
    data = RowBatches(rows, sequence_tokens=12, pad_id=END)
    return data.take(range(data.n_sequences))


def _models():
    return (build_decoder(DENSE, seed=seed).eval() for seed in (0, 1))


def _full_logits(model, pack):
    out = model(
        input_ids=pack.tokens_BS,
        position_ids=pack.positions_BS,
        attention_mask=pack.attends(),
        use_cache=False,
    )
    return out.logits


def test_the_rows_of_a_pack_are_found_again():
    pack = _pack()
    found = {(row.prompt, row.answered) for row in rows_of(pack)}
    assert found == {(row.prompt, row.answer) for row in ROWS}
    assert sum(len(row.answered) for row in rows_of(pack)) == pack.n_labels


@pytest.mark.parametrize(
    "loss", ["forward_kl", "reverse_kl", "jensen_shannon", "skewed_kl", "skewed_reverse_kl"]
)
def test_a_divergence_equals_the_one_of_full_logits(loss):
    student, teacher = _models()
    pack = _pack()
    how = Distillation(loss, weight=0.7, temperature=2.0)
    mask = pack.labels_BS != NOTHING
    with torch.no_grad():
        found = state_objective(how, TeacherStates(teacher))(student, pack)
        taught = divergence_loss(
            how.pointwise(),
            _full_logits(student, pack),
            _full_logits(teacher, pack),
            mask=mask,
            temperature=2.0,
            normaliser=1.0,
        )
        expected = 0.7 * 4 * taught + 0.3 * next_token_loss(student, pack)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_a_teacher_is_computed_once_for_each_sequence():
    _, teacher = _models()
    calls = []
    teacher.base_model.register_forward_hook(lambda *_: calls.append(1))
    pack = _pack()
    states = TeacherStates(teacher)
    first = states.at(pack)
    assert torch.equal(states.at(pack), first)
    assert len(calls) == 1
    assert len(first) == pack.n_labels
    forgetful = TeacherStates(teacher, most_bytes=0)
    assert torch.equal(forgetful.at(pack), first)
    assert torch.equal(forgetful.at(pack), first)
    assert len(calls) == 3


def test_a_student_that_is_its_teacher_has_nothing_to_learn():
    student, _ = _models()
    how = Distillation("forward_kl", weight=1.0)
    with torch.no_grad():
        loss = state_objective(how, TeacherStates(build_decoder(DENSE, seed=0)))(student, _pack())
    assert float(loss) == pytest.approx(0, abs=1e-4)


def test_scores_that_are_more_than_a_product_are_refused():
    student, _ = _models()
    student.config.logit_scale = 0.5
    with pytest.raises(ConfigError, match="more than hidden states times a matrix"):
        output_matrix(student)


def test_all_tokens_told_is_the_forward_divergence():
    student, teacher = _models()
    pack = _pack()
    told = {}
    for row in ROWS:
        tokens = torch.tensor([[*row.prompt, *row.answer]])
        with torch.no_grad():
            logs = teacher(input_ids=tokens).logits[0, len(row.prompt) - 1 : -1].log_softmax(-1)
        told[row_key(row.prompt, row.answer)] = Told(torch.arange(80).expand(len(logs), -1), logs)
    with torch.no_grad():
        found = told_objective(Distillation("top_k", weight=0.5), told)(student, pack)
        expected = state_objective(Distillation("forward_kl"), TeacherStates(teacher))(student, pack)
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_rows_of_which_nothing_was_told_have_cross_entropy_at_full_weight():
    student, _ = _models()
    pack = _pack()
    with torch.no_grad():
        found = told_objective(Distillation("top_k", weight=0.5), {})(student, pack)
        assert float(found) == pytest.approx(float(next_token_loss(student, pack)), rel=1e-5)


def test_what_was_told_must_fit_the_answer():
    student, _ = _models()
    row = ROWS[0]
    told = {row_key(row.prompt, row.answer): Told(torch.tensor([[1]]), torch.tensor([[-0.1]]))}
    with pytest.raises(DataError, match="does not fit"):
        told_objective(Distillation("top_k"), told)(student, _pack())


def test_on_policy_without_sampling_is_the_mean_over_texts():
    student, teacher = _models()
    pack = _pack()
    how = Distillation("on_policy", weight=1.0, student_share=0.0, divergence="forward_kl")
    with torch.no_grad():
        found = on_policy_objective(how, teacher, end_id=END)(student, pack)
        each = []
        for row in ROWS:
            tokens = torch.tensor([[*row.prompt, *row.answer]])
            logits = [
                model(input_ids=tokens).logits[:, len(row.prompt) - 1 : -1] for model in (student, teacher)
            ]
            each.append(divergence_loss(how.pointwise(), *logits))
        expected = torch.stack(each).mean() * pack.n_labels
    assert float(found) == pytest.approx(float(expected), rel=1e-4)


def test_on_policy_draws_the_same_texts_again_and_has_slopes():
    student, teacher = _models()
    pack = _pack()
    how = Distillation("on_policy", weight=0.5, student_share=1.0, seed=3)
    losses = []
    for _ in range(2):
        loss = on_policy_objective(how, teacher, end_id=END, most_new_tokens=4)(student, pack)
        losses.append(float(loss.detach()))
    loss.backward()
    assert losses[0] == losses[1]
    assert all(parameter.grad is not None for parameter in student.parameters())
    assert losses[0] > 0


def test_greedy_answers_do_not_depend_on_company():
    student, _ = _models()
    prompts = [(3, 4, 5), (6,), (7, 8)]
    together = sample_answers(student, prompts, end_id=END, most_new_tokens=5)
    alone = [sample_answers(student, [one], end_id=END, most_new_tokens=5)[0] for one in prompts]
    assert together == alone
    tokens = torch.tensor([prompts[0]])
    with torch.no_grad():
        assert together[0][0] == int(student(input_ids=tokens).logits[0, -1].argmax())


@pytest.mark.parametrize(
    "given",
    [
        {"loss": "kl"},
        {"weight": 0.0},
        {"temperature": 0.0},
        {"loss": "top_k", "temperature": 2.0},
        {"student_share": 1.5},
        {"divergence": "top_k"},
    ],
)
def test_options_out_of_range_are_refused(given):
    with pytest.raises(ConfigError):
        Distillation(**given)


def test_weighted_rows_are_refused_where_weights_would_be_lost():
    student, teacher = _models()
    pack = _pack([TokenRow((1, 2), (3, END), weight=0.5)])
    with pytest.raises(ConfigError, match="weights of their own"):
        state_objective(Distillation(), TeacherStates(teacher))(student, pack)
