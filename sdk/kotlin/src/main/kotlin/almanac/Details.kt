package almanac

import java.util.Date

/** What a call may say besides. Every method answers the same object, so that calls can be put in a row. */
class Details {
    internal val fields = LinkedHashMap<String, Any?>()
    internal val groups = LinkedHashMap<String, String>()
    internal val context = LinkedHashMap<String, Any?>()
    internal val properties = LinkedHashMap<String, Any?>()
    internal var purpose = "analytics"

    /** The signed-in person. */
    fun userId(id: Any?) = put("user_id", id)

    /** Somebody who is not signed in. */
    fun anonymousId(id: Any?) = put("anonymous_id", id)

    fun sessionId(id: Any?) = put("session_id", id)

    /** The id of the event, which makes sending it again harmless; without it, a random one. */
    fun id(id: Any?) = put("id", id)

    /** When it happened; without it, now. */
    fun time(time: Date) = put("time", Times.iso(time.time))

    /** When it happened, in ISO 8601. */
    fun time(time: String) = put("time", time)

    /** The time comes from elsewhere: it is not corrected when this machine's clock is wrong. */
    fun keepTime() = apply { fields["keep_time"] = true }

    fun url(url: String) = put("url", url)

    fun title(title: String) = put("title", title)

    fun referrer(referrer: String) = put("referrer", referrer)

    fun screen(screen: String) = put("screen", screen)

    /** Whose event it is besides: `group("company", "acme")`. */
    fun group(type: String, key: Any) = apply { groups[type] = key.toString() }

    fun context(values: Map<String, Any?>) = apply { context.putAll(values) }

    /** An amount in a currency (ISO 4217). */
    fun revenue(amount: Number, currency: String) = apply {
        properties["revenue"] = amount
        properties["currency"] = currency
    }

    /** What it is recorded for; consent is asked by purpose. "analytics" without it. */
    fun purpose(purpose: String) = apply { this.purpose = purpose }

    private fun put(name: String, value: Any?) = apply { value?.toString()?.takeIf { it.isNotEmpty() }?.let { fields[name] = it } }
}
