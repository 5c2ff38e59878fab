package almanac

import java.util.ArrayDeque
import java.util.Random
import kotlin.concurrent.thread

/** The threads behind a client: they write to the spool, send, and come back later when something is in the way. */
internal class Sender(private val outbox: Outbox, private val http: Http, private val problems: Problems, private val spooled: Boolean) {
    private var threads: List<Thread> = emptyList()
    private val dice = Random()
    private var failures = 0
    @Volatile private var deadline = Long.MAX_VALUE

    @Synchronized
    fun start() {
        if (threads.isNotEmpty() || outbox.closing) return
        val send = thread(isDaemon = true, name = "almanac-send") { forever { send() } }
        threads = if (spooled) listOf(thread(isDaemon = true, name = "almanac-write") { forever { outbox.write() } }, send) else listOf(send)
    }

    /** Sends what it can in so many milliseconds, and ends. Answers how many events were lost. */
    fun close(millis: Long): Int {
        val inside = Thread.currentThread() in threads // a listener closes the client: there is nobody to wait for
        synchronized(this) {
            deadline = Outbox.now() + if (inside) 0 else millis
            outbox.shut()
        }
        for (thread in threads) {
            if (thread !== Thread.currentThread()) thread.join(maxOf(1, deadline - Outbox.now() + 100))
        }
        outbox.writeLast()
        return outbox.end()
    }

    /** What goes wrong in a way that nobody thought of must not end the thread. */
    private fun forever(step: () -> Boolean) {
        while (true) {
            try {
                if (!step()) return
            } catch (error: InterruptedException) {
                return
            } catch (error: Exception) {
                problems.tell("failed", "Something unexpected: $error")
                if (outbox.closing) return
                Thread.sleep(1000)
            }
        }
    }

    private fun send(): Boolean {
        val batch = outbox.take { deadline } ?: return false
        return batch === Outbox.NOTHING || deliver(batch)
    }

    /** Sends a batch until its fate is known; false when there is no more time. */
    private fun deliver(batch: Batch): Boolean {
        val parts = ArrayDeque<List<ByteArray>>()
        if (batch.missing > 0) {
            outbox.count(batch, dropped = batch.missing, reason = "spool_lost")
            problems.tell("spool_lost", "Events are gone from the spool's folder.", batch.missing)
        }
        if (Files.tooOld(batch)) {
            outbox.count(batch, dropped = batch.lines.size, reason = "expired")
            problems.tell("expired", "Events that were perhaps sent a week ago are given up: they might be counted twice.", batch.lines.size)
        } else if (batch.lines.isNotEmpty()) {
            parts.add(batch.lines)
        }
        Files.tried(batch)
        while (parts.isNotEmpty()) {
            val lines = parts.removeFirst()
            val reply = http.post(lines)
            when {
                reply.outcome == Outcome.DELIVERED -> delivered(batch, lines, reply)
                reply.outcome == Outcome.LATER -> {
                    parts.addFirst(lines)
                    if (!pause(reply)) return false
                }
                lines.size > 1 -> {
                    parts.addFirst(lines.subList(lines.size / 2, lines.size))
                    parts.addFirst(lines.subList(0, lines.size / 2))
                }
                else -> {
                    outbox.count(batch, dropped = 1, reason = "refused")
                    problems.tell("refused", "The server refuses an event: ${reply.detail}.", 1, quiet = false)
                }
            }
        }
        outbox.finish(batch)
        return true
    }

    private fun delivered(batch: Batch, lines: List<ByteArray>, reply: Reply) {
        failures = 0
        problems.over("unreachable")
        val rejected = reply.rejected.filter { it.first in lines.indices }
        outbox.count(batch, delivered = lines.size - rejected.size, rejected = rejected.size)
        for ((_, why) in rejected) problems.tell("rejected", "The server put an event among its dead letters: $why", 1, quiet = false)
    }

    /**
     * Waits until it is worth another try; false when there is no more time. As long as the server asked for, else half to all of a time that doubles, so
     * that many clients do not come back at once. Whoever wants everything out ends a pause that the server did not ask for.
     */
    private fun pause(reply: Reply): Boolean {
        val longest = minOf(LONGEST_PAUSE, FIRST_PAUSE shl minOf(failures, 16))
        val asked = reply.waitMillis > 0
        val pause = if (asked) reply.waitMillis + dice.nextInt(maxOf(1, (reply.waitMillis / 10).toInt())) else longest / 2 + dice.nextInt((longest / 2).toInt())
        failures++
        outbox.retries++
        if (failures > 1 || reply.status > 0) problems.tell("unreachable", "Events wait: ${reply.detail}", outbox.waiting.toInt(), true)
        val end = Outbox.now() + pause
        synchronized(outbox) {
            val urges = outbox.urges
            while (true) {
                val left = end - Outbox.now()
                if (left <= 0) return true
                if (!asked && outbox.urges != urges) return true
                if (outbox.closing && end > deadline) return false
                outbox.pause(left)
            }
        }
    }

    private companion object {
        const val FIRST_PAUSE = 500L
        const val LONGEST_PAUSE = 60_000L
    }
}
