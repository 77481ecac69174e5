"""`msbench fit`."""

from pathlib import Path

import click

from msbench.cli.inputs import load_registry
from msbench.cli.interrupts import quit_on_interrupt
from msbench.cli.options import Place, plugin_option, results_argument
from msbench.cli.output import echo, say, say_skipped


@click.command("fit")
@results_argument
@click.option("--task", default="", metavar="NAME", help="The task; where there is one, that.")
@click.option("--model", default="", metavar="NAME", help="The best strategy with this model.")
@click.option("--optimizer", default="", metavar="NAME", help="The best one with this optimizer.")
@click.option(
    "--decoder",
    default="",
    metavar="NAME[: OPTIONS]",
    help="What predicts, instead of the decoder that the scores are of.",
)
@click.option(
    "-o", "--out", type=Place(), required=True, metavar="DIR", help="A new folder for the model."
)
@click.option(
    "--keep-test", is_flag=True, help="Do not train on the test split; score the model on it."
)
@click.option(
    "--checkpoint",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Keep what training goes on from, beside DIR, so often; the same command goes on.",
)
@plugin_option
def command(
    results: str,
    task: str,
    model: str,
    optimizer: str,
    decoder: str,
    out: Path,
    keep_test: bool,
    checkpoint: float | None,
    plugins: tuple[str, ...],
) -> None:
    """Train what is recommended on all data, and keep the model.

    The strategy is the one that `msbench recommend` names, unless another is asked for. DIR gets
    weights, recipe, tokenizer and a card with the verdict; `msbench predict DIR FILE` uses it.

    RESULTS: a folder or file of records, or the name of a suite.
    """
    from msbench.api.reading import Remarks, declared_question, read_records
    from msbench.fitting.fit import fit
    from msbench.fitting.folder import CARD, check_free
    from msbench.fitting.recipe import find_recipe
    from msbench.run.device import limit_threads

    limit_threads(1)
    quit_on_interrupt()
    check_free(out)
    registry, remarks = load_registry(plugins), Remarks()
    records = read_records([results], remarks)
    say_skipped(remarks.problems, remarks.unsealed)
    recipe = find_recipe(
        records,
        declared_question(results),
        registry,
        task=task,
        model=model,
        optimizer=optimizer,
        decoder=decoder,
    )
    say(f"fitting {recipe.row['model']}, {recipe.row['optimizer']} for {recipe.row['task']}")
    fit(recipe, registry, out, keep_test=keep_test, checkpoint=checkpoint or 0.0)
    echo(f"{out} has the model; {out / CARD} says how good it is")
    echo(f"next: msbench predict {out} FILE")
