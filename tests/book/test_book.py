"""The book's sources, read without running them: every notebook, the claims, the chapters, the records they rest on."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import notebook_checks as checks
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pybtex.database import Entry, parse_file
from pybtex.richtext import Text

from alexnet_lib import ROOT, experiments, records

BOOK = ROOT / "book"
NOTEBOOKS = sorted(path for path in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
CLAIMS = yaml.safe_load((BOOK / "claims.yml").read_text(encoding="utf-8"))
REFERENCES = parse_file(str(BOOK / "references.bib")).entries
CHAPTERS = yaml.safe_load((BOOK / "chapters.yml").read_text(encoding="utf-8"))


def experiments_of(claim: dict) -> list[str]:
    """The experiments that a claim names: none, one or several; and those that were too weak to decide it."""
    named = claim["experiment"] or []
    return [*([named] if isinstance(named, str) else named), *claim.get("earlier", ())]


CHECKS = [
    checks.not_stored,
    checks.absolute_paths,
    checks.dead_links,
    checks.too_long,
    checks.too_wide,
    checks.pictures_without_words,
    checks.unasked,
    checks.without_record,
]

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


@every_notebook
@pytest.mark.parametrize("check", CHECKS, ids=[check.__name__ for check in CHECKS])
def test_notebook_has_no(path: Path, check) -> None:
    assert check(nbformat.read(path, as_version=4)) == []


@every_notebook
def test_notebook_names_its_claims_and_no_others(path: Path) -> None:
    named = checks.claims_named(nbformat.read(path, as_version=4))
    assert named <= set(CLAIMS)
    assert {name for name, claim in CLAIMS.items() if claim["chapter"] == path.stem} <= named


@every_notebook
def test_a_citation_reads_as_the_list_of_references_has_it(path: Path) -> None:
    cited = re.findall(r"\[([^\[\]]+)\]\(\.\./references\.bib#(\w+)\)", checks.prose(nbformat.read(path, as_version=4)))
    assert cited and [said for said, _ in cited] == [named(REFERENCES[key]) for _, key in cited]


def named(entry: Entry) -> str:
    """Authors and year."""
    authors = [str(Text.from_latex(" ".join([*one.prelast_names, *one.last_names]))) for one in entry.persons["author"]]
    return f"{' and '.join(authors) if len(authors) < 3 else f'{authors[0]} et al.'}, {entry.fields['year']}"


@every_notebook
def test_notebook_is_small_and_plain(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert path.stat().st_size < checks.MOST_BYTES
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata, "saved widget state makes the page fetch scripts from elsewhere"


def test_every_notebook_is_a_chapter_of_the_book() -> None:
    listed = (BOOK / "_toc.yml").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        assert path.parent == BOOK / "chapters" and path.stem in CHAPTERS
        assert f"file: chapters/{path.stem}\n" in listed


def test_all_claims_are_there() -> None:
    assert list(CLAIMS) == [f"C{number:02d}" for number in range(1, 33)]


@pytest.mark.parametrize("name", CLAIMS)
def test_claim_is_complete(name: str) -> None:
    claim = CLAIMS[name]
    always = {"title", "section", "claim", "paper", "how", "experiment", "chapter"}
    assert set(claim) - {"note", "logs", "earlier"} == always
    assert isinstance(claim["section"], str) and claim["claim"].endswith(".")
    assert claim["paper"] is None or isinstance(claim["paper"], str)
    assert claim["chapter"] in CHAPTERS
    assert claim["how"] in ("measured", "computed", "quoted")
    assert (claim["how"] == "measured") == bool(experiments_of(claim))
    assert claim["how"] != "quoted" or claim["note"]


def test_every_experiment_that_a_claim_names_exists_or_is_said_to_be_planned() -> None:
    named = {name for claim in CLAIMS.values() for name in experiments_of(claim)}
    planned = set(yaml.safe_load((BOOK / "planned_experiments.yml").read_text(encoding="utf-8")))
    assert planned == named - set(experiments.names()) - {"bench"}


def test_no_chapter_gives_the_command_of_an_experiment_that_does_not_exist() -> None:
    for path in NOTEBOOKS:
        for name in re.findall(r"alexnet_lib experiment ([\w-]+)", path.read_text(encoding="utf-8")):
            assert name in (*experiments.names(), "list"), f"{path.name} tells readers to run {name}"


def test_every_record_belongs_to_its_claims() -> None:
    for folder in records.recorded_root().glob("*/"):
        for run, record in records.load(folder.name).items():
            assert record["experiment"] == folder.name and record["run"] == run
            assert record["claims"] and all(folder.name in experiments_of(CLAIMS[name]) for name in record["claims"])


def chapter(*cells, outputs=(), source="nb.setup('x')", count=1) -> nbformat.NotebookNode:
    return new_notebook(cells=[*cells, new_code_cell(source, outputs=list(outputs), execution_count=count)])


def shown(**data: str) -> nbformat.NotebookNode:
    return new_output("display_data", data={kind.replace("_", "/"): content for kind, content in data.items()})


WRONG = [
    (checks.not_stored, chapter(), "no outputs"),
    (checks.not_stored, chapter(count=None), "one run"),
    (checks.not_stored, chapter(outputs=[new_output("error", ename="E", evalue="", traceback=[])]), "stores an error"),
    (checks.absolute_paths, chapter(source="open('/home/me/x')"), "/home/me"),
    (checks.absolute_paths, chapter(outputs=[new_output("stream", text="in /tmp/x.png")]), "/tmp/x.png"),
    (checks.absolute_paths, chapter(new_markdown_cell(r"see C:\data")), "C:"),
    (checks.dead_links, chapter(new_markdown_cell("see {doc}`results`")), "write a Markdown link"),
    (checks.dead_links, chapter(new_markdown_cell("said before {cite}`nair2010`")), "write a Markdown link"),
    (checks.dead_links, chapter(new_markdown_cell("see [one](nowhere.ipynb#here)")), "nowhere.ipynb"),
    (checks.too_long, chapter(source="x = 1\n" * 36), "36 lines"),
    (checks.too_long, chapter(source="x = 1\n" * 13), "median"),
    (checks.too_long, chapter(source="x = 1\n" * 28), "one code cell in ten"),
    (checks.too_long, chapter(*(new_markdown_cell("x") for _ in range(60))), "61 cells"),
    (checks.too_wide, chapter(source=f"x = {'1' * 73}"), "77 columns"),
    (checks.pictures_without_words, chapter(outputs=[shown(image_png="AA")]), "without HTML"),
    (checks.pictures_without_words, chapter(outputs=[shown(text_html='<img src="x">')]), "<img>"),
    (checks.pictures_without_words, chapter(outputs=[shown(text_html="<figure><svg></svg></figure>")]), "<figure>"),
    (checks.pictures_without_words, chapter(new_markdown_cell("![](x.png)")), "x.png"),
    (checks.unasked, chapter(source="nb.setup()\n!pip install x"), "install"),
    (checks.unasked, chapter(source="nb.setup()\nfetch_cifar10(root)"), "download"),
    (checks.unasked, chapter(source="x = 1"), "0 calls"),
    (checks.without_record, chapter(outputs=[shown(text_html="<p>[recorded · 3 seeds]</p>")]), "no data-record"),
    (checks.without_record, chapter(outputs=[shown(text_html='<p data-record="no/run">[recorded]</p>')]), "no/run"),
    (checks.without_record, chapter(new_markdown_cell("In our run ReLU took 4.2 passes.")), "typed"),
]


@pytest.mark.parametrize(("check", "notebook", "said"), WRONG, ids=[f"{c.__name__}-{said}" for c, _, said in WRONG])
def test_the_checks_find_what_is_wrong(check, notebook, said: str) -> None:
    assert any(said in line for line in check(notebook)), check(notebook)


def test_the_checks_pass_a_notebook_with_nothing_wrong() -> None:
    picture = shown(text_html='<figure><svg role="img" aria-label="a curve that falls"></svg></figure>', image_png="AA")
    right = chapter(new_markdown_cell("C01, in /3 of http://host/tmp/x"), outputs=[picture])
    assert [line for check in CHECKS for line in check(right)] == []
