"""The table of Graph error codes: whom a code concerns, what kind of trouble it is, what operators read about it, and what helps.

A row also decides what a send does next: its error follows from scope and kind. A code with a subcode is looked up before the code alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from bots.channels.graph_code import CodeClass, Table, rows
from bots.domain import ChannelKind, Scope

_HOUR = 3600.0
_MESSAGE, _PERSON, _ACCOUNT, _APP = Scope.MESSAGE, Scope.PERSON, Scope.ACCOUNT, Scope.APP

_GRAPH = "Graph API, error handling"
_CLOUD = "WhatsApp Cloud API, error codes"
_MESSENGER = "Messenger Platform, error codes"
_INSTAGRAM = "Instagram messaging, error codes"
_REPORTS = "public reports of operators"

_NEW_TOKEN = "Create a new access token, enter it on the account's page, then resume the account."  # noqa: S105 - not a secret
_PERMISSIONS = "Check the token's permissions and the app's review, then resume the account."
_UNBLOCK = "Open the account in Meta's Business settings, fix what it asks for, then resume."
_APPEAL = "Read the reason in Meta's Business Support Home, ask for a review there, then resume."
_REGISTER = "Register the number on Meta's page WhatsApp > API Setup, then resume."
_CHECK_ID = "Check the id and the token on the account's page, then resume."
_NONE_LEFT = "You cannot do anything here: this person cannot be reached."
_NOTHING = "You need not do anything."
_AGAIN = "Send it again."
_WAIT = "Wait a few minutes, then send it again."
_WAIT_FOR_PERSON = "Wait until the person writes again."
_OUR_BUG = "This is most likely an error in Chinwag: check the message."
_FILE = "Check the file's type and size."
_TEMPLATE = "Check the template in WhatsApp Manager."
_ROUTING = "Answer there, or make this app the default one in the page's or account's conversation routing."
_IF_ALL = "If only this person is meant, you cannot do anything. If others are refused too, check the token's permissions."

_200_TO_299 = "The access token or the app lacks a permission."

#: On every channel.
GRAPH: Table = {
    **rows(_ACCOUNT, CodeClass.PERMISSION, _GRAPH, _PERMISSIONS, dict.fromkeys(range(200, 300), _200_TO_299)),
    **rows(
        _ACCOUNT,
        CodeClass.AUTH,
        _GRAPH,
        _NEW_TOKEN,
        {
            0: "The platform does not accept the access token.",
            102: "The access token has expired or was revoked.",
            104: "The platform does not accept the proof that the app secret belongs to the access token.",
            190: "The access token has expired or was revoked.",
            (190, 458): "The app was removed by the person who connected it.",
            (190, 459): "The person who connected the account has to sign in at Facebook first.",
            (190, 460): "The access token ended because its owner's password was changed.",
            (190, 463): "The access token has expired.",
            (190, 464): "The person who connected the account has to confirm it at Facebook first.",
            (190, 467): "The access token was revoked.",
            (190, 492): "The person who connected the page no longer has a role on it.",
            2500: "The request had no access token that the platform accepts.",
        },
    ),
    **rows(
        _ACCOUNT,
        CodeClass.PERMISSION,
        _GRAPH,
        _PERMISSIONS,
        {
            3: "The app is not allowed to do this.",
            5: "The platform does not accept calls from this server's address.",
            10: "The app lacks a permission.",
        },
    ),
    **rows(
        _ACCOUNT, CodeClass.BLOCKED, _GRAPH, _APPEAL, {368: "The platform has blocked the account for a while because of its policies."}
    ),
    **rows(_ACCOUNT, CodeClass.SETUP, _GRAPH, _CHECK_ID, {33: "The account's id cannot be reached with this token."}),
    **rows(_APP, CodeClass.THROTTLE, _GRAPH, _WAIT, dict.fromkeys((4, 341, 613), "The app calls the platform too often.")),
    **rows(_ACCOUNT, CodeClass.THROTTLE, _GRAPH, _WAIT, dict.fromkeys((17, 32), "The account calls the platform too often.")),
    **rows(_MESSAGE, CodeClass.SERVICE, _GRAPH, _AGAIN, {1: "The platform had an internal error.", 2: "The platform was not available."}),
    **rows(_MESSAGE, CodeClass.PARAMETER, _GRAPH, _OUR_BUG, {100: "The platform says that the message itself is not valid."}),
}

WHATSAPP: Table = {
    **GRAPH,
    **rows(_ACCOUNT, CodeClass.PERMISSION, _CLOUD, _NEW_TOKEN, {131005: "The access token lacks a permission."}),
    **rows(_ACCOUNT, CodeClass.SETUP, _REPORTS, _CHECK_ID, {(100, 33): "The number's id cannot be reached with this token."}),
    **rows(_ACCOUNT, CodeClass.BLOCKED, _CLOUD, _APPEAL, {131031: "The platform has locked the account."}),
    **rows(_ACCOUNT, CodeClass.SETUP, _CLOUD, _UNBLOCK, {131037: "The number's display name is not approved yet."}),
    **rows(
        _ACCOUNT,
        CodeClass.SETUP,
        _CLOUD,
        "Settle it under Billing in Meta's Business settings, then resume.",
        {131042: "There is a problem with the account's payment method."},
    ),
    **rows(
        _ACCOUNT,
        CodeClass.SETUP,
        _CLOUD,
        _REGISTER,
        {
            131045: "The number's registration is not valid.",
            133005: "The number's two-step PIN is wrong.",
            133006: "The number has to be verified again.",
            133010: "The number is not registered.",
        },
    ),
    **rows(
        _ACCOUNT,
        CodeClass.THROTTLE,
        _CLOUD,
        "Wait a minute, then send it again.",
        {
            80007: "The account calls the platform too often.",
            80008: "The account calls the platform too often.",
            130429: "The account sends more per second than the platform allows.",
        },
    ),
    **rows(
        _ACCOUNT,
        CodeClass.THROTTLE,
        _CLOUD,
        "You need not do anything: sending resumes by itself. Find out why people block or report the number.",
        {131048: "Too many messages from this number were marked as spam, so the platform slows it down."},
        wait_s=_HOUR,
    ),
    **rows(
        _ACCOUNT,
        CodeClass.THROTTLE,
        _CLOUD,
        _NOTHING,
        {131064: "The account has used up its messaging limit for today."},
        wait_s=24 * _HOUR,
    ),
    **rows(
        _ACCOUNT, CodeClass.THROTTLE, _CLOUD, _NOTHING, {133016: "The number was registered too often in three days."}, wait_s=72 * _HOUR
    ),
    **rows(
        _PERSON,
        CodeClass.THROTTLE,
        _CLOUD,
        _WAIT,
        dict.fromkeys((131056, 131208), "Too many messages to this person in a short time."),
    ),
    **rows(
        _MESSAGE,
        CodeClass.SERVICE,
        _CLOUD,
        _AGAIN,
        {
            131000: "The platform had an internal error.",
            131016: "The platform was not available.",
            133004: "The platform was not available.",
        },
    ),
    **rows(_MESSAGE, CodeClass.SERVICE, _CLOUD, _AGAIN, {131057: "The platform is changing the number's settings."}, wait_s=60.0),
    **rows(
        _PERSON,
        CodeClass.WINDOW,
        _CLOUD,
        _WAIT_FOR_PERSON,
        {131047: "The person has not written for 24 hours. After that, the platform accepts no free text."},
        is_certain=True,
    ),
    **rows(
        _PERSON,
        CodeClass.RECIPIENT,
        _CLOUD,
        _NONE_LEFT,
        {131026: "The message cannot be delivered: the person has no WhatsApp, an outdated app, or has not accepted its terms."},
    ),
    **rows(
        _PERSON,
        CodeClass.RECIPIENT,
        _CLOUD,
        "While the number is a test number, add the person to its list on Meta's page WhatsApp > API Setup.",
        {131030: "This is a test number, and the person is not on its list of recipients."},
    ),
    **rows(
        _PERSON,
        CodeClass.RECIPIENT,
        _CLOUD,
        _NONE_LEFT,
        {
            130472: "The person is part of an experiment of the platform, which held the message back.",
            130497: "The account may not write to people in this country.",
            131050: "The person does not want such messages.",
            137000: "The person's identity has changed since the last message.",
        },
        is_certain=True,
    ),
    **rows(
        _PERSON,
        CodeClass.RECIPIENT,
        _CLOUD,
        "Wait a day before writing again.",
        {131049: "The platform held the message back to protect the person from too many messages."},
        is_certain=True,
    ),
    **rows(
        _MESSAGE,
        CodeClass.PARAMETER,
        _CLOUD,
        _OUR_BUG,
        {
            131008: "The platform says that the message lacks something.",
            131009: "The platform says that a value of the message is not valid.",
            131021: "The message was addressed to the account itself.",
            131051: "The platform does not know this type of message.",
            131062: "This type of message needs the person's phone number.",
            135000: "The platform could not use the message.",
        },
    ),
    **rows(
        _MESSAGE,
        CodeClass.MEDIA,
        _CLOUD,
        _FILE,
        {131052: "The platform could not fetch the person's file.", 131053: "The platform could not use the attached file."},
        is_certain=True,
    ),
    **rows(
        _MESSAGE,
        CodeClass.TEMPLATE,
        _CLOUD,
        _TEMPLATE,
        {
            **dict.fromkeys((132000, 132005, 132007, 132008, 132012, 132018), "The values do not fit the template."),
            132001: "There is no such template, or it is not approved.",
            **dict.fromkeys((132015, 132016), "The template is paused or disabled."),
            **dict.fromkeys((132068, 132069), "The flow is blocked, or was sent too often."),
        },
        is_certain=True,
    ),
    **rows(
        _MESSAGE,
        CodeClass.GROUP,
        _CLOUD,
        _NOTHING,
        dict.fromkeys((131020, 131041, 131201, 131207), "The group cannot be written to."),
        is_certain=True,
    ),
}

_CLOSED = "The person has not written for 24 hours. After that, the platform accepts no free text."
_OTHER_APP = "Another app has this conversation."
_LEFT = "The person cannot be reached: they blocked the page, left, or were deactivated."

MESSENGER: Table = {
    **GRAPH,
    # Mostly one person; the page's own permissions have the same two codes. Which it is, only several people in a row show.
    **rows(_PERSON, CodeClass.RECIPIENT, _MESSENGER, _IF_ALL, {10: "The platform does not let the page write to this person."}),
    **rows(
        _PERSON,
        CodeClass.RECIPIENT,
        _REPORTS,
        _IF_ALL,
        {
            200: "This person does not receive messages of the page, or the page lacks a permission.",
            (200, 1545041): "This person does not receive messages of the page.",
            (200, 2018021): "This person does not receive messages of the page.",
            (10, 2018108): "This person cannot be written to.",
        },
    ),
    **rows(
        _PERSON,
        CodeClass.RECIPIENT,
        _MESSENGER,
        "Switch the app to live mode, or make the person a tester.",
        {(200, 2018028): "The app is in development mode, and this person is no tester."},
    ),
    **rows(_PERSON, CodeClass.WINDOW, _MESSENGER, _WAIT_FOR_PERSON, {(10, 2018278): _CLOSED}, is_certain=True),
    **rows(_PERSON, CodeClass.WINDOW, _MESSENGER, _WAIT_FOR_PERSON, {(10, 2018065): _CLOSED}),
    **rows(_PERSON, CodeClass.THREAD, _MESSENGER, _ROUTING, {(10, 2018300): _OTHER_APP}),
    **rows(
        _PERSON,
        CodeClass.THREAD,
        _MESSENGER,
        _NOTHING,
        {10900: "This message has been answered already.", 10903: "This conversation cannot be answered."},
    ),
    **rows(_PERSON, CodeClass.RECIPIENT, _MESSENGER, _NONE_LEFT, {551: _LEFT, (100, 2018001): "The page does not know this person."}),
    **rows(_PERSON, CodeClass.RECIPIENT, _REPORTS, _IF_ALL, {(100, 33): "The platform does not show this person to the page."}),
    **rows(
        _ACCOUNT, CodeClass.PERMISSION, _MESSENGER, _PERMISSIONS, {230: "The token lacks the permission to send messages for the page."}
    ),
    **rows(_ACCOUNT, CodeClass.SETUP, _MESSENGER, _UNBLOCK, {10904: "The page has messages switched off."}),
    **rows(_ACCOUNT, CodeClass.BLOCKED, _MESSENGER, _APPEAL, {2022: "The platform has switched off the page's messages for a while."}),
    **rows(
        _ACCOUNT,
        CodeClass.THROTTLE,
        _MESSENGER,
        _WAIT,
        dict.fromkeys(((613, 1893015), 80001, 80002, 80006), "The account calls the platform too often."),
    ),
    **rows(_MESSAGE, CodeClass.SERVICE, _MESSENGER, _AGAIN, {1200: "The platform could not send the message just now."}),
}

INSTAGRAM: Table = {
    **MESSENGER,
    **rows(
        _PERSON,
        CodeClass.WINDOW,
        _INSTAGRAM,
        _WAIT_FOR_PERSON,
        dict.fromkeys(((10, 2534022), (100, 2534022), (551, 1545041)), _CLOSED),
        is_certain=True,
    ),
    **rows(_PERSON, CodeClass.THREAD, _REPORTS, _ROUTING, dict.fromkeys(((10, 2534037), (100, 2534037)), _OTHER_APP)),
    **rows(_PERSON, CodeClass.RECIPIENT, _REPORTS, _IF_ALL, {(100, 2534014): "The account does not know this person."}),
}

TABLES: Mapping[ChannelKind, Table] = {
    ChannelKind.WHATSAPP: WHATSAPP,
    ChannelKind.MESSENGER: MESSENGER,
    ChannelKind.INSTAGRAM: INSTAGRAM,
    ChannelKind.CONSOLE: GRAPH,
}
