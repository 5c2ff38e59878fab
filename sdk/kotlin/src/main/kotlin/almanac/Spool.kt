package almanac

import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.io.RandomAccessFile
import java.nio.channels.FileLock
import java.nio.channels.OverlappingFileLockException
import java.security.MessageDigest
import java.util.ArrayDeque
import java.util.UUID

/** Events that go together. [file]: where they are, null in memory. [own]: taken by this client. [missing]: events that the file should hold too. */
internal class Batch(val lines: List<ByteArray>, val own: Boolean, var file: File?, val missing: Int = 0)

/**
 * Events in files until the server has them, so that they survive the app.
 *
 *     FOLDER/KEY/ROOM/lock            a room for each client; whoever lives holds its lock
 *     FOLDER/KEY/ROOM/00000001.jsonl  a batch: one event a line, added to, sent (then it is 00000001.tried.jsonl), removed
 *
 * KEY is a digest of the write key. A client sends its own batches, and those in rooms whose process is gone. A batch that is sent twice, because the
 * app died before it was removed, is counted once: the server knows the ids. A line that a crash cut off has no line end, and is left out.
 */
internal class Room(folder: File, private val batchEvents: Int, private val batchBytes: Int) {
    val path: File
    private val lock: Lock
    private val batches = ArrayDeque<Pair<File, Int>>() // oldest first; the last one may still be open
    private var out: FileOutputStream? = null
    private var number = 0
    private var events = 0 // in the batch that is being added to
    private var bytes = 0L

    init {
        var made: Pair<File, Lock>? = null
        while (made == null) {
            val room = File(folder, "${System.currentTimeMillis()}-${UUID.randomUUID().toString().take(8)}")
            if (!room.mkdirs()) throw IOException("$room cannot be made")
            made = Lock.of(room, make = true)?.let { room to it } // else another process took the new room for an abandoned one
        }
        path = made.first
        lock = made.second
    }

    /** Appends events; answers how many are written, fewer than all when the disk gets full. */
    @Synchronized
    fun add(lines: List<ByteArray>): Int {
        var done = 0
        try {
            for (piece in pieces(lines)) {
                append(piece)
                done += piece.size
            }
        } catch (error: IOException) {
            if (done == 0) throw error
        }
        return done
    }

    private fun pieces(lines: List<ByteArray>): Sequence<List<ByteArray>> = sequence {
        var piece = ArrayList<ByteArray>()
        var size = 0L
        for (line in lines) {
            val count = events + piece.size
            if (count >= batchEvents || (count > 0 && bytes + size + line.size >= batchBytes)) {
                if (piece.isNotEmpty()) yield(piece)
                seal()
                piece = ArrayList()
                size = 0
            }
            piece.add(line)
            size += line.size + 1
        }
        if (piece.isNotEmpty()) yield(piece)
    }

    private fun append(piece: List<ByteArray>) {
        val data = ByteArray(piece.sumOf { it.size + 1 })
        var at = 0
        for (line in piece) {
            line.copyInto(data, at)
            at += line.size
            data[at++] = '\n'.code.toByte()
        }
        val stream = out ?: FileOutputStream(File(path, "%08d.jsonl".format(java.util.Locale.ROOT, ++number)).also { batches.addLast(it to 0) }, true)
            .also { out = it }
        try {
            stream.write(data)
        } catch (error: IOException) {
            stream.channel.truncate(bytes)
            throw error
        }
        events += piece.size
        bytes += data.size
        batches.addLast(batches.removeLast().first to events)
        if (events >= batchEvents) seal()
    }

    private fun seal() {
        out?.close()
        out = null
        events = 0
        bytes = 0
    }

    val waiting: Int
        @Synchronized get() = batches.sumOf { it.second }

    val isEmpty: Boolean
        @Synchronized get() = batches.isEmpty()

    /** Whether a batch is waiting that nothing is added to any more. */
    val hasFullBatch: Boolean
        @Synchronized get() = batches.size > (if (out == null) 0 else 1)

    /** The oldest batch, to which nothing is added from now on. */
    @Synchronized
    fun first(): Batch? {
        val (file, count) = batches.peekFirst() ?: return null
        if (batches.size == 1) seal()
        val lines = Files.lines(file)
        return Batch(lines, true, file, count - lines.size)
    }

    @Synchronized
    fun settled(batch: Batch) {
        batches.removeFirst()
        batch.file?.delete()
    }

    /** Leaves what is not sent for another process, or the next start. */
    @Synchronized
    fun close() {
        seal()
        if (batches.isEmpty()) Files.clear(path)
        lock.release()
    }
}

/** Batches that processes left behind which are gone. */
internal class Found(private val folder: File) {
    private var room: File? = null
    private var lock: Lock? = null
    private val files = ArrayDeque<File>()

    fun first(): Batch? {
        while (true) {
            while (files.isNotEmpty()) {
                val lines = Files.lines(files.first)
                if (lines.isNotEmpty()) return Batch(lines, false, files.first)
                files.removeFirst().delete()
            }
            room?.let { Files.clear(it) }
            close()
            if (!takeRoom()) return null
        }
    }

    private fun takeRoom(): Boolean {
        for (candidate in folder.listFiles().orEmpty().filter { it.isDirectory }.sorted()) {
            val held = Lock.of(candidate, make = false) ?: continue
            room = candidate
            lock = held
            files.addAll(candidate.listFiles().orEmpty().filter { it.name.endsWith(".jsonl") }.sorted())
            return true
        }
        return false
    }

    fun settled(batch: Batch) {
        files.removeFirst()
        batch.file?.delete()
    }

    fun close() {
        lock?.release()
        lock = null
        room = null
        files.clear()
    }
}

/** The lock of a room, for as long as it is held. */
internal class Lock private constructor(private val name: String, private val file: RandomAccessFile, private val lock: FileLock) {
    fun release() {
        try {
            lock.release()
            file.close()
        } catch (error: IOException) { // the folder is gone
        } finally {
            synchronized(HERE) { HERE.remove(name) }
        }
    }

    companion object {
        // TRICKY: the system forgets a process's lock when the process closes any handle of the file. So this process must not even look at its own.
        private val HERE = HashSet<String>()

        /** Null when somebody living holds it, or the room is gone. */
        fun of(room: File, make: Boolean): Lock? {
            val path = File(room, "lock")
            val name = path.absolutePath
            synchronized(HERE) { if ((!make && !path.exists()) || !HERE.add(name)) return null }
            var opened: RandomAccessFile? = null
            try {
                val file = RandomAccessFile(path, "rw").also { opened = it }
                val lock = file.channel.tryLock()
                if (lock != null && path.exists()) return Lock(name, file, lock)
            } catch (error: IOException) {
            } catch (error: OverlappingFileLockException) {
            }
            opened?.close()
            synchronized(HERE) { HERE.remove(name) }
            return null
        }
    }
}

internal object Files {
    private const val TRIED = ".tried.jsonl"
    private const val KEEP_MILLIS = 7 * 86_400_000L // the server knows ids of so long; older batches might be counted twice

    fun folder(spool: File, key: String): File {
        val digest = MessageDigest.getInstance("SHA-256").digest(key.toByteArray())
        return File(spool, digest.take(8).joinToString("") { (it.toInt() and 255).toString(16).padStart(2, '0') })
    }

    /** Bytes of all batches in a folder, of this and other clients. */
    fun size(folder: File): Long =
        folder.listFiles().orEmpty().sumOf { room -> room.listFiles().orEmpty().filter { it.name.endsWith(".jsonl") }.sumOf { it.length() } }

    /** It is sent for the first time in this moment: the file's name and time say so from now on. */
    fun tried(batch: Batch) {
        val file = batch.file ?: return
        if (file.name.endsWith(TRIED)) return
        val renamed = File(file.parentFile, file.name.removeSuffix(".jsonl") + TRIED)
        file.setLastModified(System.currentTimeMillis())
        if (file.renameTo(renamed)) batch.file = renamed
    }

    /** Whether it was sent so long ago, perhaps with success, that the server may have forgotten its ids. */
    fun tooOld(batch: Batch): Boolean {
        val file = batch.file ?: return false
        return file.name.endsWith(TRIED) && System.currentTimeMillis() - file.lastModified() > KEEP_MILLIS
    }

    /** The whole lines of a file; none when it cannot be read. */
    fun lines(file: File): List<ByteArray> {
        val data = try {
            file.readBytes()
        } catch (error: IOException) {
            return emptyList()
        }
        val lines = ArrayList<ByteArray>()
        var start = 0
        for (at in data.indices) {
            if (data[at] != '\n'.code.toByte()) continue
            if (at > start && data[start] == '{'.code.toByte() && data[at - 1] == '}'.code.toByte()) lines.add(data.copyOfRange(start, at))
            start = at + 1
        }
        return lines
    }

    fun clear(room: File) {
        room.listFiles().orEmpty().forEach { it.delete() }
        room.delete()
    }
}
