"""What a student that writes has to say about length: tokens read and written, and where a text was cut.

Tokens are the student's own, by its own tokeniser: its ``max_tokens`` are not the teacher's to the word.
"""

from __future__ import annotations

from dataclasses import replace

from understudy.calls.call import InputParts, Usage
from understudy.runtime.answer import Answer
from understudy.runtime.component import TokenCounter
from understudy.serving.registry import Found, ServedTask
from understudy.serving.requests import Asked
from understudy.serving.spoken import Spoken

__all__ = ["can_be_live", "can_be_written", "measured"]


def can_be_written(asked: Asked, task: ServedTask) -> bool:
    """Whether a request may be given to a student that writes.

    It writes one text for one input and has no probabilities of others: several choices, or log-probabilities, are
    for the upstream.
    """
    return not task.is_writer or (asked.n == 1 and asked.n_logprobs is None)


def can_be_live(asked: Asked, found: Found) -> bool:
    """Whether the reply can be passed on while it is written: nothing may be cut or shaped afterwards."""
    task = found.task
    if not (asked.is_streamed and task.is_writer and task.model.is_live):
        return False
    if asked.stops or asked.output_format is not None:
        return False
    if asked.most_tokens is None:
        return True
    writer: object = task.model.cascade.writer
    return isinstance(writer, TokenCounter) and writer.max_new_tokens <= asked.most_tokens


def measured(
    spoken: Spoken, asked: Asked, task: ServedTask, parts: InputParts, answer: Answer
) -> Spoken | None:
    """With its usage, and cut at the request's limit; ``None`` where that would break JSON, so that it goes upstream.

    What no language model said (a label, an answer known by heart) stays as it is.
    """
    counter = _counter(task, answer)
    if counter is None:
        return spoken
    ends = counter.token_ends(spoken.text)
    # A component that came to its limit before the text's end says so by confidence 0.
    text, is_cut = spoken.text, answer.confidence == 0
    if asked.most_tokens is not None and len(ends) > asked.most_tokens:
        if spoken.tool is not None or asked.output_format is not None:
            return None
        ends = ends[: asked.most_tokens]
        text, is_cut = spoken.text[: ends[-1]], True
    usage = Usage(counter.count_prompt_tokens(parts), len(ends))
    return replace(spoken, text=text, is_cut=is_cut, usage=usage)


def _counter(task: ServedTask, answer: Answer) -> TokenCounter | None:
    """The component that wrote the answer, if it counts tokens."""
    if not task.is_writer:
        return None
    cascade = task.model.cascade
    stage = next((one for one in cascade.stages if one.rung == answer.rung), None)
    components = [] if stage is None else [cascade.components[name] for name in stage.members]
    return next((one for one in components if isinstance(one, TokenCounter)), None)
