"""The test's hand on the fake platform and on the scripted model, over their control addresses."""

from __future__ import annotations

from typing import Any

import httpx


class _Controlled:
    """A fake server of a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        # Its own client: the one of a test may be cut off on purpose.
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False, verify=False)

    def close(self) -> None:
        """Close the connections to it."""
        self._http.close()

    def _get(self, path: str, **query: Any) -> Any:
        return self._http.get(path, params=query).raise_for_status().json()

    def _post(self, path: str, body: Any) -> Any:
        answer = self._http.post(path, json=body)
        if answer.is_error:
            raise AssertionError(f"{path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None


class Platform(_Controlled):
    """The fake platform."""

    def serve(self, *, phone_number_id: str, url: str, app_secret: str, access_token: str, **options: Any) -> None:
        """Tell it where the webhooks of a number go, and what the number's secrets are."""
        body = {"phone_number_id": phone_number_id, "url": url, "app_secret": app_secret, "access_token": access_token}
        self._post("/_practice/webhook", body | options)

    def serve_page(self, *, channel: str, account_id: str, url: str, app_secret: str, access_token: str, **options: Any) -> None:
        """Tell it the same of a Messenger page or an Instagram account (chinwag/practice/pages.py)."""
        body = {"channel": channel, "account_id": account_id, "url": url, "app_secret": app_secret, "access_token": access_token}
        self._post("/_practice/accounts", body | options)

    def world(self) -> dict[str, dict[str, Any]]:
        """Per channel an account that nobody has connected yet."""
        return self._get("/_practice/world")

    def person_writes(self, **message: Any) -> dict[str, Any]:
        """Let a practice person write to an account (`account` or `account_id`), wherever its webhooks go."""
        return self._post("/_practice/person", {"wait_s": 8} | message)

    def mangle(self, account_id: str, how: str | None) -> None:
        """Let an account's webhooks go wrong on their way from now on, or no more."""
        self._post("/_practice/mangle", {"account_id": account_id, "how": how})

    def script(self, *faults: Any, **match: Any) -> None:
        """Treat the next matching requests like this, one fault each."""
        self._post("/_practice/script", {"match": match, "faults": list(faults)})

    def unscript(self) -> None:
        """Let no fault happen any more."""
        self._post("/_practice/script", {"clear": True})

    def release(self) -> None:
        """Accept the requests that are held."""
        self._post("/_practice/release", {"accept": True})

    def log(self, after: int = 0) -> list[dict[str, Any]]:
        """All requests to its messages edge so far."""
        return self._get("/_practice/log", after=after)["entries"]

    def texts_to(self, number: str) -> list[str]:
        """What a person has received, in order."""
        return [
            entry["text"]
            for entry in self.log()
            if entry["kind"] == "message" and entry.get("external_id") and str(entry.get("to") or "").lstrip("+") == number
        ]


class Model(_Controlled):
    """The scripted model server."""

    def script(self, **behaviour: Any) -> None:
        """Answer like this from now on; with `match` or `times`, as an exception."""
        self._post("/_script", behaviour)

    def log(self) -> list[dict[str, Any]]:
        """The requests so far, with their prompts."""
        return self._get("/_log")["requests"]

    def reset(self) -> None:
        """Forget every behaviour: answer as at the start."""
        self._http.delete("/_script").raise_for_status()

    def forget(self) -> None:
        """Empty the log of requests."""
        self._http.delete("/_log").raise_for_status()

    def clear_log(self) -> None:
        """Forget the requests so far."""
        self._http.delete("/_log").raise_for_status()

    def release(self) -> None:
        """Let the held requests go on."""
        self._post("/_release", {})

    def held(self) -> int:
        """How many requests are held."""
        return self._get("/_log", after=10**9)["held"]
