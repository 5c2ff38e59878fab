package almanac

/**
 * Something that an [ErrorListener] should know of.
 *
 * [reason], a short stable word: queue_full, no_consent, too_large, refused, rejected, expired, spool_lost, closed and failed (these events are gone, or among
 * the server's dead letters); unreachable and spool (nothing is lost). [detail]: a sentence. [count]: events that it is about.
 */
class Problem internal constructor(
    @JvmField val reason: String,
    @JvmField val detail: String,
    @JvmField val count: Int,
    @JvmField val willRetry: Boolean,
) {
    override fun toString(): String = "$reason: $detail ($count events)"
}

/** Is told of problems, from any thread. What it throws is ignored. */
fun interface ErrorListener {
    fun onError(problem: Problem)
}

/**
 * The books: taken = delivered + rejected + dropped + waiting + held, of the events of this client and those that it found on the disk.
 *
 * [rejected] events are with the server too, among its dead letters; [dropped] ones are lost on this side, by reason; [held] ones wait for consent.
 */
class Stats internal constructor(
    @JvmField val taken: Long,
    @JvmField val delivered: Long,
    @JvmField val rejected: Long,
    @JvmField val dropped: Map<String, Long>,
    @JvmField val waiting: Long,
    @JvmField val held: Long,
    @JvmField val retries: Long,
)

/** Tells the listener, the same reason once a minute at most; what happened meanwhile is counted and told the next time. */
internal class Problems(private val listener: ErrorListener?) {
    private val told = HashMap<String, Long>()
    private val unsaid = HashMap<String, Int>()

    fun tell(reason: String, detail: String, count: Int = 0, willRetry: Boolean = false, quiet: Boolean = true) {
        val all = synchronized(this) {
            val sum = if (willRetry) count else (unsaid[reason] ?: 0) + count
            val before = told[reason]
            val now = System.nanoTime()
            if (quiet && before != null && now - before < QUIET_NANOS) {
                unsaid[reason] = sum
                return
            }
            told[reason] = now
            unsaid.remove(reason)
            sum
        }
        try {
            listener?.onError(Problem(reason, detail, all, willRetry))
        } catch (error: Throwable) { // the app's listener must not end our thread
        }
    }

    fun over(reason: String) {
        synchronized(this) { told.remove(reason) }
    }

    private companion object {
        const val QUIET_NANOS = 60_000_000_000L
    }
}
