package almanac

import java.io.File
import java.net.MalformedURLException
import java.net.URL
import java.util.ArrayDeque
import java.util.UUID

/**
 * Sends events of an app to Almanac: one object for as long as the app runs, for Android and every JVM, from Kotlin and Java.
 *
 *     val almanac = Almanac.builder("wk_…", "https://almanac.example.org").folder(filesDir).build()
 *     almanac.track("Ticket Bought", mapOf("seats" to 2), Details().revenue(25, "EUR"))
 *
 * No call waits for the network or the disk, and none throws: what goes wrong is counted ([stats]) and told to the listener. Safe for threads.
 */
class Almanac private constructor(private val options: Builder) {
    private val problems = Problems(options.listener)
    private val spool = options.folder?.let { Files.folder(File(it, "almanac"), options.writeKey) }
    private val outbox = Outbox(options.bounds(), spool, problems)
    private val http = Http(options.writeKey, options.host, options.timeoutMillis, agent(options.server))
    private val sender = Sender(outbox, http, problems, spool != null)
    private val identity = if (options.server) null else Identity(spool?.let { File(it, "identity.json") })
    private var asked: Map<String, Consent>? = options.consents.takeIf { it.isNotEmpty() }
    private val held = ArrayDeque<Pair<String, ByteArray>>() // events that wait for consent, by its purpose; guards `asked` too
    private val atEnd = Thread { close(options.closeMillis) }
    private var closed = false

    init {
        identity?.allowed(state("analytics"))
        if (spool != null && spool.isDirectory) sender.start() // something of an earlier life may wait
        try {
            Runtime.getRuntime().addShutdownHook(atEnd)
        } catch (error: IllegalStateException) { // the process is ending
        }
    }

    /** The id of whoever uses this app without having signed in; "" on a server. */
    val anonymousId: String
        get() = identity?.anonymous ?: ""

    /** Something happened. Every call answers the event's id, "" when it was not taken. */
    @JvmOverloads
    fun track(event: String, properties: Map<String, Any?> = emptyMap(), details: Details = Details()): String =
        take(null, event, mapOf("properties" to properties + details.properties), details)

    /** Somebody looked at a screen. */
    @JvmOverloads
    fun screen(screen: String, properties: Map<String, Any?> = emptyMap(), details: Details = Details()): String =
        take("screen", null, mapOf("properties" to properties, "screen" to screen), details)

    /** Somebody looked at a page. */
    @JvmOverloads
    fun page(url: String, properties: Map<String, Any?> = emptyMap(), details: Details = Details()): String =
        take("page", null, mapOf("properties" to properties, "url" to url), details)

    /** Who uses this app: the anonymous id and this user are one person, and events from now on are this user's. On a server, only this event is. */
    @JvmOverloads
    fun identify(userId: Any, properties: Map<String, Any?> = emptyMap(), once: Map<String, Any?> = emptyMap(), details: Details = Details()): String {
        val user = userId.toString()
        identity?.signedIn(user)
        return take("identify", null, mapOf("user_id" to user, "person" to changes(properties, once)), details)
    }

    /**
     * Sets properties of the person; those of `once` only where they are not; removes those in `unset`. `changes`: operations by their names, such as
     * `mapOf("add" to mapOf("logins" to 1))`; docs/profiles.md has them all.
     */
    @JvmOverloads
    fun profile(
        properties: Map<String, Any?>,
        once: Map<String, Any?> = emptyMap(),
        unset: Collection<String> = emptyList(),
        changes: Map<String, Map<String, Any?>> = emptyMap(),
        details: Details = Details(),
    ): String = take("profile", null, mapOf("person" to changes + changes(properties, once, unset)), details)

    /** Both ids are one person. Two that are both known as users are joined only with `merge`. */
    @JvmOverloads
    fun alias(userId: Any, previousId: Any, merge: Boolean = false, details: Details = Details()): String {
        val own = mapOf("user_id" to userId.toString(), "previous_id" to previousId.toString(), "how" to if (merge) "merge" else "alias")
        return take("alias", null, own, details)
    }

    /** A group such as a company, and its properties; events from now on are also that group's. On a server, only this event is. */
    @JvmOverloads
    fun group(type: String, key: Any, properties: Map<String, Any?> = emptyMap(), details: Details = Details()): String {
        identity?.joined(type, key.toString())
        val own = mapOf("group" to mapOf("type" to type, "key" to key.toString()) + changes(properties, emptyMap()))
        return take("group", null, own, details.group(type, key))
    }

    /** Somebody signed out: a new anonymous id, no user, no groups, a new session. */
    fun reset() {
        identity?.reset()
    }

    /**
     * What is agreed to from now on for a purpose. Granted: events that waited for it are sent, with the times when they happened. Denied: they are forgotten,
     * and for "analytics" so is the anonymous id on the disk.
     */
    fun consent(purpose: String, state: Consent) {
        synchronized(held) {
            asked = asked.orEmpty() + (purpose to state)
            identity?.allowed(state("analytics"))
            val waiting = ArrayList(held)
            held.clear()
            for ((wanted, line) in waiting) {
                when (state(wanted)) {
                    Consent.GRANTED -> put(wanted, line)
                    Consent.PENDING -> held.addLast(wanted to line)
                    Consent.DENIED -> outbox.drop("no_consent", 1)
                }
            }
        }
    }

    /** Waits until the fate of all events that were taken before is known; false when that takes longer. Not for the thread that draws. */
    @JvmOverloads
    fun flush(millis: Long = 10_000): Boolean = outbox.flush(millis)

    /** Sends what it can in so many milliseconds, and ends; what is on the disk is sent by the next start. Happens by itself when a JVM ends. */
    @JvmOverloads
    fun close(millis: Long = options.closeMillis): Stats {
        val first = synchronized(held) { !closed.also { closed = true } }
        if (first) {
            val lost = sender.close(millis)
            identity?.write()
            if (lost > 0) problems.tell("closed", "The client was closed before these events could be sent.", lost, quiet = false)
            try {
                Runtime.getRuntime().removeShutdownHook(atEnd)
            } catch (error: IllegalStateException) { // this is the hook
            }
        }
        return stats()
    }

    /** The books. */
    fun stats(): Stats = outbox.stats(synchronized(held) { held.size })

    private fun take(kind: String?, name: String?, own: Map<String, Any?>, details: Details): String =
        try {
            val item = LinkedHashMap<String, Any?>()
            item["id"] = UUID.randomUUID().toString()
            kind?.let { item["kind"] = it }
            name?.let { item["event"] = it }
            val now = System.currentTimeMillis()
            item["time"] = Times.iso(now)
            item.putAll(own.filterValues { it !is Map<*, *> || it.isNotEmpty() })
            item.putAll(details.fields)
            if (details.groups.isNotEmpty()) item["groups"] = details.groups
            identity?.describe(item, details.groups, now)
            if (options.context.isNotEmpty() || details.context.isNotEmpty()) item["context"] = options.context + details.context
            item["library"] = LIBRARY
            item["is_server"] = options.server
            val line = Json.bytes(item) // now, because the app may change its collections afterwards
            if (record(details.purpose, line)) item["id"].toString() else ""
        } catch (error: Exception) {
            outbox.drop("failed", 1)
            problems.tell("failed", "An event could not be taken: $error", 1)
            ""
        }

    private fun record(purpose: String, line: ByteArray): Boolean = synchronized(held) {
        when (state(purpose)) {
            Consent.GRANTED -> put(purpose, line)
            Consent.PENDING -> {
                if (held.size < MOST_HELD) {
                    held.addLast(purpose to line)
                    true
                } else {
                    outbox.drop("no_consent", 1)
                    false
                }
            }
            Consent.DENIED -> {
                outbox.drop("no_consent", 1)
                false
            }
        }
    }

    private fun put(purpose: String, event: ByteArray): Boolean {
        val flags = asked?.let { said ->
            ",\"flags\":" + Json.text(mapOf("consent" to said.mapValues { it.value.word }, "purpose" to purpose)) + "}"
        }
        val line = if (flags == null) event else event.copyOf(event.size - 1) + flags.toByteArray()
        val reason = if (line.size > LARGEST_EVENT) "too_large".also { outbox.drop(it, 1) } else outbox.put(line)
        sender.start()
        if (reason != null) problems.tell(reason, SAID[reason] ?: reason, 1)
        return reason == null
    }

    /** Nobody asked: granted. Asked for something else: pending. */
    private fun state(purpose: String): Consent = asked.let { if (it == null) Consent.GRANTED else it[purpose] ?: Consent.PENDING }

    private fun changes(set: Map<String, Any?>, once: Map<String, Any?>, unset: Collection<String> = emptyList()): Map<String, Any?> {
        val found = LinkedHashMap<String, Any?>()
        if (set.isNotEmpty()) found["set"] = set
        if (once.isNotEmpty()) found["set_once"] = once
        if (unset.isNotEmpty()) found["unset"] = unset
        return found
    }

    /** How a client is set up. Only [build] throws: `IllegalArgumentException` for a key, an address or a bound that cannot be. */
    class Builder internal constructor(internal val writeKey: String, internal val host: String) {
        internal var folder: File? = null
        internal var listener: ErrorListener? = null
        internal var server = !ANDROID
        internal var timeoutMillis = 15_000
        internal var closeMillis = 5_000L
        internal val consents = HashMap<String, Consent>()
        internal val context = LinkedHashMap<String, Any?>()
        private var batchEvents = 50
        private var flushMillis = 1_000L
        private var queueEvents = 5_000
        private var spoolBytes = 16L shl 20

        /** Where events (and who uses the app) are kept until the server has them: on Android `context.filesDir`. Without it, in memory only. */
        fun folder(folder: File) = apply { this.folder = folder }

        /** Is told what goes wrong, from any thread. */
        fun onError(listener: ErrorListener) = apply { this.listener = listener }

        /** Whether this is a server, which speaks for many people: it has no anonymous id of its own, and its address says nothing. True except on Android. */
        fun server(server: Boolean) = apply { this.server = server }

        /** After how many events a request leaves, and how long after the first at the latest. */
        fun batch(events: Int, millis: Long) = apply {
            batchEvents = events
            flushMillis = millis
        }

        /** Most events that wait in memory, and most bytes on the disk. Further ones are dropped and counted. */
        fun bounds(events: Int, diskBytes: Long) = apply {
            queueEvents = events
            spoolBytes = diskBytes
        }

        /** Milliseconds until a silent request is given up and sent again, and that the end of the process may be held up. */
        fun patience(requestMillis: Int, closeMillis: Long) = apply {
            timeoutMillis = requestMillis
            this.closeMillis = closeMillis
        }

        /** What is agreed to at the start. Without any, the app sees to that itself, and everything is sent. */
        fun consent(purpose: String, state: Consent) = apply { consents[purpose] = state }

        /** Goes with every event. */
        fun context(values: Map<String, Any?>) = apply { context.putAll(values) }

        internal fun bounds() = Bounds(queueEvents, 16L shl 20, batchEvents, 1 shl 20, spoolBytes, flushMillis)

        fun build(): Almanac {
            require(writeKey.isNotEmpty()) { "There is no write key." }
            require(batchEvents > 0 && queueEvents > 0 && timeoutMillis > 0) { "Bounds have to be more than 0." }
            try {
                require(URL(host).protocol in setOf("http", "https") && URL(host).host.isNotEmpty())
            } catch (error: Exception) {
                if (error !is MalformedURLException && error !is IllegalArgumentException) throw error
                throw IllegalArgumentException("The host is '$host'; it has to be an address such as https://almanac.example.org.")
            }
            return Almanac(this)
        }
    }

    companion object {
        const val VERSION = "0.1.0"
        private const val MOST_HELD = 1_000
        private const val LARGEST_EVENT = 4 shl 20
        private val LIBRARY = mapOf("name" to "almanac-kotlin", "version" to VERSION)
        private val ANDROID = System.getProperty("java.vendor").orEmpty().contains("Android")
        private val SAID = mapOf(
            "queue_full" to "The queue is full: events are dropped.",
            "closed" to "The client is closed: events are dropped.",
            "too_large" to "An event is larger than $LARGEST_EVENT bytes.",
        )

        /** A client of the server at an address, for the project of a key of the role write. */
        @JvmStatic
        fun builder(writeKey: String, host: String) = Builder(writeKey, host)

        /** On Android the system's own words, which name the device and its version. */
        private fun agent(server: Boolean) =
            if (server) "almanac-kotlin/$VERSION" else System.getProperty("http.agent") ?: "almanac-kotlin/$VERSION (${System.getProperty("os.name")})"
    }
}
