"""Reading a chapter's notebook without running it, and listing what a reader would trip over.

Each check takes a notebook (as nbformat reads it) and returns sentences; an empty list is right.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator

from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode

from alexnet_lib import ROOT, records

ABSOLUTE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home|root|tmp|work|Users|mnt|opt|var)/\S*|\b[A-Z]:\\\\?\w+")
CLAIM_ID = re.compile(r"\bC\d\d\b")
INSTALLS = re.compile(r"^\s*(?:!|%pip\b|%conda\b|%%bash)", re.MULTILINE)
DOWNLOADS = re.compile(
    r"\b(?:urlretrieve|urlopen|requests|httpx|wget|curl|fetch_\w+|download=True|load_state_dict_from_url)\b"
)
OURS_TYPED = re.compile(
    r"\b(?:we measured|measured by us|our (?:run|record|result|measurement)s?)\b[^.\n]*?"
    r"\d[\d.,]*\s*(?:%|times|passes|seconds|s\b|minutes|min\b|hours|h\b|images/s|points)"
)
PAGE_ROLE = re.compile(r"\{(?:doc|cite)\}`[^`]*`")
PAGE_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+\.(?:ipynb|md|bib))[^)]*\)")
UNNAMED_IMAGE = re.compile(r"!\[\s*\]\([^)]*\)")
MOST_BYTES = 2_000_000


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def prose(notebook: NotebookNode) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def dead_links(notebook: NotebookNode) -> list[str]:
    """Links to pages and references of the book that JupyterLab does not follow, or that are not there."""
    text = prose(notebook)
    dead = [f"{role}: JupyterLab shows it as it stands; write a Markdown link" for role in PAGE_ROLE.findall(text)]
    pages = [target for target in PAGE_LINK.findall(text) if not (ROOT / "book" / "chapters" / target).is_file()]
    return dead + [f"{target}: there is no such page" for target in pages]


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def outputs(notebook: NotebookNode) -> Iterator[tuple[int, NotebookNode]]:
    """Every output with the number of its code cell."""
    for number, cell in enumerate(code_cells(notebook)):
        for output in cell.outputs:
            yield number, output


def texts(output: NotebookNode) -> Iterator[str]:
    """What an output says in words: streams, tracebacks and all textual forms of a display."""
    yield output.get("text", "")
    yield "\n".join(output.get("traceback", []))
    for kind, content in output.get("data", {}).items():
        if kind.startswith("text/") or kind == "image/svg+xml":
            yield content


def pages(notebook: NotebookNode) -> Iterator[tuple[int, BeautifulSoup]]:
    """The HTML outputs, parsed."""
    for number, output in outputs(notebook):
        if "text/html" in output.get("data", {}):
            yield number, BeautifulSoup(output.data["text/html"], "html.parser")


def not_stored(notebook: NotebookNode) -> list[str]:
    """Outputs that are missing, in error, or not from one run from top to bottom."""
    cells = code_cells(notebook)
    wrong = [] if any(cell.outputs for cell in cells) else ["no outputs are stored"]
    counts = [cell.execution_count for cell in cells if "nbval-skip" not in tags(cell)]
    if None in counts or counts != sorted(set(counts)):
        wrong.append(f"not stored from one run from top to bottom: {counts}")
    for number, cell in enumerate(cells):
        if any(output.output_type == "error" for output in cell.outputs) and "raises-exception" not in tags(cell):
            wrong.append(f"cell {number} stores an error")
    return wrong


def absolute_paths(notebook: NotebookNode) -> list[str]:
    places = [(f"cell {number}", cell.source) for number, cell in enumerate(notebook.cells)]
    for number, output in outputs(notebook):
        places += [(f"output of code cell {number}", text) for text in texts(output)]
    return [f"{place}: {hit}" for place, text in places for hit in ABSOLUTE_PATH.findall(text)]


def too_long(notebook: NotebookNode) -> list[str]:
    lines = [sum(1 for line in cell.source.splitlines() if line.strip()) for cell in code_cells(notebook)]
    if not lines:
        return ["no code"]
    wrong = [f"code cell {number} has {count} lines" for number, count in enumerate(lines) if count > 35]
    if statistics.median(lines) >= 13:
        wrong.append(f"the median code cell has {statistics.median(lines)} lines")
    if sum(count < 28 for count in lines) < 0.9 * len(lines):
        wrong.append("more than one code cell in ten has 28 lines or more")
    if len(notebook.cells) >= 60:
        wrong.append(f"{len(notebook.cells)} cells")
    return wrong


def too_wide(notebook: NotebookNode) -> list[str]:
    """Lines of code that a page would cut off or wrap."""
    lines = [(number, line) for number, cell in enumerate(code_cells(notebook)) for line in cell.source.splitlines()]
    return [f"code cell {number} has a line of {len(line)} columns: {line}" for number, line in lines if len(line) > 76]


def named(picture: Tag) -> bool:
    if picture.name == "img":
        return bool(str(picture.get("alt") or "").strip())
    if picture.name == "svg":
        own = picture.get("aria-label") or picture.get("aria-labelledby") or picture.find("title", recursive=False)
        return bool(own or picture.find_parent(attrs={"aria-hidden": "true"}) or picture.get("aria-hidden") == "true")
    return any(named(inner) for inner in picture.find_all(["img", "svg"]))


def pictures_without_words(notebook: NotebookNode) -> list[str]:
    """Pictures that a reader who cannot see them learns nothing of."""
    wrong = [f"text: image without alternative text: {hit}" for hit in UNNAMED_IMAGE.findall(prose(notebook))]
    for number, output in outputs(notebook):
        data = output.get("data", {})
        if any(kind.startswith("image/") for kind in data) and "text/html" not in data:
            wrong.append(f"output of code cell {number}: a picture without HTML that describes it")
    for number, page in pages(notebook):
        for picture in page.find_all(["figure", "img", "svg"]):
            if not named(picture):
                wrong.append(f"output of code cell {number}: <{picture.name}> without alternative text")
    return wrong


def unasked(notebook: NotebookNode) -> list[str]:
    """Installing, downloading, and anything but one set-up call."""
    source = "\n".join(cell.source for cell in code_cells(notebook))
    wrong = [f"a shell or install command: {hit.strip()}" for hit in INSTALLS.findall(source)]
    wrong += [f"a download: {hit}" for hit in DOWNLOADS.findall(source)]
    calls = source.count("nb.setup(")
    return wrong if calls == 1 else [*wrong, f"{calls} calls of nb.setup, not one"]


def record_exists(name: str) -> bool:
    experiment, _, run = name.partition("/")
    return bool(run) and bool(records.load(experiment, run))


def without_record(notebook: NotebookNode) -> list[str]:
    """Figures and tables shown as recorded that name no record which exists, and numbers of ours typed into the text.

    A figure or table whose origin is "recorded" stands in (or is) an element with data-record="experiment/run",
    several separated by spaces.
    """
    wrong = []
    for number, page in pages(notebook):
        for marked in page.find_all(string=re.compile(r"\[recorded\b")):
            if not marked.find_parent(attrs={"data-record": True}):
                wrong.append(f"output of code cell {number}: shown as recorded, but no data-record names the record")
        for marked in page.find_all(attrs={"data-record": True}):
            missing = [name for name in str(marked["data-record"]).split() if not record_exists(name)]
            wrong += [f"output of code cell {number}: there is no record {name}" for name in missing]
    return wrong + [f"text: a measured number, typed: {hit}" for hit in OURS_TYPED.findall(prose(notebook))]


def claims_named(notebook: NotebookNode) -> set[str]:
    return set(CLAIM_ID.findall(prose(notebook)))
