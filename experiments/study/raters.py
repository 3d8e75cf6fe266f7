"""Simulated raters, who take part in a served study as a browser without JavaScript does: by its pages, its pictures and its forms.

They know the key, as no rater does, for it says which picture is which arm's; they are here in place of people. How they answer is the model of the design's `[assume]`,
with `test.effect` as the true share of answers for the arm that they prefer.
"""

from __future__ import annotations

import hashlib
import math
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookiejar import CookieJar

MOST_PAGES = 200
"""A study that takes more pages than these does not end."""


@dataclass
class Form:
    """A form of a page: where it goes, and what stands in it."""

    action: str
    post: bool
    values: list[tuple[str, str]] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)
    boxes: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Page(HTMLParser):
    """The forms, pictures and links that look like buttons of a page, in their order."""

    def __init__(self, text: str):
        super().__init__()
        self.forms: list[Form] = []
        self.pictures: list[str] = []
        self.onward: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        of = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.forms.append(Form(of.get("action", ""), of.get("method", "get").lower() == "post"))
            self._inside = True
        elif tag == "a" and "button" in of.get("class", "").split():
            self.onward.append(of.get("href", ""))
        elif tag == "img" and of.get("src"):
            self.pictures.append(of["src"])
        elif self._inside and tag in ("input", "button"):
            self._control(of, of.get("type", "submit" if tag == "button" else "text").lower())

    def _control(self, of: dict[str, str], kind: str) -> None:
        form, name, value = self.forms[-1], of.get("name", ""), of.get("value", "on" if of.get("type") == "checkbox" else "")
        if kind == "radio":
            form.choices.setdefault(name, []).append(value)
        elif kind == "checkbox":
            form.boxes.append((name, value))
        elif kind == "submit":
            form.buttons.append((name, value))
        elif name and kind == "hidden":
            form.values.append((name, value))

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"


class Study:
    """What simulated raters know of a study: whose a picture is, by the SHA-256 of its file."""

    def __init__(self, manifest: dict, key: dict, prefer: str):
        self.assume, self.effect, self.item_count = key["design"]["assume"], key["design"]["test"]["effect"], len(manifest["items"])
        arm = next(number for number, of_arm in enumerate(key["arms"]) if of_arm["name"] == prefer)
        self.pictures: dict[str, tuple[int, bool]] = {}
        """Of each picture that is one of two: the item, and whether it is the one that is preferred, or right in a check."""
        for number, item in enumerate(manifest["items"]):
            wanted = item["expected"]["picture"] if item.get("expected") else arm
            for position, files in enumerate(item["pictures"]):
                self.pictures[manifest["files"][files[0]]] = (number, position == wanted)
        self.checks = {number for number, item in enumerate(manifest["items"]) if item.get("expected")}
        drawn = random.Random(f"items {key['design']['seed']}")
        self.item_leanings = [drawn.gauss(0, self.assume["item_sd"]) for _ in range(self.item_count)]


class Rater:
    """One simulated rater."""

    def __init__(self, study: Study, seed: str):
        self.study, self.random = study, random.Random(seed)
        self.leaning = self.random.gauss(0, study.assume["rater_sd"])
        self.browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        self.seen: dict[str, str] = {}

    def take_part(self, address: str) -> int:
        """Answers all that is asked; gives how many questions that were."""
        answered, (address, text) = 0, self._open(urllib.request.Request(address))
        for _ in range(MOST_PAGES):
            page = Page(text)
            forms = [form for form in page.forms if form.post]
            asked = next((form for form in forms if any({"first", "second"} <= set(values) for values in _answers(form).values())), None)
            if asked:
                shown = [self._hash(urllib.parse.urljoin(address, picture)) for picture in page.pictures]
                # Long enough that no answer is too fast.
                time.sleep(self.random.uniform(0.8, 1.6))
                address, text = self._post(address, asked, self._choice([s for s in shown if s in self.study.pictures], asked))
                answered += 1
                continue
            # Pages that only go on: consent, what is to do.
            if forms:
                address, text = self._post(address, forms[0], None)
            elif page.onward:
                address, text = self._open(urllib.request.Request(urllib.parse.urljoin(address, page.onward[0])))
            else:
                return answered
        raise RuntimeError(f"the study did not end after {MOST_PAGES} pages")

    def _choice(self, shown: list[str], form: Form) -> str:
        options = next(values for values in _answers(form).values() if {"first", "second"} <= set(values))
        (item, first_is_wanted), *_ = [self.study.pictures[s] for s in shown]
        assume = self.study.assume
        if self.random.random() < assume["lapse"]:
            return self.random.choice(options)
        wanted = "first" if first_is_wanted else "second"
        if item in self.study.checks:
            return wanted
        if "neither" in options and self.random.random() < assume["neither"]:
            return "neither"
        logit = math.log(self.study.effect / (1 - self.study.effect)) + self.leaning + self.study.item_leanings[item]
        return wanted if self.random.random() < 1 / (1 + math.exp(-logit)) else ("second" if first_is_wanted else "first")

    def _open(self, request: urllib.request.Request) -> tuple[str, str]:
        address, content = self._read(request)
        return address, content.decode()

    def _read(self, request: urllib.request.Request) -> tuple[str, bytes]:
        """Asks, and asks again where the server is busy, as people do."""
        for waits in range(5, -1, -1):
            try:
                with self.browser.open(request, timeout=30) as reply:
                    return reply.geturl(), reply.read()
            except urllib.error.HTTPError as error:
                if error.code not in (429, 503) or not waits:
                    raise RuntimeError(f"{request.full_url}: {error.code} {error.read().decode(errors='replace')[:300]}") from error
                time.sleep(1)
        raise AssertionError

    def _post(self, page: str, form: Form, answer: str | None) -> tuple[str, str]:
        values = list(form.values) + list(form.boxes)
        if answer is not None:
            name = next(name for name, options in _answers(form).items() if answer in options)
            values.append((name, answer))
        elif form.buttons and form.buttons[0][0]:
            values.append(form.buttons[0])
        request = urllib.request.Request(urllib.parse.urljoin(page, form.action), urllib.parse.urlencode(values).encode())
        # What a browser says of a form that it sends by itself.
        origin = urllib.parse.urlsplit(page)
        request.add_header("Origin", f"{origin.scheme}://{origin.netloc}")
        request.add_header("Referer", page)
        return self._open(request)

    def _hash(self, address: str) -> str:
        if address not in self.seen:
            self.seen[address] = hashlib.sha256(self._read(urllib.request.Request(address))[1]).hexdigest()
        return self.seen[address]


def _answers(form: Form) -> dict[str, list[str]]:
    """What can be chosen in a form, by radio buttons or by buttons that send it."""
    found = {name: list(values) for name, values in form.choices.items()}
    for name, value in form.buttons:
        if name:
            found.setdefault(name, []).append(value)
    return found
