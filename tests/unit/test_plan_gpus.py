"""GPUs are read from short words, and what cannot be GPUs is refused with what would do."""

from __future__ import annotations

import pytest

from inference.plan import CannotPlan, read_context, read_gpus
from inference.plan.gpus import kinds


@pytest.mark.parametrize(
    ("text", "hosts", "per_host", "kind"),
    [
        ("h100", 1, 1, "h100"),
        ("8xH100", 1, 8, "h100"),
        (" 8 x h200 ", 1, 8, "h200"),
        ("8*B200", 1, 8, "b200"),
        ("3xL40S", 1, 3, "l40s"),
        ("16xH100", 2, 8, "h100"),
        ("24xH200", 3, 8, "h200"),
        ("2x8xH100", 2, 8, "h100"),
        ("2x4xH100", 2, 4, "h100"),
        ("2xRTX-PRO-6000", 1, 2, "rtx-pro-6000"),
        ("b300", 1, 1, "b300"),
        ("4xA100", 1, 4, "a100"),
    ],
)
def test_gpus_are_read_from_a_number_and_a_kind(text: str, hosts: int, per_host: int, kind: str) -> None:
    gpus = read_gpus(text)

    assert (hosts, per_host, kind) == (gpus.hosts, gpus.per_host, gpus.kind.key)
    # What a plan prints leads back to it.
    assert read_gpus(gpus.text) == gpus


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "write 8xH100"),
        ("8", "write 8xH100"),
        ("8x", "write 8xH100"),
        ("xH100", "write 8xH100"),
        ("-1xH100", "write 8xH100"),
        ("8.5xH100", "write 8xH100"),
        ("8xH900", "the kinds are a100, h100, h200"),
        ("8xH100+8xH200", "write 8xH100"),
        ("2x2x2xH100", "write 8xH100"),
        ("８xH100", "write 8xH100"),
        ("0xH100", "1 to 64 hosts"),
        ("2x0xH100", "1 to 8 GPUs each"),
        ("2x9xH100", "1 to 8 GPUs each"),
        ("12xH100", "so 8 or 16, not 12"),
        ("8000xH100", "1 to 64 hosts"),
        ("99999999999999999999xH100", "write 8xH100"),
    ],
)
def test_impossible_gpus_are_refused_with_what_would_do(text: str, said: str) -> None:
    with pytest.raises(CannotPlan, match=r"^[^\n]+$") as refused:
        read_gpus(text)

    assert said in str(refused.value)


def test_every_kind_says_where_its_numbers_are_from() -> None:
    assert {"a100", "h100", "h200", "b200", "b300", "l40s"} <= set(kinds())
    assert [key for key, kind in kinds().items() if not (kind.source and kind.price_source)] == []


@pytest.mark.parametrize(
    ("text", "tokens"), [("32k", 32_768), ("1M", 1_048_576), ("10m", 10_485_760), ("40000", 40_000), (" 160K ", 163_840), ("1", 1)]
)
def test_a_context_is_read_with_its_unit(text: str, tokens: int) -> None:
    assert tokens == read_context(text)


@pytest.mark.parametrize("text", ["", "k", "32kb", "-1", "0", "0k", "1.5M", "many", "9999999999"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(CannotPlan, match="32k, 128k, 1M or 40000"):
        read_context(text)
