package almanac

import java.io.File
import java.io.IOException
import java.util.UUID
import kotlin.concurrent.thread

/** Who uses this app: an anonymous id until somebody signs in, the groups, the session. Kept in a file, once that is allowed. */
internal class Identity(private val file: File?) {
    private var anonymousId = ""
    private var userId = ""
    private val groups = LinkedHashMap<String, String>()
    private var session = ""
    private var sessionAt = 0L
    private var mayStore: Boolean? = null

    init {
        val kept = try {
            file?.takeIf { it.exists() }?.let { Json.read(it.readText()) as? Map<*, *> }
        } catch (error: IOException) {
            null
        }
        anonymousId = kept?.get("anonymous_id") as? String ?: UUID.randomUUID().toString()
        userId = kept?.get("user_id") as? String ?: ""
        (kept?.get("groups") as? Map<*, *>)?.forEach { entry -> groups[entry.key.toString()] = entry.value.toString() }
    }

    val anonymous: String
        @Synchronized get() = anonymousId

    /** Fills in what a call did not say itself. */
    @Synchronized
    fun describe(item: MutableMap<String, Any?>, own: Map<String, String>, now: Long) {
        if ("user_id" !in item && "anonymous_id" !in item && userId.isNotEmpty()) item["user_id"] = userId
        if ("anonymous_id" !in item) item["anonymous_id"] = anonymousId
        if ("session_id" !in item) {
            if (session.isEmpty() || now - sessionAt > SESSION_MILLIS) session = UUID.randomUUID().toString()
            sessionAt = now
            item["session_id"] = session
        }
        if (groups.isNotEmpty() || own.isNotEmpty()) item["groups"] = groups + own
    }

    @Synchronized
    fun signedIn(user: String) {
        if (user == userId) return
        userId = user
        save()
    }

    @Synchronized
    fun joined(type: String, key: String) {
        if (groups.put(type, key) != key) save()
    }

    /** Somebody else from now on. */
    @Synchronized
    fun reset() {
        anonymousId = UUID.randomUUID().toString()
        userId = ""
        groups.clear()
        session = ""
        save()
    }

    /** Granted: it is kept from now on. Denied: what was kept goes. Pending: nothing changes on the disk. */
    @Synchronized
    fun allowed(consent: Consent) {
        val allowed = if (consent == Consent.PENDING) null else consent == Consent.GRANTED
        if (allowed == mayStore) return
        mayStore = allowed
        save()
    }

    /** Not in the app's own thread, which may be the one that draws. */
    private fun save() {
        if (file != null) thread(isDaemon = true, name = "almanac-identity") { write() }
    }

    @Synchronized
    fun write() {
        val file = file ?: return
        try {
            when (mayStore) {
                null -> return
                false -> {
                    file.delete()
                    return
                }
                true -> Unit
            }
            file.parentFile?.mkdirs()
            val beside = File(file.path + ".new")
            beside.writeText(Json.text(mapOf("anonymous_id" to anonymousId, "user_id" to userId, "groups" to groups)))
            beside.renameTo(file)
        } catch (error: IOException) { // the next start has another anonymous id
        }
    }

    private companion object {
        const val SESSION_MILLIS = 30 * 60_000L
    }
}
