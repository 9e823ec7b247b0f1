"""The command-line app: `spacy-mner …`, and the same as `python -m spacy mner …`."""

from __future__ import annotations

import typer
from spacy.cli._util import app as spacy_app

from .annotate import annotate_cli
from .convert import convert_cli
from .evaluate import evaluate_cli
from .explain import explain_cli
from .init import init_cli
from .optimize import optimize_cli
from .serve import serve_cli

app = typer.Typer(
    name="mner",
    help="Multimodal named entity recognition: text with images.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("init")(init_cli)
app.command("annotate")(annotate_cli)
app.command("convert")(convert_cli)
app.command("evaluate")(evaluate_cli)
app.command("explain")(explain_cli)
app.command("optimize")(optimize_cli)
app.command("serve")(serve_cli)

# spaCy imports this module by the entry point `spacy_cli` for this side effect.
spacy_app.add_typer(app, name="mner")


def main() -> None:
    """Run the app as `spacy-mner`."""
    app(prog_name="spacy-mner")
