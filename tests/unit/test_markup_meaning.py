"""Rendering changes no meaning: what an answer says reaches the person on every channel, class by class."""

from __future__ import annotations

import pytest

from bots.channels import console, instagram, messenger, whatsapp

RENDERERS = {"whatsapp": whatsapp.render, "messenger": messenger.render, "instagram": instagram.render, "console": console.render}

#: Texts that arrive as they are, on every channel.
UNCHANGED = {
    # Signs inside words, sums, sizes, phone codes.
    "size": "The crate measures 60*40*20 cm.",
    "size_twice": "60*40*20 cm or 80*60*40 cm",
    "sum": "7*3*12 = 252 and 5 * 3 * 2 = 30",
    "power": "2**3**2 is 512, and x**2**y",
    "power_of_letters": "a**b**c and a*b*c",
    "formula": "f(x)*g(x)*h(x) = 2*(3+4)*5 = (a+b)**(c)**d",
    "letters_and_digits": "5*x = 10 and 3*y = 6",
    "stars_of_hotels": "3* and 4* hotels, none with 5*.",
    "stars_and_a_word": "un*frigging*believable, habl*o*, *W*orld",
    "stars_of_amounts": "2*double and 1*single, 1* x",
    "veiled": "p**s**d, f**k, ****1234 and **** 5678",
    "codes": "Dial *100*23# or **21*+34600111222# or *#06# or ##002# or *#*#4636#*#* now.",
    "code_with_letters": "Send *123*PIN# to us.",
    "code_without_end": "*31#600123456 hides it, *67 shows it.",
    "globs": "*.txt and *.csv, **/*.py and **/*.js, /etc/*/x and /var/*/y, localhost/*a*",
    "arguments": "def f(*args, **kwargs) and g(*a, **k)",
    "select": "SELECT * FROM a JOIN b; SELECT * FROM c",
    "names": "snake_case_name, __init__.py, __init__(self) and _private",
    "blanks": "Name: ____ Date: ____.",
    "about": "about ~5 to ~10 min",
    # Addresses, paths.
    "address_init": "The file is https://x.example/src/__init__.py today.",
    "address_folder": "See https://x.example/_new_ first.",
    "address_two": "https://x.example/_a_ and https://x.example/*b*/c*d* and https://x.example/~e~~f",
    "address_query": "https://x.example/?a_b=_c_&copy=2&d=*e*#_f_",
    "address_bare": "casaluna.example/_new_/x_ and www.casaluna.example/*a*/_b_",
    "address_brackets": "(https://x.example/_a_(b)_c), \u201chttps://x.example/_d_\u201d.",
    "address_other": "s3://bucket/_a_/*b* and ftp://x.example/_c_",
    "mail": "first_last@x.example, a_._b_@x.example",
    "path": "src/__init__.py, ~/docs/_x_/a, /tmp/_a_/_b_",
    "path_windows": r"C:\Users\_new_\*x and \\server\_share_\x",
    # Numbers at the beginning of lines.
    "years": "1969. Founded\n1972. First shop\n1981. Online",
    "countdown": "3. three\n2. two\n1. one\n0. go",
    "countdown_in_a_line": "3. 2. 1. Go!",
    "zero": "0. Unplug it\n1. Wait",
    "zeros_in_front": "007. James\n008. Bill",
    "brackets": "1) first\n2) second\n5) fifth",
    "date": "24. Dezember\nist ein Feiertag",
    "date_short": "3. Mai",
    "date_of_numbers": "12. 5. 2026",
    "dates": "1. 1. 2026 Neujahr\n6. 1. 2026 Dreik\u00f6nig",
    "day_and_month": "24. 12.",
    "list_goes_on": "1. a\n\nin between\n\n2. b\n3. c",
    "missing_number": "2. The deposit\n5. The keys",
    "plus": "+ 34 600 111 222",
    # Tags and angle brackets that a text speaks of.
    "tags": "Put the heading between <h1> and </h1>, then close the <table>.",
    "tag_alone": "Use <br> to break a line and <b> for bold.",
    "tags_about_html": "In HTML, <b>bold</b> is bold.",
    "tags_empty": "Write <p>\u2026</p> or <b></b>.",
    "placeholder": "Hello <name>, send <code> to <your number>.",
    "generic": "List<String> and Map<K, V>",
    "smaller": "a < b > c, if a<b and b>c, <3",
    "keys": "Press <Ctrl>+<S>.",
    "tags_written": "To set a word apart, write <i>word</i>. Escribe <b>palabra</b>.",
    "tags_for_a_format": "To make it bold, put <b>text</b> around it. Para negrita: <b>texto</b>",
    "tags_chinese": "粗体用<b>文字</b>。",
    "signs_between_signs": "x**=** 5, p**-** q, 2**.**5",
    "code_to_fill_in": "Dial *21*<number># or *21*[PIN]# or **61*(name)#.",
    "face": ">_< sorry!",
    "faces": "^_^ thanks >_< sorry and __init__.py ^_^",
    "formula_and_a_star": "f(x)*2 and f(y)*3 or :*",
    "more_than": ">5 kg\n>18 years",
    # Text that only looks like markup.
    "latex": r"$x_1$, $${x}_{1}_{2}$$, \alpha and \frac{1}{2}",
    "ampersand": "AT&T, R&D; a &copy b",
    "definition": "[WiFi]: guest-network\n[Password]: xyz",
    "definition_in_text": "Access:\n[\n[WiFi]: guest",
    "brackets_square": "[x] and [ ] and a[1][2]",
    "hash": "#1 choice, C# and #tag",
    "empty_lines": "a\n\n\n  b\n   c  d",
}


@pytest.mark.parametrize("channel", RENDERERS)
@pytest.mark.parametrize("name", UNCHANGED)
def test_text_arrives_as_it_is(name: str, channel: str) -> None:
    assert RENDERERS[channel](UNCHANGED[name]) == (UNCHANGED[name],)


#: Markdown, then what WhatsApp gets, then the channels without formats; once where both are the same.
RENDERED = {
    # No raw sign beside punctuation; bold where the platform shows it, else plain.
    "bold_label_chinese": ("**地址：**北京路8号，**电话：**见下。", "地址：北京路8号，电话：见下。"),
    "bold_quote_chinese": ("他说**“你好”**。**“再见”**是", "他说“你好”。“再见”是"),
    "bold_brackets_chinese": ("共**（3个）**，这是**重要**的", "共（3个），这是重要的"),
    "bold_korean": ("**배송비(국내)**는 무료, **'확인'**을", "배송비(국내)는 무료, '확인'을"),
    "bold_japanese": ("**「こんにちは」**と言う", "「こんにちは」と言う"),
    "bold_thai": ("ราคา**100**บาท", "ราคา100บาท"),
    "bold_label": ("**Total:**45 EUR, **IVA:**9 EUR", "Total:45 EUR, IVA:9 EUR"),
    "bold_label_german": ("**Hinweis:**bitte **(neu)**Produkt **100%**ok", "Hinweis:bitte (neu)Produkt 100%ok"),
    "bold_label_spanish": ("**¿Qué?**así **«Hola»**dijo **[2]**dos", "¿Qué?así «Hola»dijo [2]dos"),
    "bold_label_arabic": ("**السعر:**٤٥", "السعر:٤٥"),
    "bold_and_italic_label": ("***Achtung:***bitte", "Achtung:bitte"),
    "bold_with_a_space": ("**Total: **45 EUR and **IVA: **9 EUR", "Total: 45 EUR and IVA: 9 EUR"),
    "bold_mark": ("Total**:** 45, 20**%** and 9**€**, 地址**：**北京", "Total: 45, 20% and 9€, 地址：北京"),
    "faces_of_stars": ("*-* and *_*", "*\u2060-* and *\u2060_*", "*-* and *_*"),
    "bold_beside_signs": ("**50€**/Nacht, **a**,**b**", "*50€*/Nacht, *a*,*b*", "50€/Nacht, a,b"),
    "bold_in_words": ("ge**gang**en, habl**o**, **W**orld", "gegangen, hablo, World"),
    "bold_rating": ("**5* hotel** near", "5* hotel near"),
    # A sign is never written at an address.
    "bold_address": ("Pay at **https://x.example/i/77** until Monday.", "Pay at https://x.example/i/77 until Monday."),
    "bold_address_in_words": (
        "**Pay at https://x.example/7 today**",
        "*Pay at* https://x.example/7 *today*",
        "Pay at https://x.example/7 today",
    ),
    "bold_link": ("**[Pay](https://x.example/a)**", "*Pay* (https://x.example/a)", "Pay (https://x.example/a)"),
    "bold_addresses": (
        "**(https://x.example)**, **a@x.example**, ***x.example/y***, **x.example**",
        "(https://x.example), a@x.example, x.example/y, x.example",
    ),
    "italic_address": ("_https://x.example/a_b_, *https://x.example/c*.", "https://x.example/a_b, https://x.example/c."),
    "italic_before_address": ("_see https://x.example/_y_ now_", "see https://x.example/_y_ now"),
    "bold_code": ("Dial **\\*100\\*23#** or ***100*23#**.", "Dial *100*23# or *100*23#."),
    "heading_address": ("## https://x.example/z_q_", "https://x.example/z_q_"),
    "address_as_link": ("[https://x.example/a_b_](https://x.example/a_b_)", "https://x.example/a_b_"),
    "address_escaped": (r"https://x.example/a\_b", "https://x.example/a_b"),
    "autolink": ("<https://x.example/_a_>, <a_b@x.example>", "https://x.example/_a_, a_b@x.example"),
    # The address of a link is never lost, and is what was written.
    "link_www": ("[reserve here](www.x.example/reserve)", "reserve here (www.x.example/reserve)"),
    "link_bare": ("[prices](x.example/prices)", "prices (x.example/prices)"),
    "link_path": ("[menu](/menu) and [m](geo:1,2)", "menu (/menu) and m (geo:1,2)"),
    "link_mail": ("[write](info@x.example), [me](mailto:me@x.example)", "write (info@x.example), me (me@x.example)"),
    "link_phone": ("[+34 600](tel:+34600) or [call](tel:+34600)", "+34 600 or call (+34600)"),
    "link_foreign": ("[x](https://m\u00fcnchen.example/\u00fc_\u00e4)", "x (https://m\u00fcnchen.example/\u00fc_\u00e4)"),
    "link_reference": (
        "[text][ref], [1]\n\n[ref]: https://x.example/a_b\n[1]: www.y.example",
        "text (https://x.example/a_b), 1 (www.y.example)",
    ),
    "link_html": ('<a href="https://x.example/a_b">here</a>', "here (https://x.example/a_b)"),
    "image": ("![a *cat*](c.png)", "a _cat_ (c.png)", "a cat (c.png)"),
    # It is seen which lines are inside which.
    "list_in_list": ("1. Monday\n   1. Wash\n   2. Iron\n2. Tuesday", "1. Monday\n   1. Wash\n   2. Iron\n2. Tuesday"),
    "list_two_spaces": ("1. Monday\n  1. Wash\n  2. Iron\n2. Tuesday", "1. Monday\n   1. Wash\n   2. Iron\n2. Tuesday"),
    "list_four_spaces": ("- a\n    1. b\n        - c", "- a\n  1. b\n     ▪ c", "• a\n  1. b\n     ▪ c"),
    "list_eight_spaces": ("- a\n        - b\n- c", "- a\n  ◦ b\n- c", "• a\n  ◦ b\n• c"),
    "list_wide_number": ("10. a\n   - b\n11. c", "10. a\n    ◦ b\n11. c"),
    "list_loose": ("1. a\n\n  - b\n\n2. c", "1. a\n   ◦ b\n2. c"),
    "list_of_right_aligned_numbers": (" 8. a\n 9. b\n10. c", "8. a\n9. b\n10. c"),
    "list_in_code": ("So:\n\n```\n- a\n    - b\n```", "So:\n\n```\n- a\n    - b\n```", "So:\n\n- a\n    - b"),
    "lists_mixed": ("1. a\n   - x\n     1. y\n   - z\n2. b", "1. a\n   ◦ x\n     1. y\n   ◦ z\n2. b"),
    "lists_three": ("- a\n  - b\n    - c\n  - d\n- e", "- a\n  ◦ b\n    ▪ c\n  ◦ d\n- e", "• a\n  ◦ b\n    ▪ c\n  ◦ d\n• e"),
    "list_paragraph": ("1. a\n   - b\n\n     more\n2. c", "1. a\n   ◦ b\n   more\n2. c"),
    "list_code": ("- a\n  - b\n\n    ```\n    x\n      y\n    ```", "- a\n  ◦ b\n```\nx\n  y\n```", "• a\n  ◦ b\nx\n  y"),
    "quote_code": ("> ```\n> a*b*\n> ```", "> ```\n> a*b*\n> ```", '"a*b*"'),
    "quote_number": ("> 18 years\n> 21 with a car", ">\u2060 18 years\n>\u2060 21 with a car", "> 18 years\n> 21 with a car"),
    # Tags that format go; what carries meaning stays.
    "tags_of_format": ("<b>bold</b>, <span style='x'>b</span><br>c", "bold, b\nc"),
    "tags_raised": ("H<sub>2</sub>O, x<sup>2</sup>, 10<sup>th</sup>", "H₂O, x², 10th"),
    "tags_struck": ("<del>80 EUR</del> 55 EUR", "~80 EUR~ 55 EUR", "~~80 EUR~~ 55 EUR"),
    "tags_of_blocks": ("Take this:\n\n<div class='a'>\n<p>Hello</p>\n</div>", "Take this:\n\n<div class='a'>\n<p>Hello</p>\n</div>"),
    "tags_of_a_day": ("Guten Tag,<br>bis <b>morgen</b>!", "Guten Tag,\nbis morgen!"),
    "tags_about": ("A bold word has a tag:\n\n<b>word</b>", "A bold word has a tag:\n\n<b>word</b>"),
    "tags_in_code": ("`<b>` is like <b>this</b>", "`<b>` is like <b>this</b>", "<b> is like <b>this</b>"),
    "tags_escaped": (r"Write &lt;br&gt; or \<b\>x</b>", "Write <br> or <b>x</b>"),
    "tag_in_a_table": ("| Tag | Use |\n|---|---|\n| <br> | a longer line that breaks |", "Tag: Use\n<br>: a longer line that breaks"),
    # An old price does not read as a price.
    "struck": ("~~80 EUR~~ **55 EUR**", "~80 EUR~ *55 EUR*", "~~80 EUR~~ 55 EUR"),
    "struck_beside_a_digit": ("~~80~~55 EUR", "~~80~~55 EUR"),
    "struck_address": ("~~https://x.example/a~~", "~ https://x.example/a ~", "~~ https://x.example/a ~~"),
    "struck_beside_about": ("~5 EUR, not ~~8 EUR~~", "~\u20605 EUR, not ~8 EUR~", "~5 EUR, not ~~8 EUR~~"),
    # A literal sign never becomes a format, and what people copy has nothing invisible in it.
    "literal_and_bold": ("from 50 EUR*, **today**", "from 50 EUR*, today"),
    "literal_escaped": (r"\*not\* \_it\_", "*\u2060not* _\u2060it_", "*not* _it_"),
    "literal_number": (r"\*100\* and \_a.b\_", "*100* and _a.b_"),
    "literal_ticks": ("a ``` b", "a `\u2060`\u2060` b", "a ``` b"),
    # An answer in a fence is what is in the fence.
    "wrapped": ("```markdown\n**Soup** is *4 euros*.\n```", "*Soup* is _4 euros_.", "Soup is 4 euros."),
    "wrapped_md": ("```md\n- a\n- b\n```", "- a\n- b", "• a\n• b"),
    "wrapped_text": ("```text\nHi *you*\n```", "Hi _you_", "Hi you"),
    "wrapped_plainly": ("```\nHello, it is **5 euros**.\n```", "Hello, it is *5 euros*.", "Hello, it is 5 euros."),
    "wrapped_tildes": ("~~~\nHello.\n~~~", "Hello."),
    "wrapped_not_closed": ("```markdown\n**Soup**", "*Soup*", "Soup"),
    "wrapped_with_code": (
        "```md\n# T\n```python\nx=2**3**2\n```\nmore\n```",
        "*T*\n\n```\nx=2**3**2\n```\n\nmore",
        "T\n\nx=2**3**2\n\nmore",
    ),
    "not_wrapped_code": ("```python\nx=2**3**2\n```", "```\nx=2**3**2\n```", "x=2**3**2"),
    "not_wrapped_unnamed_code": ("```\nfor i in x:\n    f(i*2*3)\n```", "```\nfor i in x:\n    f(i*2*3)\n```", "for i in x:\n    f(i*2*3)"),
    "not_wrapped_two": ("```text\na_b\n```\nc\n```\nd\n```", "```\na_b\n```\n\nc\n\n```\nd\n```", "a_b\n\nc\n\nd"),
    "not_wrapped_begun": ("So:\n\n```md\n**a**\n```", "So:\n\n```\n**a**\n```", "So:\n\n**a**"),
}


@pytest.mark.parametrize("name", RENDERED)
def test_markdown_keeps_its_meaning(name: str) -> None:
    markdown, *expected = RENDERED[name]

    assert whatsapp.render(markdown) == (expected[0],)
    for channel in (messenger, instagram, console):
        assert channel.render(markdown) == (expected[-1],)


@pytest.mark.parametrize("sign", ["**", "*", "~~", "***"])
def test_a_format_that_is_cut_is_closed_and_opened_again(sign: str) -> None:
    words = "Some words of one sentence. " * 300

    for channel in (whatsapp, messenger, instagram):
        parts = channel.render(f"{sign}{words.strip()}{sign}")

        assert len(parts) > 1
        assert " ".join(part.strip("*_~") for part in parts) == words.strip()
        assert all(part[: len(part) - len(part.lstrip("*_~"))] == part[len(part.rstrip("*_~")) :][::-1] for part in parts)


def test_a_format_ends_in_the_part_in_which_its_last_word_is() -> None:
    parts = whatsapp.render("x" * 4_000 + " **" + "word " * 10 + "end.** " + "y" * 90)

    assert len(parts) == 2
    assert parts[0].endswith("end.*")
    assert parts[1] == "y" * 90


def test_a_list_that_is_cut_keeps_its_indentation() -> None:
    answer = "- a\n" + "\n".join(f"  - item {number} of a list inside a list" for number in range(200))

    parts = messenger.render(answer)

    assert len(parts) > 1
    assert all(line == "• a" or line.startswith("  ◦ item") for part in parts for line in part.split("\n"))


def test_what_is_nested_deeper_than_the_parser_reads_is_not_lost() -> None:
    assert "word" in whatsapp.render("> " * 60 + "word")[0]
    assert "word" in messenger.render("- " * 60 + "word")[0]
