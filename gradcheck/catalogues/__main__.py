"""`python -m gradcheck.catalogues`: the share of each framework that is covered, and what is not, with the reason."""

import importlib
import sys

from rich.console import Console
from rich.table import Table

from gradcheck.catalogues import CATALOGUES
from gradcheck.catalogues.catalogue import Catalogue


def main() -> int:
    """Print a row for each catalogue whose framework is installed; return 1 if a public name is in no list, else 0."""
    table = Table("catalogue", "targets", "covered", "excepted", "no gradient", "share", box=None)
    notes = []
    unlisted = False
    for module in CATALOGUES:
        catalogue: Catalogue = importlib.import_module(f"gradcheck.catalogues.{module}").CATALOGUE
        try:
            known = catalogue.coverage()
        except ImportError as missing:
            notes.append(f"{module}: {missing}")
            continue
        counts = (len(catalogue.targets()), known.covered, known.excepted, known.constant)
        table.add_row(module, *map(str, counts), f"{known.share:.1%}")
        notes += [f"{module}: not covered: {names}: {why}" for why, names in catalogue.exceptions.items()]
        if known.unlisted:
            notes.append(f"{module}: in no list: {', '.join(known.unlisted)}; add a row, or a reason")
        unlisted |= bool(known.unlisted)
    console = Console(highlight=False)
    console.print(table)
    for note in notes:
        console.print(note, markup=False, soft_wrap=True)
    return int(unlisted)


if __name__ == "__main__":
    sys.exit(main())
