"""``understudy plan breakeven``: teacher, student and other ways of answering calls, and where they cross."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from understudy.planning.evidence import Evidence

__all__ = ["breakeven_command"]


@click.command("breakeven")
@click.option("--artefact", metavar="DIR", help="A folder that `learn` wrote: coverage, costs, receipt.")
@click.option("--with-labels", is_flag=True, help="Count what the recorded calls cost as part of the build.")
@click.option("--ledger", "ledger_url", metavar="URL", help="A ledger: volume, measured costs, coverage.")
@click.option("--task", help="Only this task's calls of the ledger.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Only calls of the ledger from then (UTC).")
@click.option("--teacher-price", metavar="PRICE", help="Dollars per call (0.002) or per million in/out (0.15/0.60).")  # fmt: skip
@click.option("--teacher-model", metavar="NAME", help="Take the teacher's price from the price list.")
@click.option("--read-tokens", type=float, help="Tokens a call reads, for prices by tokens.")
@click.option("--written-tokens", type=float, help="Tokens a call writes.")
@click.option("--cached-share", type=float, default=0.0, help="Share of tokens read from the cache.")
@click.option("--batch-share", type=float, default=0.0, help="Share of calls sent in batches, at half price.")
@click.option("--student-usd", type=float, help="Dollars per call through the student.")
@click.option("--build-usd", type=float, help="Dollars paid once.")
@click.option("--coverage", metavar="SHARE", help="Share (0.45), or counts (128/280) for an interval.")
@click.option("--calls-per-month", type=float, help="Volume.")
@click.option("--growth", type=float, default=0.0, help="Growth of the volume per month (0.05 is 5 %).")
@click.option("--months", type=int, default=36, show_default=True, help="How far to look.")
@click.option("--halving-months", type=float, help="Assume that the teacher's price halves in this time.")
@click.option("--options", "options_file", metavar="FILE", help="Further options: TOML, [[option]] tables.")
@click.option("--confidence", type=float, default=0.95, show_default=True, help="Of the intervals.")
@click.option("--cny-per-usd", type=float, help="Exchange rate; else the catalogue's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--plot", metavar="FILE", help="Draw total cost over calls as SVG.")
@click.option("--plot-time", metavar="FILE", help="Draw total cost over months as SVG.")
def breakeven_command(
    options_file: str | None,
    confidence: float,
    months: int,
    growth: float,
    halving_months: float | None,
    cny_per_usd: float | None,
    *,
    as_json: bool,
    plot: str | None,
    plot_time: str | None,
    **given: Any,
) -> None:
    """Compare ways of answering the same calls, and find where they cross.

    A figure given here goes before the ledger's, and that before the artefact's.

    \b
    Example:
      understudy plan breakeven --teacher-price 0.002 --student-usd 1e-6 --coverage 128/280 --build-usd 50
    """
    from understudy.cli.plan_breakeven_view import show_plan
    from understudy.cli.plan_table import save_chart
    from understudy.cli.plan_view import print_json
    from understudy.planning.breakeven import Horizon, plan_breakeven
    from understudy.planning.breakeven_chart import breakeven_chart
    from understudy.planning.option_file import read_options

    _check_given(given, options_file)
    options = read_options(options_file) if options_file else []
    plan = plan_breakeven(
        _evidence(given),
        options,
        confidence=confidence,
        horizon=Horizon(months, growth, halving_months),
        cny_per_usd=cny_per_usd,
    )
    if plot:
        save_chart(breakeven_chart(plan, is_over_time=False), plot)
    if plot_time:
        save_chart(breakeven_chart(plan, is_over_time=True), plot_time)
    if as_json:
        print_json(plan.to_dict())
    else:
        show_plan(plan)


def _check_given(given: dict[str, Any], options_file: str | None) -> None:
    """Something that costs must be given: a volume alone, or nothing, has no answer."""
    from understudy.errors import ConfigError

    told = (
        "artefact",
        "ledger_url",
        "teacher_price",
        "teacher_model",
        "student_usd",
        "build_usd",
        "coverage",
    )
    if options_file is None and all(given[name] is None for name in told):
        raise ConfigError(
            "a comparison needs ways of answering with their costs",
            given="none",
            todo="give --teacher-price, --student-usd, --coverage and --build-usd, or --artefact DIR with "
            "--teacher-price, or --ledger URL, or --options FILE",
        )


def _evidence(given: dict[str, Any]) -> Evidence:
    from understudy.planning.evidence import Evidence, artefact_evidence, joined, ledger_evidence

    coverage, counts = _coverage(given["coverage"])
    teacher, source = _teacher_usd(given)
    by_hand = Evidence(
        teacher,
        given["student_usd"],
        given["build_usd"],
        coverage,
        counts,
        given["calls_per_month"],
        {
            **({"teacher_usd_per_call": source} if source else {}),
            **({"coverage": f"given: {counts.answered:,} of {counts.calls:,} calls"} if counts else {}),
        },
    )
    pieces = [by_hand]
    if given["ledger_url"]:
        since: datetime | None = given["since"]
        since_ms = None if since is None else int(since.replace(tzinfo=UTC).timestamp() * 1000)
        pieces.append(ledger_evidence(given["ledger_url"], task=given["task"], since_ms=since_ms))
    if given["artefact"]:
        pieces.append(artefact_evidence(given["artefact"], with_labels=given["with_labels"]))
    return joined(*pieces)


def _coverage(text: str | None) -> tuple[float | None, Any]:
    from understudy.errors import ConfigError
    from understudy.planning.evidence import Counts

    if text is None:
        return None, None
    try:
        if "/" in text:
            answered, _, calls = text.partition("/")
            counts = Counts(int(answered), int(calls))
            return counts.share, counts
        return float(text), None
    except ValueError as error:
        raise ConfigError(
            "--coverage is not understood", given=repr(text), todo="write 0.45, or 128/280"
        ) from error


def _teacher_usd(given: dict[str, Any]) -> tuple[float | None, str | None]:
    """Dollars per teacher call, and where it comes from or why it is unknown."""
    from understudy.economics.options import Tokens, api_option
    from understudy.economics.prices import model_price, parse_teacher_price
    from understudy.errors import ConfigError

    text, model = given["teacher_price"], given["teacher_model"]
    if text and model:
        raise ConfigError("--teacher-price and --teacher-model are given both", todo="give one")
    if not text and not model:
        return None, None
    price = parse_teacher_price(text) if text else model_price(model)
    tokens = None
    if given["read_tokens"] is not None and given["written_tokens"] is not None:
        tokens = Tokens(
            given["read_tokens"], given["written_tokens"], given["cached_share"], given["batch_share"]
        )
    option = api_option("teacher", price, tokens, reason=f"no list price for model {model}")
    return option.usd_per_call, option.notes["usd_per_call"]
