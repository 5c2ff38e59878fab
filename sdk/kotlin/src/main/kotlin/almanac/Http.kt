package almanac

import java.io.ByteArrayOutputStream
import java.net.HttpURLConnection
import java.net.URL
import java.util.zip.GZIPOutputStream

/** DELIVERED: the server has it. SPLIT: this batch will never do, smaller ones may. LATER: try again. */
internal enum class Outcome { DELIVERED, SPLIT, LATER }

internal class Reply(
    val outcome: Outcome,
    val detail: String = "",
    val status: Int = 0, // 0: no answer came
    val waitMillis: Long = 0,
    val rejected: List<Pair<Int, String>> = emptyList(), // place in the batch, and why it became a dead letter
)

/** Posts batches to one server. Connections are kept open by the platform. */
internal class Http(private val key: String, host: String, private val timeoutMillis: Int, private val agent: String) {
    private val url = URL(host.trimEnd('/') + "/api/v1/events")

    fun post(lines: List<ByteArray>): Reply =
        try {
            once(lines)
        } catch (error: Exception) {
            Reply(Outcome.LATER, "${error.javaClass.simpleName}: ${error.message}")
        }

    private fun once(lines: List<ByteArray>): Reply {
        val body = packed(lines)
        val connection = url.openConnection() as HttpURLConnection
        connection.requestMethod = "POST"
        connection.doOutput = true
        connection.useCaches = false
        connection.instanceFollowRedirects = false // a POST that is redirected becomes a GET
        connection.connectTimeout = timeoutMillis
        connection.readTimeout = timeoutMillis
        connection.setRequestProperty("Authorization", "Bearer $key")
        connection.setRequestProperty("Content-Type", "application/json")
        connection.setRequestProperty("Content-Encoding", "gzip")
        connection.setRequestProperty("User-Agent", agent)
        connection.setFixedLengthStreamingMode(body.size) // without it, the platform may send a POST twice by itself
        connection.outputStream.use { it.write(body) }
        val status = connection.responseCode
        val stream = if (status < 400) connection.inputStream else connection.errorStream
        val text = stream?.use { String(it.readBytes(), Charsets.UTF_8) }.orEmpty()
        return understood(status, text, connection.getHeaderField("Retry-After"), connection.getHeaderFieldDate("Retry-After", 0))
    }

    private fun packed(lines: List<ByteArray>): ByteArray {
        val out = ByteArrayOutputStream(lines.sumOf { it.size } / 4 + 256)
        GZIPOutputStream(out).use { zip ->
            zip.write("{\"batch\":[".toByteArray())
            lines.forEachIndexed { place, line ->
                if (place > 0) zip.write(','.code)
                zip.write(line)
            }
            zip.write("],\"sent_at\":\"${Times.iso(System.currentTimeMillis())}\"}".toByteArray())
        }
        return out.toByteArray()
    }

    companion object {
        private const val LONGEST_WAIT = 600_000L // of a Retry-After that is obeyed

        fun understood(status: Int, text: String, retryAfter: String?, retryDate: Long): Reply {
            val said = Json.read(text) as? Map<*, *> ?: emptyMap<Any, Any>()
            if (status in 200..299) {
                // A portal of a public network answers 200 for the server.
                if (said["status"] != 1.0) return Reply(Outcome.LATER, "Something answered that is not Almanac. Is the host right?", status)
                return Reply(Outcome.DELIVERED, "", status, rejected = rejected(said["rejected"]))
            }
            val detail = "HTTP $status" + ((said["message"] as? String)?.let { ": $it" } ?: "")
            if (status == 400 || status == 413 || status == 422) return Reply(Outcome.SPLIT, detail, status)
            val seconds = retryAfter?.trim()?.toDoubleOrNull()
            val wait = when {
                seconds != null && seconds.isFinite() -> (seconds * 1000).toLong()
                retryDate > 0 -> retryDate - System.currentTimeMillis()
                else -> 0
            }
            return Reply(Outcome.LATER, detail, status, wait.coerceIn(0, LONGEST_WAIT))
        }

        private fun rejected(value: Any?): List<Pair<Int, String>> =
            (value as? List<*>).orEmpty().mapNotNull { item ->
                val place = ((item as? Map<*, *>)?.get("index") as? Double)?.toInt()
                place?.let { it to (item["detail"] ?: item["reason"] ?: "").toString() }
            }
    }
}
