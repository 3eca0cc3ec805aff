"""Reads the pages that reports write."""

import base64
import re
from html.parser import HTMLParser

VOID = ("meta", "img", "br", "link", "hr", "input")


class Page(HTMLParser):
    """A page: its tags, its texts by tag, its images; elements are closed in order.

    It needs no network: its images are within it, and link to nothing outside.
    """

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.open, self.tags, self.texts, self.images = [], [], [], []
        self.feed(self.source)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.images += [dict(attrs)] if tag == "img" else []
        for name, value in attrs:
            assert name not in ("href", "onclick", "onload", "srcset")
            assert name != "src" or value.startswith("data:image/svg+xml;base64,")
            if tag == "img" and name == "src":
                links = re.findall(r'href="([^"]*)"', decoded(value).decode())
                assert all(link.startswith(("#", "data:")) for link in links)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style" and data.strip():
            self.texts.append((self.open[-1], data))

    def of(self, tag):
        return [text for own, text in self.texts if own == tag]

    def __contains__(self, text):
        return text in " ".join(text for _, text in self.texts)

    def pictures(self):
        return [decoded(one["src"]) for one in self.images]


def decoded(source):
    """The picture of a data URL."""
    return base64.b64decode(source.partition(",")[2])
