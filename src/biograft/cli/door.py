"""What goes wrong becomes a message and an exit code, in one place for all commands: 0 done, 2 the user's, 1 ours."""

import os
import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from biograft.errors import BiograftError

__all__ = ["Door"]

INTERRUPTED = 130  # as shells have them: 128 and the number of the signal
PIPE_CLOSED = 141
CONTINUES = ("fit", "embed", "demo", "pretrain", "compare")


class Door(TyperGroup):
    """All commands pass through here on their way in and out."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe shows here, not while Python shuts down
            return result
        except BiograftError as fault:
            _complain(f"Error: {fault}")
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            again = "continues where it was" if ctx.invoked_subcommand in CONTINUES else "begins anew"
            _complain(f"Stopped. The same command {again}.")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            _let_go_of_stdout()
            raise typer.Exit(PIPE_CLOSED) from None
        except OSError as fault:
            where = f" '{fault.filename}'" if fault.filename else ""
            _complain(
                f"Error: {fault.strerror or fault}{where}. Check the path, its permissions and the room on the disk."
            )
            raise typer.Exit(2) from None
        except (typer.Exit, typer.Abort, typer.BadParameter.__base__):  # type: ignore[misc]
            raise
        except Exception as fault:
            traceback.print_exc()
            _complain("This is a fault of biograft, not of your input. Please report the lines above.")
            raise typer.Exit(1) from fault


def _complain(text: str) -> None:
    typer.secho(text, err=True, fg="red")


def _let_go_of_stdout() -> None:
    """Whoever read has gone, as ``head`` does: what is still unwritten must not fail again at the exit of Python."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
