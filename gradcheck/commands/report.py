"""`gradcheck report`: one page of recorded verdicts."""

import sys
from pathlib import Path

from gradcheck.commands.arguments import OK, Commands, Parser


def declare(commands: Commands) -> None:
    """Say what it takes."""
    report = commands.add_parser("report", help="make one page of recorded verdicts, of several shards too")
    report.add_argument("paths", nargs="+", metavar="FILE", help="JSON lines, as --gradcheck-report FILE.jsonl writes")
    report.add_argument("-o", "--out", required=True, metavar="PAGE.html", help="the page to write, one file")


def main(parser: Parser, paths: list[str], out: str) -> int:
    """Write the page; what could not be read is said on stderr."""
    try:
        from gradcheck.render.html import page
    except ImportError as missing:
        parser.error(f"a page needs jinja2 and matplotlib; {missing.name} is missing: pip install 'gradcheck[report]'")
    from gradcheck.render.records import read

    try:
        records, complaints = read(paths)
        print(*complaints, sep="\n", end="\n" if complaints else "", file=sys.stderr)
        Path(out).write_text(page(records, complaints), encoding="utf-8")
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    except ValueError as error:
        parser.error(str(error))
    failing = sum(made["verdict"] == "fail" for made in records)
    print(f"{out}: {len(records)} verdict{'s' if len(records) > 1 else ''}, {failing} FAIL")
    return OK
