package almanac

import java.io.File
import java.io.IOException
import java.util.ArrayDeque

internal class Bounds(
    val queueEvents: Int,
    val queueBytes: Long,
    val batchEvents: Int,
    val batchBytes: Int,
    val spoolBytes: Long,
    val flushMillis: Long,
)

/**
 * Events on their way: a bounded queue in memory, behind it the spool if there is one, and the count of what became of each. Its monitor guards everything.
 *
 * One thread moves events to the spool, one takes batches out; a batch stays where it is until it is finished. Own events leave in the order in which they came.
 */
internal class Outbox(private val bounds: Bounds, private val folder: File?, private val problems: Problems) {
    private val lines = ArrayDeque<ByteArray>()
    private var bytes = 0L
    private var came = 0L // own events
    private var settled = 0L // own events whose fate is known
    private var clear = 0L // own events whose batch is gone, too
    private var since = 0L // when the oldest of those in between came, or the last batch left
    private var writing = 0 // lines at the head of the queue on their way to the disk
    private var flying = 0 // or to the server
    private var spoolAt = Long.MIN_VALUE // the disk is not tried before
    private var spoolSize = -1L
    private var sizedAt = 0L
    @Volatile private var room: Room? = null
    private val found = folder?.let { Found(it) }
    private var lookAt = 0L // for batches of processes that are gone
    private var adopted = 0 // events of such a batch at hand
    private var waiters = 0
    private var taken = 0L
    private var delivered = 0L
    private var rejected = 0L
    private val dropped = HashMap<String, Long>()
    var retries = 0L
    var urges = 0 // how often somebody wanted everything out now
        private set
    var closing = false
        private set
    private var ended = false
    private var spooling = folder != null // a thread moves events to the disk

    // ---------------------------------------------------------------- any thread

    /** Takes an event; the reason when it cannot. */
    @Synchronized
    fun put(line: ByteArray): String? {
        taken++
        if (closing || lines.size >= bounds.queueEvents || bytes + line.size > bounds.queueBytes) {
            val reason = if (closing) "closed" else "queue_full"
            add(reason, 1)
            return reason
        }
        if (came == settled) since = now()
        lines.addLast(line)
        bytes += line.size
        came++
        if (lines.size == 1 || lines.size == bounds.batchEvents) wake()
        return null
    }

    @Synchronized
    fun drop(reason: String, count: Int) {
        taken += count
        add(reason, count)
    }

    private fun add(reason: String, count: Int) {
        dropped[reason] = (dropped[reason] ?: 0) + count
    }

    /** Waits until the fate of all that came in until now is known; false when that takes longer. */
    @Synchronized
    fun flush(millis: Long): Boolean {
        val target = came
        val end = now() + millis
        waiters++
        urge()
        try {
            while (clear < target) {
                val left = end - now()
                if (left <= 0) return false
                pause(left)
            }
            return true
        } finally {
            waiters--
        }
    }

    @Synchronized
    fun urge() {
        urges++
        wake()
    }

    @Synchronized
    fun shut() {
        closing = true
        urge()
    }

    @Synchronized
    fun stats(held: Int): Stats = Stats(taken + held, delivered, rejected, HashMap(dropped), waiting + adopted, held.toLong(), retries)

    val waiting: Long
        @Synchronized get() = came - settled

    // ---------------------------------------------------------------- the thread that writes to the spool

    /** Waits for something to write, and writes it; false at the end. When the disk refuses, events stay where they are, and are sent from there. */
    fun write(): Boolean {
        val batch = synchronized(this) {
            while (lines.isEmpty() || flying > 0 || now() < spoolAt) {
                if (closing) {
                    spooling = false
                    wake()
                    return false
                }
                pause(if (lines.isEmpty() || flying > 0) IDLE else spoolAt - now())
            }
            writing = lines.size
            ArrayList(lines)
        }
        move(batch)
        return true
    }

    /** At the end, when that thread is gone: what is still in memory, and not on its way. */
    fun writeLast() {
        val batch = synchronized(this) {
            spooling = false
            wake()
            if (folder == null || lines.isEmpty() || writing > 0 || flying > 0) return
            writing = lines.size
            ArrayList(lines)
        }
        move(batch)
    }

    private fun move(batch: List<ByteArray>) {
        var trouble = "the disk is full"
        val done = try {
            toDisk(batch)
        } catch (error: IOException) {
            trouble = error.message ?: error.javaClass.simpleName
            0
        }
        synchronized(this) {
            repeat(done) { bytes -= lines.removeFirst().size }
            writing = 0
            if (done < batch.size) spoolAt = now() + SPOOL_PAUSE
            wake()
        }
        if (done < batch.size) {
            problems.tell("spool", "Events stay in memory, because the spool cannot take them: $trouble.", batch.size - done, true)
        }
    }

    private fun toDisk(batch: List<ByteArray>): Int {
        val folder = folder ?: return 0
        if (spoolSize < 0 || now() - sizedAt > SPOOL_PAUSE) {
            spoolSize = Files.size(folder)
            sizedAt = now()
        }
        val size = batch.sumOf { it.size + 1L }
        if (spoolSize + size > bounds.spoolBytes) throw IOException("it may hold ${bounds.spoolBytes} bytes")
        spoolSize += size
        val room = room ?: Room(folder, bounds.batchEvents, bounds.batchBytes).also { room = it }
        return room.add(batch)
    }

    // ---------------------------------------------------------------- the thread that sends

    /** Waits for a batch; null at the end, which [deadline] puts off when it is closing. A batch without lines: look again. */
    fun take(deadline: () -> Long): Batch? {
        synchronized(this) {
            while (true) {
                val wait = due()
                if (wait <= 0) break
                if (closing && (came == settled || now() > deadline())) return null
                pause(if (closing) minOf(wait, 200) else wait)
            }
        }
        room?.first()?.let { return it }
        synchronized(this) {
            if (inMemory()) {
                val some = ArrayList<ByteArray>()
                var size = 0L
                for (line in lines) {
                    size += line.size
                    if (some.size >= bounds.batchEvents || (some.isNotEmpty() && size > bounds.batchBytes)) break
                    some.add(line)
                }
                flying = some.size
                return Batch(some, true, null)
            }
            if (closing) return NOTHING
        }
        val batch = found?.first()
        synchronized(this) {
            if (batch == null) {
                lookAt = now() + LOOK_MILLIS
            } else {
                adopted = batch.lines.size
                taken += adopted
            }
        }
        return batch ?: NOTHING
    }

    private fun due(): Long {
        val now = now()
        var wait = if (found != null && !closing) maxOf(0, lookAt - now) else IDLE
        val room = room
        if ((room != null && !room.isEmpty) || inMemory()) {
            if (closing || waiters > 0 || room?.hasFullBatch == true || lines.size >= bounds.batchEvents || bytes >= bounds.batchBytes) return 0
            wait = minOf(wait, maxOf(0, since + bounds.flushMillis - now))
        }
        return wait
    }

    private fun inMemory() = lines.isNotEmpty() && writing == 0 && (!spooling || now() < spoolAt)

    /** What became of some events of a batch. After the end it is too late to say so. */
    @Synchronized
    fun count(batch: Batch, delivered: Int = 0, rejected: Int = 0, dropped: Int = 0, reason: String = "") {
        if (ended) return
        this.delivered += delivered
        this.rejected += rejected
        if (dropped > 0) add(reason, dropped)
        val sum = delivered + rejected + dropped
        if (batch.own) {
            settled += sum
            since = now()
            wake()
        } else {
            adopted -= sum
        }
    }

    /** The fate of all its events is known: it goes. */
    fun finish(batch: Batch) {
        if (batch.file != null) {
            if (batch.own) room?.settled(batch) else found?.settled(batch)
        }
        synchronized(this) {
            if (batch.file == null) {
                repeat(batch.lines.size) { bytes -= lines.removeFirst().size }
                flying = 0
            }
            clear = settled
            wake()
        }
    }

    /** No more threads: what is on the disk stays there, what is in memory is lost. Answers how many were lost. */
    fun end(): Int {
        val onDisk = room?.waiting ?: 0
        val lost = synchronized(this) {
            val lost = maxOf(0, came - settled - onDisk).toInt()
            if (lost > 0) add("closed", lost)
            settled += lost
            clear = settled
            ended = true
            wake()
            lost
        }
        room?.close()
        found?.close()
        return lost
    }

    /** Waits for a change, for so long at most. The caller holds the monitor. */
    @Suppress("PLATFORM_CLASS_MAPPED_TO_KOTLIN") // Kotlin has no other way to a monitor's wait and notify
    fun pause(millis: Long) = (this as Object).wait(millis.coerceIn(1, IDLE))

    @Suppress("PLATFORM_CLASS_MAPPED_TO_KOTLIN")
    private fun wake() = (this as Object).notifyAll()

    companion object {
        val NOTHING = Batch(emptyList(), true, null)
        private const val IDLE = 3_600_000L
        private const val SPOOL_PAUSE = 5_000L
        private const val LOOK_MILLIS = 30_000L

        /** Milliseconds of a clock that nobody sets. */
        fun now(): Long = System.nanoTime() / 1_000_000
    }
}
