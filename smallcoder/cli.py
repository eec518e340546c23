"""The command `smallcoder`. Commands import what they need when called, so that `--help` answers at once."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from smallcoder.core.errors import InputError, SmallcoderError

app = typer.Typer(
    help="Build a small code language model from repositories: curate, train, tune, quantize, evaluate, serve.\n\n"
    "Start with:  smallcoder run recipes/quickstart.toml",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe file, such as recipes/quickstart.toml.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="STAGE.FIELD=VALUE", help="Change a setting for this run.")
]
Runs = Annotated[Path, typer.Option("--runs", help="Folder that holds the run folders.")]
DEFAULT_RUNS = Path("runs")


@app.command()
def run(
    recipe: RecipePath,
    *,
    overrides: Overrides = None,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="Make this stage alone.")] = None,
    rebuild: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="Make this stage and all that depends on it again.")
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Spread reading, filters and dedup over a Ray cluster; 'local' starts one."
        ),
    ] = None,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Run a recipe. Finished stages are kept; after a kill the same command goes on where it stopped."""
    from smallcoder.core.recipe import load_recipe
    from smallcoder.run import run_recipe
    from smallcoder.stages import STAGES

    loaded = load_recipe(recipe, STAGES, overrides or ())
    if ray:
        from smallcoder.data.cluster import connect

        connect(ray)
    folder = run_recipe(loaded, runs, only, rebuild or ())
    if only is None:
        _closing_words(folder, loaded.name)


def _closing_words(folder: Path, name: str) -> None:
    from smallcoder.report.page import write_report

    page = write_report(folder, name)
    typer.echo(f"\nReport:  {page}")
    if any(folder.glob("*/gguf")):
        typer.echo(f"Talk to the model:  smallcoder serve {folder}")


@app.command()
def plan(
    recipe: RecipePath,
    *,
    overrides: Overrides = None,
    hardware: Annotated[
        str | None, typer.Option(metavar="NAME", help="Show also what training needs on h100, h200, b200, laptop, ...")
    ] = None,
    gpus: Annotated[int | None, typer.Option(min=1, help="How many of them (default: the stages' processes).")] = None,
    mfu: Annotated[float, typer.Option(min=0.001, max=1, help="Share of their peak that training reaches.")] = 0.4,
    gpu_hours: Annotated[
        float | None, typer.Option(min=0.001, help="What all training took instead: shows the MFU that means.")
    ] = None,
    price: Annotated[
        float | None, typer.Option(min=0, help="Dollars an hour for one (default: an assumption).")
    ] = None,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Show what a run would do: each stage fresh, stale (and why) or missing, and its size. Runs nothing."""
    from rich.console import Console
    from rich.table import Table

    from smallcoder import plan as planner
    from smallcoder.core.recipe import load_recipe
    from smallcoder.stages import STAGES

    loaded = load_recipe(recipe, STAGES, overrides or ())
    table = Table("stage", "use", "status", "records", "size", "note", box=None, pad_edge=False)
    rows = planner.plan(loaded, runs)
    for row in rows:
        about = "" if row.status == "fresh" else "~"
        records = f"{about}{row.size.records:,}" if row.size.records is not None else ""
        size = f"{about}{row.size.bytes / 1e6:,.1f} MB" if row.size.bytes is not None else ""
        table.add_row(row.name, row.use, row.status, records, size, row.why or row.size.note)
    Console().print(table)
    if hardware:
        title, lines = planner.on_hardware(planner.trainings(loaded, rows, runs, gpus), hardware, mfu, gpu_hours, price)
        needs = Table(*lines[0], box=None, pad_edge=False)
        for line in lines[1:]:
            needs.add_row(*line)
        typer.echo(f"\n{title}")
        Console().print(needs)


@app.command()
def show(
    target: Annotated[str, typer.Argument(metavar="RUN[/STAGE]", help="A run, or one stage of it.")],
    *,
    samples: Annotated[int, typer.Option(help="How many rows of each table, or of each reason, to show.")] = 2,
    drops: Annotated[bool, typer.Option("--drops", help="Show only what the stage dropped.")] = False,
    reason: Annotated[str | None, typer.Option(metavar="WORD", help="With --drops: for this reason alone.")] = None,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Show a run (its stages, and what was kept), or one stage: its manifest, sample rows and drops."""
    from smallcoder import show as shower

    folder = run_folder(target, runs)
    if drops or reason:
        shower.show_drops(folder, reason, samples)
    elif (folder / "manifest.json").is_file():
        shower.show_stage(folder, samples)
    else:
        shower.show_run(folder)


@app.command()
def check(
    recipes: Annotated[list[Path] | None, typer.Argument(help="Recipes to parse (default: recipes/*.toml).")] = None,
) -> None:
    """Check the installation: recipes parse, reference answers pass and empty ones fail, the sandbox's tier."""
    from smallcoder.check import check_all

    if not check_all(recipes or sorted(Path("recipes").rglob("*.toml"))):
        raise typer.Exit(1)


@app.command()
def report(
    target: Annotated[str, typer.Argument(metavar="RUN", help="A run: its name or its folder.")],
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Write the report of a run again: one HTML page."""
    from smallcoder.report.page import write_report

    folder = run_folder(target, runs)
    typer.echo(write_report(folder, folder.name))


@app.command()
def serve(
    target: Annotated[str, typer.Argument(metavar="MODEL", help="A run, by name or folder, or a .gguf file.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on.")] = 8080,
    runs: Runs = DEFAULT_RUNS,
) -> None:
    """Serve a model over the OpenAI protocol, with /infill for editors."""
    from smallcoder.serve.app import serve as start

    path = Path(target)
    start(path if path.suffix == ".gguf" else run_folder(target, runs), host, port)


@app.command("exec")
def execute(
    file: Annotated[Path, typer.Argument(help="A program; '-' reads it from standard input.")],
    *,
    lang: Annotated[str | None, typer.Option(metavar="L", help="Its language, where the name does not tell.")] = None,
    cpu: Annotated[float, typer.Option(min=0.01, max=86_400, help="Seconds of CPU time it may use.")] = 10.0,
    memory: Annotated[int, typer.Option(min=64, max=1 << 20, help="MiB of memory it may use.")] = 1024,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Run even where no sandbox can be built.")] = False,
) -> None:
    """Run one program in the sandbox, with this standard input, and show what it prints. Ends with its exit code."""
    from smallcoder.sandbox.person import execute as start

    raise typer.Exit(start(file, lang, cpu, memory << 20, unsafe))


sandbox = typer.Typer(help="The sandbox as a service.", no_args_is_help=True)
app.add_typer(sandbox, name="sandbox")


@sandbox.command("serve")
def serve_sandbox(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on.")] = 8090,
    workers: Annotated[int, typer.Option(min=1, help="Programs that run at the same time.")] = 2,
    lang: Annotated[list[str] | None, typer.Option(metavar="L", help="Languages of programs (default: all).")] = None,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Run even where no sandbox can be built.")] = False,
) -> None:
    """Let programs on other machines use this sandbox over HTTP. Prints the bearer token that they need."""
    from smallcoder.sandbox.service import serve as start

    start(host, port, workers, lang, unsafe)


def run_folder(target: str, runs: Path) -> Path:
    """The folder of RUN or RUN/STAGE, given by name or path. Raises InputError with what there is instead."""
    for folder in (runs / target, Path(target)):
        if folder.is_dir():
            return folder
    parent = (runs / target).parent
    names = sorted(path.name for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
    remedy = f"name one of: {', '.join(names)}" if names else "make one with: smallcoder run recipes/quickstart.toml"
    raise InputError(f"there is no {target!r} in {runs}", remedy)


def main() -> Any:
    """Entry point: a SmallcoderError becomes one line on stderr and exit code 1."""
    try:
        app()
    except SmallcoderError as error:
        typer.secho(f"error: {error}", fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
