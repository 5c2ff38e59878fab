"""Traffic channels, by the default channel groups that Google Analytics 4 documents, with a group of its own for AI assistants.

Conventions where peers disagree: nothing known at all is Direct; a referrer that is in no list is Referral; a click id makes a visit paid
only when it fits the source (gclid with Google or YouTube, msclkid with Bing or Yahoo), and fbclid alone never does, because it marks
every link that leaves Facebook. A payment provider is no shop: its visitors were here before.
"""

from __future__ import annotations

from typing import Final

from almanac.core.sql import Sql, sql


def _words(text: str) -> list[str]:
    return text.split()


_SEARCH: Final = _words(
    "google bing duckduckgo yahoo yandex baidu ecosia sogou qwant startpage brave naver seznam ask aol daum rambler so haosou presearch"
    " swisscows mojeek you kagi"
)
_SOCIAL: Final = _words(
    "facebook fb instagram ig twitter x t linkedin lnkd tiktok pinterest reddit snapchat threads bluesky bsky mastodon vk vkontakte ok "
    "weibo telegram whatsapp wa discord slack teams tumblr quora medium github stackoverflow hackernews ycombinator xing line kakaotalk "
    "wechat messenger meetup nextdoor flipboard producthunt substack"
)
_VIDEO: Final = _words("youtube youtu vimeo twitch dailymotion netflix hulu bilibili rumble wistia disneyplus odysee")
_SHOPPING: Final = _words("shopify amazon ebay etsy walmart aliexpress alibaba temu shein mercadolibre rakuten zalando otto target wish")
_MAIL: Final = _words("gmail mail outlook protonmail proton email e-mail e_mail newsletter mailchimp klaviyo hotmail superhuman")
_AI: Final = _words("chatgpt openai perplexity claude gemini copilot phind deepseek grok mistral poe meta-ai")

_KINDS: Final[dict[str, str]] = {
    **dict.fromkeys(_SEARCH, "search"),
    **dict.fromkeys(_SOCIAL, "social"),
    **dict.fromkeys(_VIDEO, "video"),
    **dict.fromkeys(_SHOPPING, "shopping"),
    **dict.fromkeys(_MAIL, "mail"),
    **dict.fromkeys(_AI, "ai"),
}

_CHANNEL = """
multiIf(
    $source = '' AND $medium = '' AND $campaign = '' AND $referrer = ''
        AND position($url, 'clid=') = 0 AND position($url, 'gad_source=') = 0,
        'Direct',
    arrayElement(
        arrayMap(
            (kind, by, paid, words) -> multiIf(
                position(words, 'cross-network') > 0, 'Cross-network',
                paid AND (kind = 'shopping' OR match(words, '(^|[^a-df-z])shop|shopping')), 'Paid Shopping',
                paid AND kind = 'search', 'Paid Search',
                paid AND kind = 'social', 'Paid Social',
                paid AND kind = 'video', 'Paid Video',
                by IN ('display', 'banner', 'expandable', 'interstitial', 'cpm'), 'Display',
                paid, 'Paid Other',
                kind = 'ai', 'AI Assistants',
                kind = 'shopping' OR match(words, '(^|[^a-df-z])shop|shopping'), 'Organic Shopping',
                kind = 'social' OR by IN ('social', 'social-network', 'social-media', 'sm', 'social network', 'social media'),
                    'Organic Social',
                kind = 'video' OR position(by, 'video') > 0, 'Organic Video',
                kind = 'mail' OR by IN ('email', 'e-mail', 'e_mail', 'e mail'), 'Email',
                kind = 'search' OR by = 'organic', 'Organic Search',
                by = 'affiliate' OR by = 'affiliates', 'Affiliates',
                by = 'audio', 'Audio',
                by = 'sms' OR lower($source) = 'sms', 'SMS',
                endsWith(by, 'push') OR position(by, 'mobile') > 0 OR position(by, 'notification') > 0 OR lower($source) = 'firebase',
                    'Mobile Push Notifications',
                by IN ('referral', 'app', 'link') OR $referrer != '' OR $source != '', 'Referral',
                $medium != '' OR $campaign != '', 'Unassigned',
                'Direct'
            ),
            [$kind],
            [lower($medium)],
            [
                match(lower($medium), '^(.*cp.*|ppc|pmax|retargeting|remarketing|paid.*)$') AND lower($medium) != 'cpm'
                OR match(lower($source), '[-_ ]ads?$')
                OR position($url, 'gad_source=') > 0
                OR (position($url, 'gclid=') > 0 AND match($referrer, '(^|[.])(google|youtube|googlesyndication|doubleclick)[.]|^$'))
                OR (position($url, 'msclkid=') > 0 AND match($referrer, '(^|[.])(bing|yahoo|msn)[.]|^$'))
            ],
            [lower($campaign)]
        ),
        1
    )
)
"""

# The first label of the source, else of the referring host, that is a known name decides.
_KIND = """
transform(
    arrayFirst(
        label -> label IN {channel_names:Array(String)},
        arrayConcat(
            [lower($source), replaceRegexpOne(lower($source), '[-_ ]ads?$', '')],
            arrayMap(part -> if(part = 'x' OR part = 't', '', part), splitByChar('.', lower($source))),
            multiIf(
                $referrer IN ('x.com', 't.co'), ['twitter'],
                startsWith($referrer, 'mail.') OR startsWith($referrer, 'webmail.'), ['mail'],
                startsWith($referrer, 'gemini.google'), ['gemini'],
                startsWith($referrer, 'copilot.'), ['copilot'],
                arrayFilter(part -> length(part) > 1, splitByChar('.', $referrer))
            )
        )
    ),
    {channel_names:Array(String)},
    {channel_kinds:Array(String)},
    ''
)
"""


def channel(source: Sql, medium: Sql, campaign: Sql, referrer: Sql, url: Sql) -> Sql:
    """An expression: the channel of a visit. `referrer` is the referring host, lower case, '' for none or the site's own."""
    known = {"channel_names": list(_KINDS), "channel_kinds": list(_KINDS.values())}
    kind = sql(_KIND, known, source=source, referrer=referrer)
    return sql(_CHANNEL, source=source, medium=medium, campaign=campaign, referrer=referrer, url=url, kind=kind)
