"""What CommonMark says holds, but for what docs/decisions/0022 lists. The samples follow the chapters of its specification."""

from __future__ import annotations

import pytest

from bots.channels.markup import to_plain, to_whatsapp

#: Markdown and what WhatsApp gets.
HOLDS = {
    "tab_in_text": ("a\tb", "a\tb"),
    "tab_code": ("\ta\tb", "```\na\tb\n```"),
    "precedence_of_blocks": ("- `one\n- two`", "- `one\n- two`"),
    "escape_all": (r"\!\"\#\$\%\&\'\(\)\+\,\-\.\/\:\;\<\=\>\?\@\[\\\]\^\{\|\}", "!\"#$%&'()+,-./:;<=>?@[\\]^{|}"),
    "escape_none": (r"\a \é \«", r"\a \é \«"),
    "escape_breaks": ("a\\\nb", "a\nb"),
    "escape_not_in_code": (r"`\[\]`", r"`\[\]`"),
    "escape_in_address": (r"[a](https://x.org/\(b)", "a (https://x.org/(b)"),
    "entity": ("&copy; &#35; &#x22; &frac34; &MadeUp; &copy", '© # " ¾ &MadeUp; &copy'),
    "entity_is_no_sign": ("&#42;a&#42; b", "*\u2060a* b"),
    "entity_not_in_code": ("`&amp;`", "`&amp;`"),
    "rules": ("a\n\n***\n\n- - -\n\n___\n\nb", "a\n\nb"),
    "rule_ends_list": ("- a\n***\n- b", "- a\n\n- b"),
    "headings": ("# a\n## b ##\n###### c", "*a*\n\n*b*\n\n*c*"),
    "heading_no_space": ("#a\n\n####### b", "#a\n\n####### b"),
    "heading_escaped": (r"\## a", "## a"),
    "heading_underlined": ("a *b*\n=====\n\nc\n---", "*a _b_*\n\n*c*"),
    "code_indented": ("a\n\n    b\n      c\n\nd", "a\n\n```\nb\n  c\n```\n\nd"),
    "code_no_interruption": ("a\n    b", "a\n    b"),
    "fence_longer": ("a\n\n````\n```\n````", "a\n\n```\n`\u2060`\u2060`\n```"),
    "fence_other": ("a\n\n~~~\n```\n~~~", "a\n\n```\n`\u2060`\u2060`\n```"),
    "fence_interrupts": ("a\n```\nb*c*\n```\nd", "a\n\n```\nb*c*\n```\n\nd"),
    "definition": ("[a]\n\n[a]: https://x.org 'title'", "a (https://x.org)"),
    "definition_folded": ("[Ab c]\n\n[aB  C]: <https://x.org>", "Ab c (https://x.org)"),
    "paragraphs": ("a\nb\n\nc", "a\nb\n\nc"),
    "quote_lazy": ("> a\nb", "> a\n> b"),
    "quote_ends": ("> a\n\nb", "> a\n\nb"),
    "quote_heading": ("> # a\n> b", "> *a*\n> b"),
    "item_needs_space": ("-a\n\n2.b", "-a\n\n2.b"),
    "item_too_long": ("1234567890. a", "1234567890. a"),
    "item_negative": ("-1. a", "-1. a"),
    "item_interrupts": ("a\n- b", "a\n\n- b"),
    "number_does_not_interrupt": (
        "The number of windows is\n14. The number of doors is 6.",
        "The number of windows is\n14. The number of doors is 6.",
    ),
    "item_blocks": ("- a\n\n  > b\n\n  c", "- a\n> b\nc"),
    "lists_by_sign": ("- a\n* b", "- a\n\n- b"),
    "lists_by_bracket": ("1. a\n1) b", "1. a\n\n1) b"),
    "code_span_spaces": ("`` a ` b ``", "a ` b"),
    "code_span_first": ("*a`*`", "*a`*`"),
    "code_span_lines": ("`a\nb`", "`a b`"),
    "emphasis": ("*a b* and _a b_", "_a b_ and _a b_"),
    "emphasis_spaced": ("a * b * c and * d*", "a * b * c and * d*"),
    "emphasis_nested": ("*a **b** c* and **a *b* c**", "_a *b* c_ and *a _b_ c*"),
    "emphasis_same_kind": ("**a __b__ c**", "*a b c*"),
    "emphasis_both": ("***a** b* and ***a* b**", "_*a* b_ and *_a_ b*"),
    "emphasis_punctuation": ('*(a)* and (*a*) and "**a**", *a*.', '_(a)_ and (_a_) and "*a*", _a_.'),
    "emphasis_underline": ("a_b_c _d_e _f_, __g__.", "a_b_c _d_e f, *g*."),
    "emphasis_not_closed": ("**a and *b", "**a and *b"),
    "emphasis_crossing": ("*a [b*](https://x.org)", "*\u2060a b* (https://x.org)"),
    "emphasis_lines": ("*a\nb*", "_a_\n_b_"),
    "struck": ("~~a~~ and ~b", "~a~ and ~\u2060b"),
    "link_title": ('[a](https://x.org "title")', "a (https://x.org)"),
    "link_angle": ("[a](<https://x.org/b c>)", "a (https://x.org/b c)"),
    "link_brackets": ("[a [b]](https://x.org/c(d))", "a [b] (https://x.org/c(d))"),
    "link_in_link": ("[a [b](https://x.org) c](https://y.org)", "[a b (https://x.org) c](https://y.org)"),
    "link_no_link": ("[a] (https://x.org) and [b](c d)", "[a] (https://x.org) and [b](c d)"),
    "link_collapsed": ("[a][] and [b][a]\n\n[a]: https://x.org", "a (https://x.org) and b (https://x.org)"),
    "image_nested": ("![a *b* [c](https://x.org)](d.png)", "a _b_ c (https://x.org) (d.png)"),
    "image_in_link": ("[![a](b.png)](https://x.org)", "a (b.png) (https://x.org)"),
    "autolink": (
        "<https://x.org?a=b> <mailto:a@x.org> <a@x.org> <irc://a.b:1/c>",
        "https://x.org?a=b mailto:a@x.org a@x.org irc://a.b:1/c",
    ),
    "no_autolink": ("<https://x.org/a b> <a.b.c> < https://x.org >", "<https://x.org/a b> <a.b.c> < https://x.org >"),
    "hard_break": ("a  \n  b", "a\nb"),
    "no_hard_break_at_end": ("a  ", "a"),
}


@pytest.mark.parametrize("name", HOLDS)
def test_a_sample_of_commonmark_holds(name: str) -> None:
    markdown, expected = HOLDS[name]

    assert to_whatsapp(markdown) == expected


#: The rules that are ours: Markdown and plain text.
OURS = {
    "single_sign_in_a_word": ("foo*bar*baz and 5*6*78", "foo*bar*baz and 5*6*78"),
    "two_signs_between_digits": ("2**3**2", "2**3**2"),
    "after_punctuation": ("**foo:**bar", "foo:bar"),
    "no_word_borders": ("他说**“好”**。", "他说“好”。"),
    "space_before_the_end": ("**foo: **bar", "foo: bar"),
    "underline_at_a_joint": ("foo-_(bar)_ and a/_b_", "foo-_(bar)_ and a/_b_"),
    "star_of_a_rating": ("**5* hotel**", "5* hotel"),
    "star_of_a_pattern": ("*.txt and a*", "*.txt and a*"),
    "numbers": ("003. a\n1. b", "003. a\n1. b"),
    "definition_without_use": ("[a]: b", "[a]: b"),
    "address": ("https://x.org/*a*", "https://x.org/*a*"),
    "address_not_encoded": ("[a](https://x.org/ä b)", "[a](https://x.org/ä b)"),
    "tags": ("<b>a</b> and 1<br>2", "a and 1\n2"),
    "whole_fence": ("```\na **b**\n```", "a b"),
}


@pytest.mark.parametrize("name", OURS)
def test_a_rule_of_ours_holds(name: str) -> None:
    markdown, expected = OURS[name]

    assert to_plain(markdown) == expected
