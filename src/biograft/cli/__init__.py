"""The command line: options in, one flow called, a short answer out. Heavy imports wait until a command runs."""

import typer

from biograft.cli import comparing, encoders, models, ranking, tables
from biograft.cli.door import Door

__all__ = ["app", "main"]

app = typer.Typer(
    name="biograft",
    cls=Door,
    help="Carry what a model knows about biology over to a question with few labels.",
    epilog="Begin with: biograft demo. Options of a command: biograft fit --help.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from biograft import __version__

        typer.echo(f"biograft {__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Stands before every command."""


for command, examples in models.COMMANDS.items():
    app.command(epilog=examples)(command)
for command, examples in tables.COMMANDS.items():
    app.command(name=command.__name__.removesuffix("_things"), epilog=examples)(command)
for command, examples in (encoders.COMMANDS | comparing.COMMANDS | ranking.COMMANDS).items():
    app.command(epilog=examples)(command)


def main() -> None:
    """The program ``biograft``."""
    app()
