"""The page: whole, escaped, self-contained, light enough, and every failure in it can be reached, in a real browser."""

import copy
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcheck import Report, Verdict, check, from_pair
from gradcheck.__main__ import main
from gradcheck.cost.curve import Curve
from gradcheck.cost.scaling import fit
from gradcheck.judge.closer import look
from gradcheck.render import html
from gradcheck.render.costs import cost_record
from gradcheck.render.records import append, read, record
from gradcheck.report import Block, Finding, Kind

X = np.random.default_rng(0).normal(size=(3, 4))
EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;{{ 7 * 7 }}"


def wrong(name: str = "sine", factor: float = 2.0) -> dict[str, Any]:
    """A record of a real failure, with a closer look."""
    return copy.deepcopy(_wrong(name, factor))


@cache
def _wrong(name: str, factor: float) -> dict[str, Any]:
    target = from_pair(np.sin, lambda i, g: (factor * g * np.cos(i[0]),), name=name)
    report = check(target, X)
    return record(report, target_ref=f"layers:{name}", case=(X,), look=look(target, X, report=report))


def passing(name: str = "sine") -> dict[str, Any]:
    return record(check((np.sin, lambda i, g: (g * np.cos(i[0]),)), X), target_ref=f"layers:{name}")


def unclear() -> dict[str, Any]:
    return record(check((lambda x: x * np.nan, lambda i, g: (g,)), X), target_ref="layers:nowhere")


def through(path: Path, *made: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    for one in made:
        append(path, one)
    return read([path])


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the links that lead nowhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.ids = [a["id"] for _, a in self.seen if "id" in a]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.seen.append((tag, dict(attrs)))

    def links(self, *names: str) -> list[str]:
        """The values of these attributes, wherever they stand."""
        return [str(a[n]) for tag, a in self.seen for n in names if n in a]


def grown(name: str = "sweep", power: int = 1) -> dict[str, Any]:
    """A record of a cost that grows with this power."""
    sizes = (10, 20, 40, 80, 160)
    seconds = [1e-6 * n**power for n in sizes]
    curve = Curve(name, "edge", sizes, np.array([seconds]), fit(sizes, seconds))
    return cost_record(curve, target_ref=f"layers:{name}")


def test_every_link_leads_to_a_place_on_the_page_and_no_id_is_there_twice(tmp_path: Path) -> None:
    """Among them one to every failure; pictures keep their ids to themselves."""
    made = wrong("a"), wrong("b", -1.0), wrong("b"), unclear(), grown(), grown("scan", 3)
    page = Elements(html.page(*through(tmp_path / "a.jsonl", *made)))
    assert len(page.ids) == len(set(page.ids))
    links = page.links("href", "xlink:href")
    assert [link for link in links if link.startswith("#") and link[1:] not in page.ids] == []
    failures = {a["id"] for tag, a in page.seen if tag == "section" and a.get("class") == "failure"}
    assert len(failures) == 4
    assert {f"#{name}" for name in failures} <= set(links)


def test_nothing_is_fetched_and_nothing_runs() -> None:
    """No script, no address but those that name SVG's vocabularies, and a policy that has the browser see to it."""
    text = html.page([wrong(), unclear()])
    page = Elements(text)
    assert "script" not in {tag for tag, _ in page.seen}
    assert all(link.startswith(("#", "data:")) for link in page.links("href", "xlink:href", "src"))
    addresses = set(re.findall(r"https?://[^\s\"'<]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert "default-src &#39;none&#39;" in text or "default-src 'none'" in text
    assert not any(name.startswith("on") for _, attributes in page.seen for name in attributes)


def test_whatever_a_record_says_is_escaped(tmp_path: Path) -> None:
    """Names, messages, reasons, kinks, versions: none of them becomes an element, a template or an attribute."""
    finding = Finding(Kind.OTHER, EVIL, EVIL, (0,), evidence=(EVIL,))
    block = Block(EVIL, (2,), EVIL, Verdict.FAIL)
    fail = Report(Verdict.FAIL, EVIL, (finding,), kinks=(EVIL,), notes=(EVIL,), dtype=EVIL, blocks=(block,))
    pause = Report(Verdict.INCONCLUSIVE, EVIL, reasons=(EVIL,), dtype=EVIL)
    made = [record(one, target_ref=EVIL, profile=EVIL, case=(X,)) | {"id": EVIL, "at": EVIL} for one in (fail, pause)]
    made += [{**wrong(), "look": {**wrong()["look"]}}]
    made[2]["look"]["curve"]["input"] = made[2]["look"]["entries"][0]["input"] = EVIL
    made.append(grown(EVIL, 3) | {"ref": EVIL, "headline": EVIL})
    made[-1]["cost"] |= {"per": EVIL, "said": EVIL}
    for one in made:
        one["environment"] = {EVIL: EVIL}
    records, complaints = through(tmp_path / "a.jsonl", *made)
    page = html.page(records, [*complaints, EVIL])
    tags = {tag for tag, _ in Elements(page).seen}
    assert "script" not in tags
    assert "img" not in tags
    assert "alert(1)" in page
    assert "{{ 7 * 7 }}" in page


def test_costs_are_drawn_beside_gradients_and_alone(tmp_path: Path) -> None:
    """Seconds against edges with their fit; a cost that grows too fast is a failure of the summary."""
    together = html.page(*through(tmp_path / "a.jsonl", wrong(), grown("scan", 3), grown()))
    assert "<h1><span class=\"fail\">2 of 3 verdicts fail</span></h1>" in together
    assert together.count("time of a backward pass against its edges") == 2
    assert "scan: 100% of backward&#39;s time at 160 edges is super-linear" in together
    assert together.index('id="c0"') < together.index('id="c1"')  # what fails comes first
    assert "gradcheck cost layers:scan" in together
    alone = html.page([grown()])
    assert "No cost grows too fast" in alone
    assert 'id="matrix"' not in alone
    assert "Margins" not in alone


def test_failures_of_one_look_share_a_section_and_none_is_lost(tmp_path: Path) -> None:
    """Five records of two mistakes: two sections, five rows, each with the command that judges it again."""
    made = [wrong("a"), wrong("a"), wrong("a"), wrong("b", -1.0), wrong("b", -1.0)]
    records, _ = through(tmp_path / "a.jsonl", *made)
    text = html.page(records)
    assert text.count('<section class="failure"') == 2
    assert len(set(re.findall(r"gradcheck replay [^<]*a\.jsonl:(\d)", text))) == 5
    assert "(3 times)" in text


def test_the_page_tells_what_it_was_made_of(tmp_path: Path) -> None:
    """The run's versions, its counts, what could not be read, and why something could not be told."""
    records, _ = through(tmp_path / "a.jsonl", wrong(), passing(), unclear())
    text = html.page(records, ["a.jsonl:4: skipped: not JSON"])
    assert "<h1><span class=\"fail\">1 of 3 verdicts fail</span></h1>" in text
    assert np.__version__ in text
    assert "a.jsonl:4: skipped: not JSON" in text
    assert "forward is not finite at this point; move the inputs into its domain" in text
    assert "No gradient was found wrong" in html.page([passing()])
    assert "<h1>Nothing could be told</h1>" in html.page([unclear()])  # which is not the same


def test_a_page_of_nothing_is_an_error() -> None:
    """An empty report would look like a green one."""
    with pytest.raises(ValueError, match="there is no record to make a page of"):
        html.page([])


def many(count: int) -> Iterator[dict[str, Any]]:
    """Records of 200 layers in two dtypes: every tenth fails, most with a look of 500 entries."""
    rng = np.random.default_rng(0)
    drawn = wrong()
    size = 500
    entries = {
        "input": "w", "shape": [20, 25], "position": list(range(size)), "claimed": rng.normal(size=size).tolist(),
        "error": (rng.normal(size=size) * 1e-6).tolist(), "bound": [1e-9] * size,
    }  # fmt: skip
    for n in range(count):
        fails = n % 10 == 0
        made = drawn if fails else passing_once()
        name = f"layer{n % 200}"
        one = {**made, "target": name, "ref": f"zoo:{name}", "id": f"{n:012x}", "source": f"shard-{n % 8}.jsonl:{n}"}
        one["report"] = {**made["report"], "seed": n, "dtype": ("float64", "float32")[n % 3 == 0]}
        yield {**one, "look": {**drawn["look"], "entries": [entries]}} if fails else one


@cache
def passing_once() -> dict[str, Any]:
    return passing()


def test_ten_thousand_records_weigh_less_than_five_megabytes() -> None:
    """A thousand failures among them, each with 500 entries to draw; every record that failed is on the page."""
    text = html.page(many(10_000))
    assert len(text.encode()) < 5_000_000
    assert len(set(re.findall(r"gradcheck replay (shard[^<]+)<", text))) == 1000


def test_ten_thousand_different_failures_weigh_less_than_five_megabytes() -> None:
    """The worst have their block, the others their first line and their command."""
    drawn = wrong()
    made = ({**drawn, "target": f"t{n}", "ref": f"zoo:t{n}", "look": None, "source": f"a:{n}"} for n in range(10_000))
    text = html.page(made)
    assert len(text.encode()) < 5_000_000
    assert len(set(re.findall(r"gradcheck replay (a:\d+)<", text))) == 10_000


# -- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium, headless, driven by playwright; skipped, or failed in CI, where either is missing."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        reason = "needs playwright and a chromium on the path (Debian, Ubuntu: the package chromium)"
        pytest.fail(reason) if os.environ.get("GRADCHECK_REQUIRE_ALL") == "1" else pytest.skip(reason)
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])  # CI runs as root
        yield running
        running.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[..., tuple[Any, list[str]]]]:
    """Open a page of these records; get it with the list of its complaints: console, errors, requests."""
    contexts = []

    def visit(*made: dict[str, Any], **options: Any) -> tuple[Any, list[str]]:
        path = tmp_path / "page.html"
        path.write_text(html.page(made), encoding="utf-8")
        context = browser.new_context(**options)
        contexts.append(context)
        page, heard = context.new_page(), []
        page.on("console", lambda message: heard.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: heard.append(f"error: {error}"))
        page.on("request", lambda request: heard.append(f"request: {request.url}"))
        page.goto(path.as_uri())
        own = f"request: {path.as_uri()}"
        return page, [line for line in heard if line != own and not line.startswith("request: data:")]

    yield visit
    for context in contexts:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_it_without_a_word_a_request_or_a_sideways_scroll(opened: Any, scheme: str, width: int) -> None:
    """Phone and desktop, light and dark: nothing on the console, nothing leaves, nothing is cut off."""
    view = {"width": width, "height": 800}
    page, heard = opened(wrong(), passing(), unclear(), grown("scan", 3), color_scheme=scheme, viewport=view)
    assert heard == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper))) > 380) == (scheme == "light")


def test_it_is_read_without_scripts(opened: Any) -> None:
    """The text, the table and the pictures are there with JavaScript switched off."""
    page, heard = opened(wrong(), java_script_enabled=False)
    assert heard == []
    assert page.locator("section.failure pre").first.is_visible()
    assert page.locator("section.failure svg").count() == 3


def test_every_failure_is_reached_from_the_summary_by_keyboard(opened: Any) -> None:
    """Tab and Enter lead from the first link to each of the failures."""
    page, _ = opened(wrong("a"), wrong("b", -1.0), wrong("c", 0.5))
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        target = page.evaluate("document.activeElement.getAttribute('href')")
        if target and re.fullmatch(r"#f\d+", target) and target not in reached:
            page.keyboard.press("Enter")
            assert page.locator(target).bounding_box()["y"] < 800
            reached.add(target)
            page.locator(f"a[href='{target}']").last.focus()
    assert len(reached) == 3


def test_what_a_record_says_does_not_run_in_a_browser(opened: Any) -> None:
    """Neither by itself, nor when its links are followed."""
    finding = Finding(Kind.OTHER, EVIL, EVIL, (0,), evidence=(EVIL,))
    report = Report(Verdict.FAIL, EVIL, (finding,), dtype=EVIL, blocks=(Block(EVIL, (2,), EVIL, Verdict.FAIL),))
    page, heard = opened(record(report, target_ref=EVIL))
    assert heard == []
    assert page.evaluate("document.scripts.length + document.images.length") == 0


def test_pictures_and_tables_have_words(opened: Any) -> None:
    """Every picture has a name for a screen reader, every table its headers, and the headings go down step by step."""
    page, _ = opened(wrong(), passing())
    assert page.locator("svg").count() == page.locator("svg[role=img][aria-label]").count() > 3
    assert page.locator("table").count() == page.locator("table:has(th[scope])").count()
    levels = [int(tag[1]) for tag in page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(e => e.tagName)")]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert page.evaluate("document.documentElement.lang") == "en"


def test_it_prints(opened: Any, tmp_path: Path) -> None:
    """On paper the navigation is gone and the colours are those of a light page, whatever the screen has."""
    page, heard = opened(wrong(), color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.pdf(path=tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").stat().st_size > 10_000
    assert heard == []


# -- the command ----------------------------------------------------------------------------------------------------


def gradcheck(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gradcheck", *arguments]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=cwd, check=False)


def test_the_command_merges_shards_and_says_what_it_skipped(tmp_path: Path) -> None:
    """Two shards, one of them torn: a page, a line for the torn one, exit code 0."""
    append(tmp_path / "a.jsonl", wrong())
    append(tmp_path / "b.jsonl", passing())
    with (tmp_path / "b.jsonl").open("a") as file:
        file.write('{"schema": 1, "ver')
    done = gradcheck("report", "a.jsonl", "b.jsonl", "-o", "out.html", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out.html: 2 verdicts, 1 FAIL\n"
    assert re.match(r"b\.jsonl:2: skipped: not JSON: ", done.stderr)
    assert "b.jsonl:2: skipped: not JSON" in (tmp_path / "out.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.jsonl", "-o", "out.html"], "missing.jsonl: No such file or directory"),
        (["empty.jsonl", "-o", "out.html"], "there is no record to make a page of"),
        (["a.jsonl", "-o", "nowhere/out.html"], "nowhere/out.html: No such file or directory"),
        (["a.jsonl"], "the following arguments are required: -o/--out"),
    ],
)
def test_what_cannot_be_made_a_page_of_is_a_usage_error(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    """Exit code 4 and one sentence, and no page."""
    monkeypatch.chdir(tmp_path)
    append("a.jsonl", passing())
    Path("empty.jsonl").touch()
    with pytest.raises(SystemExit) as left:
        main(["report", *arguments])
    assert left.value.code == 4
    assert words in capsys.readouterr().err
    assert not Path("out.html").exists()
